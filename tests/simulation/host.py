"""A host: its clocks, its disk, and its way to the API server."""

import errno
import itertools
import os
from dataclasses import dataclass, field
from random import Random

from tests.simulation.rare_states import Rare, Reached
from tests.simulation.scheduler import SECOND, Scheduler

START_MS = 1_767_225_600_000  # 2026-01-01, when every history begins
JUMP_MS = 10**9  # by how far a clock jumps that nobody should believe
LOST_MS = 10**10  # a clock that is wrong by more shows another year: the machine has no battery
CALL_SECONDS = (0.00001, 0.00005, 0.0003, 0.004)  # that a system call may take
SLOW_CALL_SECONDS = (0.001, 0.1, 2)
_MILLISECOND = 1_000_000  # ns


class HostClock:
    """The clocks of a host. The wall clock can be set; the monotonic clock stands still while the host is suspended."""

    def __init__(self, scheduler: Scheduler, offset_ms: float) -> None:
        self._scheduler = scheduler
        self._suspended_ns = 0
        self._paused_ns = 0
        self.tick_ns = 1  # how fine the wall clock is
        self.stalls = False  # whether a process is sometimes held up while it reads a clock
        self.offsets: list[tuple[int, float]] = []  # by how many ms the wall clock was wrong, and since when
        self.greatest_offset_ms = offset_ms
        self.greatest_step_ms = 0.0  # forward
        self.was_far_ahead = False  # by more than a clock that nobody set
        self.set_offset(offset_ms)

    def boot_ns(self) -> int:
        return self._scheduler.now_ns + SECOND - self._paused_ns

    def monotonic_ns(self) -> int:
        return self.boot_ns() - self._suspended_ns

    def wall_ns(self) -> int:
        if self.stalls and self._scheduler.random.random() < 0.002:
            self._scheduler.now_ns += self._scheduler.random.randrange(4 * _MILLISECOND)
        return (self._scheduler.now_ns + self._wall_ns) // self.tick_ns * self.tick_ns

    def wall_ms(self) -> int:
        return self.wall_ns() // _MILLISECOND

    @property
    def offset_ms(self) -> float:
        """By how much the wall clock is wrong."""
        return self.offsets[-1][1]

    @property
    def has_jumped(self) -> bool:
        """Whether it shows a time that nobody should believe, which may have been changed a little since."""
        return abs(self.offset_ms - JUMP_MS) < JUMP_MS / 100

    def set_offset(self, offset_ms: float) -> None:
        self._wall_ns = START_MS * _MILLISECOND + int(offset_ms * _MILLISECOND)
        former_ms = self.offsets[-1][1] if self.offsets else offset_ms
        if not self.offsets or offset_ms != former_ms:
            self.offsets.append((self._scheduler.now_ns, offset_ms))
        self.was_far_ahead |= offset_ms > LOST_MS
        if abs(offset_ms) > LOST_MS:
            return
        if abs(former_ms) < LOST_MS:
            self.greatest_step_ms = max(self.greatest_step_ms, offset_ms - former_ms)
        self.greatest_offset_ms = max(self.greatest_offset_ms, offset_ms)

    def true_ms(self) -> float:
        return START_MS + self._scheduler.now_ns / _MILLISECOND

    def seconds_since_step(self) -> float:
        """How long ago the wall clock was last set."""
        return (self._scheduler.now_ns - self.offsets[-1][0]) / SECOND

    def suspend(self, seconds: float) -> None:
        """To be called with the delay of all that runs on the host."""
        self._suspended_ns += int(seconds * SECOND)

    @property
    def was_paused(self) -> bool:
        return self._paused_ns > 0

    def pause(self, seconds: float) -> None:
        """A virtual machine stood still, which none of its clocks shows. To be called before anything runs again."""
        self._paused_ns += int(seconds * SECOND)
        self.set_offset(self.offset_ms - seconds * 1000)


@dataclass(eq=False)
class Inode:
    """A file: its content as processes see it, and as the disk has it."""

    number: int
    content: bytes = b""
    synced: bytes = b""
    lost_writes: bool = False  # fsync has failed: it reports success from now on, and writes nothing
    is_private: bool = False  # to another user
    locks: "dict[OpenFile, bool]" = field(default_factory=dict)  # by whom it is locked, and whether exclusively

    def lock(self, opened: "OpenFile", *, is_exclusive: bool) -> bool:
        """Whether the lock was taken; if not, others have locks that exclude it."""
        others = [is_sole for other, is_sole in self.locks.items() if other is not opened]
        is_free = not others if is_exclusive else not any(others)
        if is_free:
            self.locks[opened] = is_exclusive
        return is_free


@dataclass(eq=False)
class OpenFile:
    """An entry of the kernel's table of open files."""

    inode: "Inode | Directory"

    def close(self) -> None:
        if isinstance(self.inode, Inode):
            self.inode.locks.pop(self, None)


@dataclass(eq=False)
class Directory:
    """Names, and the changes to them that are not on the disk yet, each of which is on it whole or not at all."""

    number: int
    names: dict[str, Inode] = field(default_factory=dict)
    synced: dict[str, Inode] = field(default_factory=dict)
    unsynced: list[dict[str, Inode | None]] = field(default_factory=list)
    is_synced: bool = False  # whether the name of the directory itself is on the disk

    def change(self, **names: Inode | None) -> None:
        self.unsynced.append(names)
        _apply(names, self.names)

    def sync(self) -> None:
        self.synced = dict(self.names)
        self.unsynced.clear()

    def lose_power(self, random: Random) -> bool:
        """Keeps some of the first unsynced changes. Returns whether a change was lost."""
        kept = random.randrange(len(self.unsynced) + 1)
        is_lossy = kept < len(self.unsynced)
        self.names = self.synced
        for names in self.unsynced[:kept]:
            _apply(names, self.names)
        self.sync()
        return is_lossy


def _apply(change: dict[str, Inode | None], names: dict[str, Inode]) -> None:
    for name, inode in change.items():
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


class Disk:
    """A local file system: directories in its root, files in them. It can be slow, and it can fail."""

    def __init__(self, random: Random, reached: Reached) -> None:
        self.random = random
        self.reached = reached
        self.directories: dict[str, Directory] = {}
        self.fails = False
        self.failure_rate = random.choice((0.05, 0.3, 1))  # of the system calls that can fail, while it fails
        self.is_slow = False
        self._numbers = itertools.count(1)

    def call_seconds(self) -> float:
        """How long the next system call takes."""
        choices = SLOW_CALL_SECONDS if self.is_slow else CALL_SECONDS
        return choices[int(self.random.random() * len(choices))]

    def may_fail(self) -> None:
        """Raises OSError."""
        if self.fails and self.random.random() < self.failure_rate:
            code = self.random.choice((errno.EIO, errno.ENOSPC, errno.EROFS))
            raise OSError(code, os.strerror(code))

    def directory(self, path: str) -> Directory:
        """Raises FileNotFoundError."""
        if path not in self.directories:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.directories[path]

    def make_directory(self, path: str) -> None:
        self.directories.setdefault(path, Directory(next(self._numbers)))

    def make_inode(self) -> Inode:
        return Inode(next(self._numbers))

    def sync_root(self) -> None:
        for directory in self.directories.values():
            directory.is_synced = True

    def sync(self, inode: Inode) -> None:
        """Raises OSError, and then forgets what was written, as Linux does."""
        try:
            self.may_fail()
        except OSError:
            inode.lost_writes = True
            raise
        if not inode.lost_writes:
            inode.synced = inode.content

    def write(self, inode: Inode, content: bytes) -> None:
        """Raises OSError, after a part of it was written."""
        try:
            self.may_fail()
        except OSError:
            inode.content += content[: self.random.randrange(len(content) + 1)]
            raise
        inode.content += content

    def lose_power(self) -> None:
        """Nothing runs any more; what is there afterwards is any of the states that the disk may have been left in."""
        for path in [path for path, directory in self.directories.items() if not directory.is_synced]:
            if self.random.random() < 0.5:
                del self.directories[path]
        for directory in self.directories.values():
            directory.is_synced = True
            if directory.lose_power(self.random):
                self.reached.add(Rare.POWER_LOSS_UNDID_A_RENAME)
            for inode in directory.names.values():
                self._tear(inode)

    def _tear(self, inode: Inode) -> None:
        if inode.content != inode.synced:
            torn = inode.content[: self.random.randrange(len(inode.content) + 1)]
            inode.content = self.random.choice((inode.synced, torn, bytes(len(inode.content)), inode.content))
            if inode.content != inode.synced:
                self.reached.add(Rare.POWER_LOSS_TORE_A_FILE)
        inode.synced, inode.lost_writes = inode.content, False
        inode.locks.clear()


class Host:
    """A machine, or a pod's view of one."""

    def __init__(self, scheduler: Scheduler, number: int, offset_ms: float, reached: Reached) -> None:
        self.number = number
        self.clock = HostClock(scheduler, offset_ms)
        self.disk = Disk(scheduler.random, reached)
        self.claims: dict[str, int] = {}  # addresses in use, and the processes that use them
        self.has_claims = True  # whether the system has abstract addresses
        self.is_cut_off = False  # from the API server
        self.hears_late = False  # what the API server replies
