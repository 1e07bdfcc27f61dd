"""Keeps two workers with one worker ID from sharing a port on this host. Never accepts a connection.

A port that is in use guards against that by itself, unless workers share it (--reuse-port). The lock of the state
directory guards only against workers with the same directory.
"""

import contextlib
import errno
import socket
import struct

from respid.net.bind import StartError
from respid.worker.config import Config

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class PortClaim:
    """Abstract Unix sockets, one for each port and this worker ID. The kernel frees them when the process ends.

    Like ports, they belong to a network namespace.
    """

    def __init__(self, config: Config) -> None:
        self._worker_id = config.worker_id
        self._ports = [port for port in (config.port, config.tls_port) if port] if config.reuse_port else []
        self._sockets: list[socket.socket] = []

    def take(self) -> None:
        """Raises StartError if another process has a port with this worker ID."""
        for port in self._ports:
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._sockets.append(claim)
            name = f"\0respid/port/{port}/worker/{self._worker_id}"
            try:
                claim.bind(name)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise StartError(f"cannot claim port {port}: {error.strerror}") from None
                raise StartError(
                    f"worker ID {self._worker_id} on port {port} is in use by {_describe_holder(name)};"
                    " choose another --worker-id, or stop that process"
                ) from None
            claim.listen(1)  # so that the kernel tells a second worker this process's ID

    def release(self) -> None:
        for claim in self._sockets:
            claim.close()


def _describe_holder(name: str) -> str:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        probe.connect(name)
        pid, _, _ = _CREDENTIALS.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        return f"pid {pid}"
    return "another process"
