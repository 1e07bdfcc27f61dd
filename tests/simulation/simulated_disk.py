"""Simulates a disk for the file store, including the data that is lost when the power fails."""

import errno
import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from respid.highwater.stores.disk import Lock, LockedError
from tests.simulation.simulated_loop import PROCESS, Process


@dataclass(eq=False)
class Inode:
    """A file's content, the content that is synced, and the process that has locked it."""

    content: bytes = b""
    synced: bytes = b""
    locked_by: Process | None = None
    holder: str = ""

    def is_locked(self) -> bool:
        return self.locked_by is not None and not self.locked_by.killed


@dataclass
class SimulatedLock:
    """A lock on an inode, which another inode can replace at its path."""

    disk: "SimulatedDisk"
    path: Path
    inode: Inode

    def stands(self) -> bool:
        return self.disk.names.get(self.path) is self.inode

    def release(self) -> None:
        self.inode.locked_by = None


@dataclass
class SimulatedDisk:
    """One directory of a local file system, which can be made to fail."""

    random: Random
    fails: bool = False
    names: dict[Path, Inode] = field(default_factory=dict)
    nonces: dict[str, None] = field(default_factory=dict)  # of the holders, in order
    synced_names: dict[Path, Inode] = field(default_factory=dict)

    def make_directory(self, path: Path) -> None:
        pass

    def claim(self, path: Path) -> Lock:
        """As on a system without abstract sockets: it claims nothing."""
        return SimulatedLock(self, path, Inode())

    def lock(self, path: Path, holder: str) -> Lock:
        inode = self.names.setdefault(path, Inode())
        if inode.is_locked():
            raise LockedError(inode.holder)
        inode.locked_by, inode.holder = PROCESS.get(), holder
        return SimulatedLock(self, path, inode)

    def holder(self, path: Path) -> str | None:
        inode = self.names.get(path)
        return inode.holder if inode is not None and inode.is_locked() else None

    def names_in(self, path: Path) -> list[str]:
        return sorted(each.name for each in self.names if each.parent == path)

    def remove(self, path: Path) -> None:
        self._access()
        self.names.pop(path, None)

    def read(self, path: Path) -> bytes | None:
        self._access()
        return self.names[path].content if path in self.names else None

    def write_synced(self, path: Path, content: bytes) -> None:
        self._access()
        inode = self.names[path] = Inode(content)
        self._access()
        self.sync(inode)

    def sync(self, inode: Inode) -> None:
        inode.synced = inode.content

    def rename(self, source: Path, target: Path) -> None:
        self._access()
        self.names[target] = self.names.pop(source)
        self.nonces.setdefault(json.loads(self.names[target].content)["nonce"])

    def sync_directory(self, _path: Path) -> None:
        self._access()
        self.synced_names = dict(self.names)

    def lose_power(self) -> None:
        """Keeps either the old or the new of names that were not synced, and only the synced part of contents."""
        if self.random.random() < 0.5:
            self.names = dict(self.synced_names)
        for inode in self.names.values():
            inode.content = inode.synced
        self.synced_names = dict(self.names)

    def _access(self) -> None:
        PROCESS.get().access_disk()
        if self.fails and self.random.random() < 0.5:
            raise OSError(errno.ENOSPC, "No space left on device")
