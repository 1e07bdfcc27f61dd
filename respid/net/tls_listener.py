"""The TLS listener: accepts connections and bounds their handshakes. Never reads a request."""

import asyncio
import logging
import socket

from respid.net.bind import BACKLOG, start_errors
from respid.net.clients import Clients
from respid.net.flow_control import LINGER_SECONDS
from respid.net.protocol import RespProtocol
from respid.net.tls import Tls

# A connection is not a client before its handshake is complete, so max clients does not bound these.
HANDSHAKE_SECONDS = 10.0
MAX_HANDSHAKES = 256
ACCEPT_PAUSE_SECONDS = 1.0  # after an error, such as too many open files
_log = logging.getLogger(__name__)


class TlsListener:
    """Accepts connections itself, to bound the number of handshakes and to use the newest certificate for each."""

    def __init__(self, clients: Clients, tls: Tls) -> None:
        self._clients = clients
        self._tls = tls
        self.sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._handshakes: set[asyncio.Task[None]] = set()

    def open(self, bind: str, port: int) -> None:
        """Raises StartError."""
        with start_errors(f"{bind}:{port}", "--bind", "--tls-port"):
            found = socket.getaddrinfo(bind or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                self.sockets.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
        for listening in self.sockets:
            listening.settimeout(0)
            self._accepting.append(self._clients.loop.create_task(self._accept(listening)))

    def close(self) -> None:
        for task in (*self._accepting, *self._handshakes):
            task.cancel()
        for listening in self.sockets:
            self._clients.loop.remove_reader(listening)
            listening.close()

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connected, address = await self._clients.loop.sock_accept(listening)
            except OSError as error:
                _log.error("cannot accept a TLS connection: %s", error.strerror, extra={"event": "accept_failed"})
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            if len(self._handshakes) == MAX_HANDSHAKES:
                self._clients.worker.stats.connections_rejected["tls_handshakes"] += 1
                connected.close()
                continue
            task = self._clients.loop.create_task(self._shake_hands(connected, address))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connected: socket.socket, address: object) -> None:
        try:
            await self._clients.loop.connect_accepted_socket(
                lambda: RespProtocol(self._clients),
                connected,
                ssl=self._tls.context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=LINGER_SECONDS,
            )
        except OSError as error:
            connected.close()
            self._clients.worker.stats.connections_rejected["tls_handshake_failed"] += 1
            _log.debug("TLS handshake with %s failed: %s", address, error, extra={"event": "tls_handshake_failed"})
        except asyncio.CancelledError:
            connected.close()
            raise
