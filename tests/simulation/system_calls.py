"""The operating system under `respid.highwater.stores.disk`: the real module runs on simulated system calls.

Each call lets other processes run first, can fail, and can be the last one of its process.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace, TracebackType
from typing import Any, Self, cast

import pytest

from respid.highwater.stores import disk, file
from respid.highwater.stores.disk import LockedError
from tests.simulation.host import Directory, Inode, OpenFile
from tests.simulation.scheduler import Process, current_process

LOCK_POLL_SECONDS = 0.001
USER = 1000  # in whose name all processes run


def state_directory(name: str) -> Path:
    """A directory on the disk of whatever host it is used on."""
    return cast("Path", SimulatedPath("/", name))


def install(patch: pytest.MonkeyPatch) -> None:
    """Replaces what the disk and the file store call."""
    patch.setattr(disk, "os", SYSTEM)
    patch.setattr(disk, "fcntl", SimulatedFcntl())
    patch.setattr(file, "os", SYSTEM)
    patch.setattr(file, "threading", SimpleNamespace(Lock=SimulatedLock))
    patch.setattr(file, "time", SimulatedTime())
    patch.setattr(disk, "AddressClaim", SimulatedClaim)


def _enter() -> Process:
    """Raises KilledError."""
    process = current_process()
    process.enter_system_call()
    return process


def _error(code: int, path: object = None) -> OSError:
    return OSError(code, os.strerror(code), str(path)) if path else OSError(code, os.strerror(code))


def _find(process: Process, path: PurePosixPath) -> tuple[Directory, Inode | None]:
    """The directory of a file, and the file. Raises FileNotFoundError."""
    directory = process.host.disk.directory(str(path.parent))
    return directory, directory.names.get(path.name)


def _find_any(process: Process, path: PurePosixPath) -> Inode | Directory | None:
    """A file or a directory. Raises FileNotFoundError if the directory of a file is missing."""
    if len(path.parts) == 1:
        return Directory(0)
    if len(path.parts) == 2:
        return process.host.disk.directory(str(path))
    return _find(process, path)[1]


def _status(process: Process, found: Inode | Directory) -> SimpleNamespace:
    kind = stat.S_IFREG | 0o600 if isinstance(found, Inode) else stat.S_IFDIR | 0o700
    return SimpleNamespace(st_ino=found.number, st_dev=process.host.number, st_mode=kind, st_uid=USER, st_mtime_ns=0)


class SimulatedOs:
    """The functions of `os` that the disk uses; whatever is missing is the real one's, such as constants."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def geteuid(self) -> int:
        return USER

    def getpid(self) -> int:
        return current_process().number

    def open(self, path: PurePosixPath, flags: int, _mode: int = 0o777) -> int:
        process = _enter()
        disk = process.host.disk
        found = _find_any(process, path)
        if found is not None and flags & os.O_EXCL:
            raise _error(errno.EEXIST, path)
        if found is None and flags & os.O_CREAT:
            disk.may_fail()
            found = disk.make_inode()
            disk.directory(str(path.parent)).change(**{path.name: found})
        if found is None:
            raise _error(errno.ENOENT, path)
        if isinstance(found, Inode) and found.is_private:
            raise _error(errno.EACCES, path)
        descriptor = next(number for number in range(3, 1000) if number not in process.descriptors)
        process.descriptors[descriptor] = OpenFile(found)
        return descriptor

    def close(self, descriptor: int) -> None:
        process = _enter()
        process.descriptors.pop(descriptor).close()

    def fstat(self, descriptor: int) -> SimpleNamespace:
        process = _enter()
        return _status(process, process.descriptors[descriptor].inode)

    def fsync(self, descriptor: int) -> None:
        process = _enter()
        found = process.descriptors[descriptor].inode
        if isinstance(found, Inode):
            process.host.disk.sync(found)
        elif found.number == 0:
            process.host.disk.sync_root()
        else:
            process.host.disk.may_fail()
            found.sync()

    def ftruncate(self, descriptor: int, length: int) -> None:
        process = _enter()
        inode = process.descriptors[descriptor].inode
        assert isinstance(inode, Inode)
        inode.content = inode.content[:length]

    def pwrite(self, descriptor: int, content: bytes, offset: int) -> int:
        process = _enter()
        inode = process.descriptors[descriptor].inode
        assert isinstance(inode, Inode)
        inode.content = inode.content[:offset] + content + inode.content[offset + len(content) :]
        return len(content)

    def pread(self, descriptor: int, length: int, offset: int) -> bytes:
        process = _enter()
        inode = process.descriptors[descriptor].inode
        assert isinstance(inode, Inode)
        return inode.content[offset : offset + length]

    def fdopen(self, descriptor: int, _mode: str) -> "SimulatedFile":
        return SimulatedFile(descriptor)


SYSTEM = SimulatedOs()


class SimulatedFcntl:
    """Locks of open files: they end when the file is closed, at the latest with the process."""

    def __getattr__(self, name: str) -> Any:
        return getattr(fcntl, name)

    def flock(self, descriptor: int, operation: int) -> None:
        process = _enter()
        opened = process.descriptors[descriptor]
        assert isinstance(opened.inode, Inode)
        if not opened.inode.lock(opened, is_exclusive=bool(operation & fcntl.LOCK_EX)):
            raise _error(errno.EWOULDBLOCK)


class SimulatedFile:
    """A file object: what is written goes to the file when it is flushed, in two system calls."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self.flush()
        finally:
            SYSTEM.close(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def read(self, length: int = 1 << 20) -> bytes:
        return bytes(SYSTEM.pread(self._descriptor, length, 0))

    def write(self, content: bytes) -> int:
        self._buffer += content
        return len(content)

    def flush(self) -> None:
        content, self._buffer = self._buffer, b""
        middle = len(content) // 2
        for piece in (content[:middle], content[middle:]) if content else ():
            process = _enter()
            inode = process.descriptors[self._descriptor].inode
            assert isinstance(inode, Inode)
            process.host.disk.write(inode, piece)


class SimulatedPath(PurePosixPath):
    """A path on the disk of the host of whatever process uses it."""

    def is_dir(self) -> bool:
        process = _enter()
        return len(self.parts) == 1 or str(self) in process.host.disk.directories

    def mkdir(self, _mode: int = 0o777, *, exist_ok: bool = False) -> None:
        process = _enter()
        if str(self) in process.host.disk.directories and not exist_ok:
            raise _error(errno.EEXIST, self)
        process.host.disk.may_fail()
        process.host.disk.make_directory(str(self))

    def stat(self, *, follow_symlinks: bool = True) -> SimpleNamespace:
        del follow_symlinks
        process = _enter()
        found = _find_any(process, self)
        if found is None:
            raise _error(errno.ENOENT, self)
        return _status(process, found)

    def unlink(self, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as pathlib has it
        process = _enter()
        directory, found = _find(process, self)
        if found is not None:
            process.host.disk.may_fail()
            directory.change(**{self.name: None})
        elif not missing_ok:
            raise _error(errno.ENOENT, self)

    def replace(self, target: PurePosixPath) -> None:
        process = _enter()
        directory, found = _find(process, self)
        if found is None:
            raise _error(errno.ENOENT, self)
        process.host.disk.may_fail()
        directory.change(**{self.name: None, target.name: found})

    def iterdir(self) -> Iterator["SimulatedPath"]:
        process = _enter()
        names = list(process.host.disk.directory(str(self)).names)
        return (self / name for name in names)


class SimulatedTime:
    """The functions of `time` that the file store uses."""

    def monotonic(self) -> float:
        return current_process().time()

    def sleep(self, seconds: float) -> None:
        current_process().sleep(seconds)


class SimulatedLock:
    """A lock between the threads of a process. They are greenlets of one thread, which a real lock would block."""

    def __init__(self) -> None:
        self._is_held = False

    def __enter__(self) -> None:
        while self._is_held:
            current_process().sleep(LOCK_POLL_SECONDS)
        self._is_held = True

    def __exit__(self, *_: object) -> None:
        self._is_held = False


class SimulatedClaim:
    """A claim on a path that lasts while its process lives."""

    def __init__(self, path: PurePosixPath) -> None:
        self._process = process = _enter()
        self._path = str(path)
        if not process.host.has_claims:
            return
        if holder := process.host.claims.get(self._path):
            raise LockedError(f"pid {holder}")
        process.host.claims[self._path] = process.number
        process.on_death.append(self.release)

    def make_room(self) -> None:
        pass

    def release(self) -> None:
        if self._process.host.claims.get(self._path) == self._process.number:
            del self._process.host.claims[self._path]
