"""The sockets on which clients of Redis are waited for, and what may go wrong when they are opened. Never reads one."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from respid.net.protocol import LINGER_SECONDS, RespListener, RespProtocol
from respid.net.tls import Tls

BACKLOG = 1024
# Handshakes that are not complete are no clients yet, so they have a bound of their own.
HANDSHAKE_SECONDS = 10.0
MAX_HANDSHAKES = 256
ACCEPT_PAUSE_SECONDS = 1.0  # when no more files can be opened
_log = logging.getLogger(__name__)


class StartError(Exception):
    """The server cannot start; the message is one line that says what to do."""


class RespListeners:
    """All listeners for clients of Redis: plain TCP, TLS and a Unix socket, as far as they are set."""

    def __init__(self, resp: RespListener, tls: Tls | None) -> None:
        self._resp = resp
        self._tls = tls
        self._config = resp.worker.config
        self._servers: list[asyncio.Server] = []
        self._tls_listener: TlsListener | None = None
        self._unix_socket: UnixSocket | None = None

    async def open(self) -> None:
        """Raises StartError."""
        config, loop = self._config, self._resp.loop
        if config.port:
            self._servers.append(await listen(loop, self._make_protocol, config.bind, config.port))
        if config.unix_socket:
            self._unix_socket = UnixSocket(config.unix_socket, config.unix_socket_mode)
            listening = self._unix_socket.open()
            self._servers.append(await loop.create_unix_server(self._make_protocol, sock=listening, backlog=BACKLOG))
        if self._tls:
            self._tls_listener = TlsListener(self._resp, self._tls)
            self._tls_listener.open(config.bind, config.tls_port)
        self._warn_of_strangers()

    def close(self) -> None:
        """Lets nobody in any more; who is connected stays."""
        for server in self._servers:
            server.close()
        if self._tls_listener:
            self._tls_listener.close()
        if self._unix_socket:
            self._unix_socket.remove()

    def describe(self) -> str:
        config = self._config
        shown = [f"{config.bind}:{config.port}"] if config.port else []
        shown += [f"{config.bind}:{config.tls_port} (TLS)"] if self._tls else []
        shown += [str(config.unix_socket)] if config.unix_socket else []
        return ", ".join(shown)

    def _make_protocol(self) -> RespProtocol:
        return RespProtocol(self._resp)

    def _warn_of_strangers(self) -> None:
        """Refusing them, as redis-server's protected mode does, would break a first installation in a cluster."""
        if self._resp.worker.credentials.are_needed:
            return
        listening = [each for server in self._servers for each in server.sockets if each.family != socket.AF_UNIX]
        if self._tls_listener and self._config.tls_auth_clients != "yes":
            listening += self._tls_listener.sockets
        for host, port, *_ in (each.getsockname() for each in listening):
            if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
                _log.warning(
                    "no password: whoever reaches %s port %d can draw IDs; set RESPID_PASSWORD_FILE", host, port
                )


class TlsListener:
    """Accepts connections by itself, so that it can bound the handshakes, and has the newest certificate for each."""

    def __init__(self, resp: RespListener, tls: Tls) -> None:
        self._resp = resp
        self._tls = tls
        self.sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._handshakes: set[asyncio.Task[None]] = set()

    def open(self, bind: str, port: int) -> None:
        """Raises StartError."""
        with _start_errors(f"{bind}:{port}", "--bind", "--tls-port"):
            found = socket.getaddrinfo(bind or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                self.sockets.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
        for listening in self.sockets:
            listening.settimeout(0)
            self._accepting.append(self._resp.loop.create_task(self._accept(listening)))

    def close(self) -> None:
        for task in (*self._accepting, *self._handshakes):
            task.cancel()
        for listening in self.sockets:
            self._resp.loop.remove_reader(listening)
            listening.close()

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connected, address = await self._resp.loop.sock_accept(listening)
            except OSError as error:
                _log.error("cannot accept a connection: %s", error.strerror)
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            if len(self._handshakes) == MAX_HANDSHAKES:
                self._resp.worker.stats.connections_rejected["tls_handshakes"] += 1
                connected.close()
                continue
            task = self._resp.loop.create_task(self._shake_hands(connected, address))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connected: socket.socket, address: object) -> None:
        try:
            await self._resp.loop.connect_accepted_socket(
                lambda: RespProtocol(self._resp),
                connected,
                ssl=self._tls.context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=LINGER_SECONDS,
            )
        except OSError as error:
            connected.close()
            self._resp.worker.stats.connections_rejected["tls_handshake_failed"] += 1
            _log.debug("no TLS with %s: %s", address, error)
        except asyncio.CancelledError:
            connected.close()
            raise


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


async def listen(
    loop: asyncio.AbstractEventLoop, factory: Callable[[], asyncio.Protocol], bind: str, port: int, prefix: str = ""
) -> asyncio.Server:
    """Listens where the options `--{prefix}bind` and `--{prefix}port` say. Raises StartError."""
    with _start_errors(f"{bind}:{port}", f"--{prefix}bind", f"--{prefix}port"):
        return await loop.create_server(factory, bind, port, backlog=BACKLOG)


@contextlib.contextmanager
def _start_errors(address: str, bind_option: str, port_option: str) -> Iterator[None]:
    """Explains what went wrong by a StartError."""
    try:
        yield
    except (OSError, UnicodeError) as error:  # the latter of a name that cannot be looked up
        number = getattr(error, "errno", None)
        advice = f"set {bind_option} to an address of this machine"
        if number in (errno.EADDRINUSE, errno.EACCES):
            advice = f"choose another {port_option}"
        if number == errno.EADDRINUSE:
            advice += ", or stop what uses it"
        reason = getattr(error, "strerror", None) or error
        raise StartError(f"cannot listen on {address}: {reason}; {advice}") from None
