"""All listeners for Redis clients, opened and closed together. Never reads from a socket."""

import asyncio
import ipaddress
import logging
import socket

from respid.net.address import host_port, host_ports
from respid.net.bind import BACKLOG, bind, listen
from respid.net.clients import Clients
from respid.net.protocol import RespProtocol
from respid.net.tls import Tls
from respid.net.tls_listener import TlsListener
from respid.net.unix_socket import UnixSocket

_log = logging.getLogger(__name__)


class RespListeners:
    """The listeners for Redis clients that are configured: plain TCP, TLS, and a Unix socket."""

    def __init__(self, clients: Clients, tls: Tls | None) -> None:
        self._clients = clients
        self._tls = tls
        self._config = clients.worker.config
        self._servers: list[asyncio.Server] = []
        self._tls_listener: TlsListener | None = None
        self._unix_socket: UnixSocket | None = None

    async def open(self) -> None:
        """Raises StartError."""
        config, loop = self._config, self._clients.loop
        if config.port:
            sockets = bind(config.bind, config.port, "--bind", "--port", reuse_port=config.reuse_port)
            self._servers += await listen(loop, self._make_protocol, sockets)
        if config.unix_socket:
            self._unix_socket = UnixSocket(config.unix_socket, config.unix_socket_mode)
            listening = self._unix_socket.open()
            self._servers.append(await loop.create_unix_server(self._make_protocol, sock=listening, backlog=BACKLOG))
        if self._tls:
            self._tls_listener = TlsListener(self._clients, self._tls)
            sockets = bind(config.bind, config.tls_port, "--bind", "--tls-port", reuse_port=config.reuse_port)
            self._tls_listener.open(sockets)
        self._warn_about_open_access()

    def close(self) -> None:
        """Stops accepting connections. Connected clients stay."""
        for server in self._servers:
            server.close()
        if self._tls_listener:
            self._tls_listener.close()
        if self._unix_socket:
            self._unix_socket.remove()

    def describe(self) -> str:
        """The addresses, for the log."""
        config = self._config
        shown = [host_ports(config.bind, config.port)] if config.port else []
        shown += [f"{host_ports(config.bind, config.tls_port)} (TLS)"] if self._tls else []
        shown += [str(config.unix_socket)] if config.unix_socket else []
        return ", ".join(shown)

    def _make_protocol(self) -> RespProtocol:
        return RespProtocol(self._clients)

    def _warn_about_open_access(self) -> None:
        """Only warns: refusing clients, like Redis's protected mode, would break a first installation in a cluster."""
        if self._clients.worker.credentials.are_needed:
            return
        listening = [each for server in self._servers for each in server.sockets if each.family != socket.AF_UNIX]
        if self._tls_listener and self._config.tls_auth_clients != "yes":
            listening += self._tls_listener.sockets
        names = (each.getsockname()[:2] for each in listening)
        if reachable := [host_port(host, port) for host, port in names if not _is_loopback(host)]:
            message = "no password set: anyone who can connect to %s can draw IDs; set RESPID_PASSWORD_FILE"
            _log.warning(message, ", ".join(reachable), extra={"event": "no_password"})


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback
