"""The TLS listener: accepts connections and bounds their handshakes. Never reads a request."""

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from respid.net.address import host_port
from respid.net.clients import Clients
from respid.net.crowd import Crowd
from respid.net.flow_control import FlowControl, Next, State
from respid.net.peer import describe_peer
from respid.net.protocol import RespProtocol
from respid.net.tls import Tls
from respid.net.tls_transport import TlsTransport
from respid.net.turns import Budget, Turns
from respid.resp import errors

# A connection is not a client before its handshake is complete, so max clients does not bound these.
HANDSHAKE_SECONDS = 10.0  # from the moment that a client connects
MAX_HANDSHAKES = 256
# A handshake takes about a millisecond, most of it to sign with an RSA key. So many may go on in one pass of the event
# loop, although those that wait for bytes may all get them at once.
HANDSHAKE_NS = 1_000_000
ROUND_NS = 4_000_000
# What TLS adds to the time of a read.
TLS_READ_NS = 5_000
TLS_NS_PER_BYTE = 1
# Measured: 21 KB after the handshake, and 43 KB while a record of 16 KB is incomplete, without what the kernel holds.
TLS_BASE_BYTES = 48 * 1024
ACCEPT_PAUSE_SECONDS = 1.0  # after an error, such as too many open files
_log = logging.getLogger(__name__)
_CLOSING = State.CLOSING  # looking up a member of an enumeration takes 80 ns
_NAME_REFUSED = errors.error("DENIED the client certificate has none of the names that this server lets in")


class _TlsProtocol(RespProtocol):
    """One client's socket, refused if its certificate has no accepted name."""

    __slots__ = ("_tls",)

    _transport: TlsTransport

    def __init__(self, clients: Clients, tls: Tls) -> None:
        super().__init__(clients)
        self._tls = tls

    @property
    def base_bytes(self) -> int:
        return TLS_BASE_BYTES

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._tls.admits(transport.get_extra_info("peercert")):
            super().connection_made(transport)
        else:
            FlowControl.connection_made(self, transport)
            self._reject("tls_client_name", describe_peer(self._transport), _NAME_REFUSED)

    def data_received(self, data: bytes) -> None:
        RespProtocol.data_received(self, data)  # super() takes 0.1 us more
        if self._state is not _CLOSING and not self._connection.is_cheap:
            self._connection.budget.left_ns -= TLS_READ_NS + len(data) * TLS_NS_PER_BYTE

    def _has_part(self) -> bool:
        return super()._has_part() or self._transport.has_part

    def note_long_read(self, taken_ns: int) -> None:
        """Takes the time to decrypt from the budget. The client waits for its turn if nothing is left of it."""
        if self._state is State.CLOSING:
            return
        connection = self._connection
        connection.note_long_read(taken_ns)
        if self._state is State.READING and connection.budget.left_ns <= 0:
            self._step(Next.TURN)
        if connection.budget.is_overdrawn:
            self._clients.hold_back(connection.budget)


class _HandshakeTurn:
    """The turn of a client of which a part of the handshake has arrived."""

    def __init__(self, go_on: Callable[[], bool], budget: Budget) -> None:
        self._go_on = go_on
        self._budget = budget

    def take_turn(self) -> None:
        if self._go_on():  # else the handshake has made room for others, and takes no time from them
            self._budget.left_ns -= HANDSHAKE_NS


class TlsListener:
    """Accepts connections itself, to bound the number of handshakes and to use the newest certificate for each.

    When there are too many, one makes room for each newcomer: the one that has waited longest, of the peer that has
    most. Connections that have sent nothing go first, so silent ones keep nobody out.
    """

    def __init__(self, clients: Clients, tls: Tls) -> None:
        self._clients = clients
        self._tls = tls
        self.sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._silent: Crowd[asyncio.Task[None]] = Crowd()  # they have sent nothing yet
        self._handshakes: Crowd[asyncio.Task[None]] = Crowd()  # the others
        self._turns = Turns(clients.loop.call_soon, ROUND_NS)

    def open(self, sockets: list[socket.socket]) -> None:
        self.sockets = sockets
        for listening in sockets:
            listening.settimeout(0)
            self._accepting.append(self._clients.loop.create_task(self._accept(listening)))

    def close(self) -> None:
        for task in (*self._accepting, *self._silent, *self._handshakes):
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
            self._make_room()
            task = self._clients.loop.create_task(self._shake_hands(connected, address))
            self._silent.add(task, _describe(address))
            task.add_done_callback(partial(self._end, connected))

    def _make_room(self) -> None:
        if len(self._silent) + len(self._handshakes) < MAX_HANDSHAKES:
            return
        crowd = self._silent or self._handshakes
        task = crowd.longest_waiting()
        self._clients.worker.count_rejection("tls_handshakes", crowd.address(task))
        self._forget(task)
        task.cancel()

    def _end(self, connected: socket.socket, task: asyncio.Task[None]) -> None:
        self._forget(task)
        if task.cancelled():  # maybe before it began
            connected.close()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._silent.discard(task)
        self._handshakes.discard(task)

    async def _shake_hands(self, connected: socket.socket, address: Any) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await self._wait_for_bytes(connected)
                self._begin(address)
                await self._complete(connected)
        except OSError as error:
            connected.close()
            self._clients.worker.count_rejection("tls_handshake_failed", _describe(address))
            reason = str(error) or f"not complete after {HANDSHAKE_SECONDS:g} s"
            _log.debug(
                "TLS handshake with %s failed: %s", _describe(address), reason, extra={"event": "tls_handshake_failed"}
            )

    async def _complete(self, connected: socket.socket) -> None:
        """Raises OSError."""
        loop, client = self._clients.loop, _TlsProtocol(self._clients, self._tls)
        transport = TlsTransport(
            loop,
            self._tls.context,
            client,
            wait_for_turn=self._wait_for_turn,
            note_long_read=client.note_long_read,
        )
        await loop.connect_accepted_socket(lambda: transport, connected)
        try:
            await transport.established
        except asyncio.CancelledError:  # by the timeout, or to make room
            transport.abort()
            raise

    def _wait_for_turn(self, go_on: Callable[[], bool]) -> None:
        self._turns.join(_HandshakeTurn(go_on, self._turns.budget))

    async def _wait_for_bytes(self, connected: socket.socket) -> None:
        """Waits for the client to begin: until then, its handshake takes no memory for its TLS state."""
        loop, arrived = self._clients.loop, asyncio.Event()
        loop.add_reader(connected, arrived.set)
        try:
            await arrived.wait()
        finally:
            loop.remove_reader(connected)

    def _begin(self, address: Any) -> None:
        """Notes that this handshake has received its first byte."""
        task = asyncio.current_task()
        if task is not None:
            self._silent.discard(task)
            self._handshakes.add(task, _describe(address))


def _describe(address: Any) -> str:
    """HOST:PORT of a TCP address."""
    return host_port(*address[:2])
