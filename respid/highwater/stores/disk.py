"""The few operations on a local file system that the file store's promise rests on. Knows nothing of what is stored."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Protocol


class LockedError(Exception):
    """Another process holds the lock; `holder` is what it wrote about itself."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class Lock(Protocol):
    """An exclusive lock that ends with the process."""

    def stands(self) -> bool:
        """Whether the lock's path still leads to what is locked: else another process can take it too."""
        ...

    def release(self) -> None: ...


class Disk(Protocol):
    """What the file store needs. All raise OSError."""

    def make_directory(self, path: Path) -> None:
        """Makes a directory and those above it where they are missing; they survive the loss of power."""
        ...

    def lock(self, path: Path, holder: str) -> Lock:
        """Locks this file, making it if need be. Raises LockedError."""
        ...

    def read(self, path: Path) -> bytes | None:
        """The content of a file; None when it does not exist."""
        ...

    def write_synced(self, path: Path, content: bytes) -> None:
        """Writes a file anew; its content survives the loss of power when this returns, its name need not."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Replaces the target at once, for all who look; after a loss of power it may be either."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Makes the names in a directory survive the loss of power."""
        ...


class LocalDisk:
    """The file systems of this machine."""

    def make_directory(self, path: Path) -> None:
        if path.is_dir():
            return
        self.make_directory(path.parent)
        path.mkdir(exist_ok=True)
        self.sync_directory(path.parent)

    def lock(self, path: Path, holder: str) -> Lock:
        return FileLock(path, holder)

    def read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def write_synced(self, path: Path, content: bytes) -> None:
        # A new file each time: after a failed fsync the kernel may have dropped what was written to the old one.
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class FileLock:
    """An flock on a file of its own: the kernel frees it when the process ends, however it ends."""

    def __init__(self, path: Path, holder: str) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, holder.encode() + b"\n", 0)
        except OSError as error:
            is_held = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
            other = os.pread(self._descriptor, 64, 0).decode("ascii", "replace").strip() if is_held else ""
            os.close(self._descriptor)
            if is_held:
                raise LockedError(other or "an unknown process") from None
            raise

    def stands(self) -> bool:
        locked = os.fstat(self._descriptor)
        try:
            return os.path.samestat(locked, self._path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        os.close(self._descriptor)
