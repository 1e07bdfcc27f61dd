"""Local file system operations for the file store. Knows nothing about the content of the files.

Files are private to the user (0600, in a directory with 0700), and are opened only if they are regular files: never
through a symbolic link, and never a FIFO that would block.
"""

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import re
import socket
import stat
import struct
import sys
from pathlib import Path
from typing import Protocol

MAX_FILE_BYTES = 64 * 1024  # a high-water mark has about 200
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
_log = logging.getLogger(__name__)
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LockedError(Exception):
    """Another process holds the lock; `holder` is the text that it wrote about itself, which may be anything."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class UnsafeFileError(OSError):
    """A path leads to something that is not a regular file."""


class Lock(Protocol):
    """Held exclusively until it is released or the process ends."""

    def stands(self) -> bool:
        """Whether the path still leads to what is locked; if not, another process can lock the path too."""
        ...

    def release(self) -> None: ...


class Claim(Protocol):
    """Held exclusively until it is released or the process ends, whatever happens to the files meanwhile."""

    def make_room(self) -> None:
        """Makes room for processes that ask for the claim. Without room, they do not learn which process has it."""
        ...

    def release(self) -> None: ...


class Disk(Protocol):
    """The operations that the file store needs. All of them raise OSError."""

    def make_directory(self, path: Path) -> None:
        """Makes a directory and its missing parents, so that they survive a loss of power."""
        ...

    def claim(self, path: Path) -> Claim:
        """Claims a path on this host, even if the files there are moved or deleted later. Raises LockedError.

        Not every system can do this, so it comes on top of `lock`.
        """
        ...

    def lock(self, path: Path, holder: str) -> Lock:
        """Locks a file, which is created if needed, and writes the holder into it. Raises LockedError."""
        ...

    def holder(self, path: Path) -> str | None:
        """The text that the holder of a lock wrote about itself; None if nobody holds it."""
        ...

    def names_in(self, path: Path) -> list[str]:
        """The names in a directory."""
        ...

    def read(self, path: Path) -> bytes | None:
        """The content of a file; None if it does not exist."""
        ...

    def identity(self, path: Path) -> tuple[int, int, int] | None:
        """What a file keeps when it is renamed, but not when it is changed; None if it cannot be found."""
        ...

    def write_synced(self, path: Path, content: bytes) -> None:
        """Writes a new file. When this returns its content survives a loss of power; its name may not."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Replaces the target atomically. After a loss of power either file may be there."""
        ...

    def remove(self, path: Path) -> None:
        """Removes a file if it exists."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Makes the names in a directory survive a loss of power."""
        ...


class LocalDisk:
    """The file systems of this machine."""

    def make_directory(self, path: Path) -> None:
        if path.is_dir():
            _warn_if_open(path)
            return
        self.make_directory(path.parent)
        path.mkdir(DIRECTORY_MODE, exist_ok=True)
        self.sync_directory(path.parent)

    def claim(self, path: Path) -> Claim:
        return AddressClaim(path)

    def lock(self, path: Path, holder: str) -> Lock:
        return FileLock(path, holder)

    def holder(self, path: Path) -> str | None:
        try:
            descriptor = _open_regular(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if not _is_held(error):
                raise
            return _read_holder(descriptor)
        finally:
            os.close(descriptor)
        return None

    def names_in(self, path: Path) -> list[str]:
        return sorted(each.name for each in path.iterdir())

    def read(self, path: Path) -> bytes | None:
        try:
            descriptor = _open_regular(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MAX_FILE_BYTES)

    def identity(self, path: Path) -> tuple[int, int, int] | None:
        try:
            status = path.stat(follow_symlinks=False)
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_mtime_ns

    def write_synced(self, path: Path, content: bytes) -> None:
        # A new file each time: after a failed fsync the kernel may have dropped what was written to the old one.
        path.unlink(missing_ok=True)
        descriptor = _open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class FileLock:
    """An flock on a file of its own. The kernel releases it when the process ends, however it ends."""

    def __init__(self, path: Path, holder: str) -> None:
        self._path = path
        self._descriptor = _open_regular(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._keep_private()
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, holder.encode() + b"\n", 0)
            locked = os.fstat(self._descriptor)
        except OSError as error:
            other = _read_holder(self._descriptor) if _is_held(error) else ""
            os.close(self._descriptor)
            if _is_held(error):
                raise LockedError(other) from None
            raise
        self._identity = locked.st_dev, locked.st_ino  # no other file gets it while this one is open

    def stands(self) -> bool:
        try:
            found = self._path.stat(follow_symlinks=False)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def release(self) -> None:
        os.close(self._descriptor)

    def _keep_private(self) -> None:
        """Every user who may open the file may also lock it."""
        status = os.fstat(self._descriptor)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != FILE_MODE:
            os.fchmod(self._descriptor, FILE_MODE)


class AddressClaim:
    """A claim on a path by way of abstract Unix sockets, which Linux closes when the process ends.

    A lock is lost with its file: where a directory was moved or emptied, another process can take a new lock of the
    same name. An address in the abstract namespace is not a file. There are two: for the path as it is written, in this
    mount namespace, and for the name in the directory's parent, which stays the same when a service manager gives the
    process another mount namespace. A claim has no effect on processes in another network namespace, such as another
    container, nor on systems without abstract sockets.

    Any local user can bind an address, so it counts only if its owner is this user, root, or the directory's owner.
    """

    def __init__(self, path: Path) -> None:
        self._descriptors: list[int] = []
        try:
            for address in _addresses(path):
                self._bind(address, trusted={0, os.geteuid(), path.parent.stat().st_uid})
        except LockedError:
            self.release()
            raise

    def make_room(self) -> None:
        for descriptor in self._descriptors:
            _close_waiting(descriptor)

    def release(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _bind(self, address: bytes, trusted: set[int]) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(address)
            listener.listen()
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE and (holder := _listening(address, trusted)):
                raise LockedError(holder) from None
            return  # it only adds to the lock: where it is not supported, only the lock protects
        self._descriptors.append(listener.detach())


def _addresses(path: Path) -> list[bytes]:
    mount_namespace = Path("/proc/self/ns/mnt")
    if not sys.platform.startswith("linux") or not mount_namespace.exists():  # some sandboxes have no /proc
        return []
    directory = path.parent.resolve()
    above = directory.parent.stat()
    keys = [
        f"{mount_namespace.stat().st_ino} {path.absolute()}",
        f"{above.st_dev} {above.st_ino} {directory.name}/{path.name}",
    ]
    return [b"\0respid-" + hashlib.sha256(os.fsencode(key)).hexdigest().encode() for key in keys]


def _close_waiting(descriptor: int) -> None:
    """Closes the connections that wait at a non-blocking listener."""
    listener = socket.socket(fileno=descriptor)
    try:
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()
    finally:
        listener.detach()


def _listening(address: bytes, trusted: set[int]) -> str | None:
    """The process that listens at an address, if it may be one of those users; None if it is not."""
    kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as probe:
        try:
            probe.connect(address)
        except BlockingIOError:  # its queue is full: it was stopped, and many have asked since
            return "a process that does not answer"
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", credentials)
        return f"pid {pid}" if uid in trusted else None
    return None


def _warn_if_open(directory: Path) -> None:
    mode = directory.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        _log.warning(
            "%s can be written by any local user: chmod o-w %s",
            directory,
            directory,
            extra={"event": "state_dir_open"},
        )


def _open_regular(path: Path, flags: int) -> int:
    """Raises UnsafeFileError for a symbolic link, a FIFO, a device, a directory; OSError."""
    try:
        descriptor = os.open(path, flags | _SAFELY, FILE_MODE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnsafeFileError(errno.ELOOP, "it is a symbolic link", str(path)) from None
        if error.errno == errno.ENXIO:  # a FIFO that nobody reads
            raise UnsafeFileError(errno.ENXIO, "it is not a regular file", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafeFileError(errno.EINVAL, "it is not a regular file", str(path))
    return descriptor


def _is_held(error: OSError) -> bool:
    return error.errno in (errno.EWOULDBLOCK, errno.EACCES)


def _read_holder(descriptor: int) -> str:
    """Printable text only: it ends up in messages, and anybody may have written the file."""
    return re.sub(r"[^ -~]+", " ", os.pread(descriptor, 200, 0).decode("ascii", "replace")).strip()
