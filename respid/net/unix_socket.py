"""The Unix socket: creates its file with the right mode, and removes it. Never reads from a connection."""

import contextlib
import errno
import os
import socket
from pathlib import Path

from respid.net.bind import BACKLOG, StartError


class UnixSocket:
    """A listening socket in the file system. It replaces a file left by a killed server, not that of a running one."""

    def __init__(self, path: Path, mode: int) -> None:
        self._path = path
        self._mode = mode
        self._inode = 0

    def open(self) -> socket.socket:
        """Raises StartError."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._remove_abandoned()
            former_mask = os.umask(0o777 & ~self._mode)  # so that the mode is never wider, not even for a moment
            try:
                listening.bind(str(self._path))
            finally:
                os.umask(former_mask)
            listening.listen(BACKLOG)
            self._inode = self._path.stat().st_ino
        except OSError as error:
            listening.close()
            is_in_use = error.errno == errno.EADDRINUSE and self._path.is_socket()
            advice = "another process listens on it" if is_in_use else "choose another path"
            reason = error.strerror or error
            raise StartError(f"cannot listen on {self._path}: {reason}; {advice} (--unix-socket)") from None
        return listening

    def remove(self) -> None:
        """Removes the file, unless another one has taken its place."""
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def _remove_abandoned(self) -> None:
        """Removes only a socket that nobody listens on. `bind` then fails on anything else."""
        with contextlib.suppress(FileNotFoundError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if not self._path.is_socket():
                return
            probe.settimeout(0)
            if probe.connect_ex(str(self._path)) == errno.ECONNREFUSED:
                self._path.unlink()
