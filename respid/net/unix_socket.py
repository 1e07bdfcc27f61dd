"""The Unix socket: how its file is made, and when it is removed. Never reads a connection."""

import contextlib
import errno
import os
import socket
from pathlib import Path

from respid.net.bind import BACKLOG, StartError


class UnixSocket:
    """A socket in the file system. A file that a killed server has left is replaced, that of a running one is not."""

    def __init__(self, path: Path, mode: int) -> None:
        self._path = path
        self._mode = mode
        self._inode = 0

    def open(self) -> socket.socket:
        """Raises StartError."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._remove_abandoned()
            former_mask = os.umask(0o777 & ~self._mode)  # never open wider, not even for a moment
            try:
                listening.bind(str(self._path))
            finally:
                os.umask(former_mask)
            listening.listen(BACKLOG)
            self._inode = self._path.stat().st_ino
        except OSError as error:
            listening.close()
            is_in_use = error.errno == errno.EADDRINUSE and self._path.is_socket()
            advice = "another process listens there" if is_in_use else "choose another path"
            reason = error.strerror or error
            raise StartError(f"cannot listen on {self._path}: {reason}; {advice} (--unix-socket)") from None
        return listening

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def _remove_abandoned(self) -> None:
        """Only a socket on which nobody listens; anything else is left for `bind` to complain about."""
        with contextlib.suppress(FileNotFoundError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if not self._path.is_socket():
                return
            probe.settimeout(0)
            if probe.connect_ex(str(self._path)) == errno.ECONNREFUSED:
                self._path.unlink()
