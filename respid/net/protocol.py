"""The skin of asyncio around a connection: its socket and back-pressure. Never parses."""

import asyncio
import select
from typing import cast

from respid.commands import Session
from respid.net.clients import Clients
from respid.net.connection import Connection, Next
from respid.net.peer import describe_peer, keep_alive
from respid.resp import errors

_READ = Next.READ  # looking a member of an enumeration up takes 80 ns more than a global, in a request of 850
HIGH_WATER_BYTES = 64 * 1024  # of replies that a client does not read, before no more are made
# The size of uvloop's buffer. While reads fill it, it goes on reading from the same client, up to 32 times before any
# other has its turn: four clients that sent what takes 5 ms a read held up another for 0.6 s.
FULL_READ_BYTES = 256_000
LINGER_SECONDS = 1.0  # for how long a connection that is being closed waits for the client to close it too


class RespProtocol(asyncio.Protocol):
    """One client's socket."""

    __slots__ = (
        "_clients",
        "_connection",
        "_ended",
        "_lingering",
        "_queued",
        "_reading_paused",
        "_transport",
        "_writing_paused",
    )

    _connection: Connection
    _transport: asyncio.Transport

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._reading_paused = False
        self._writing_paused = False
        self._queued = False  # for an ID: the waiting queue says when to go on
        self._ended = False  # the client will send no more
        self._lingering = False  # nothing more will be answered

    @property
    def session(self) -> Session:
        return self._connection.session

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        clients, worker = self._clients, self._clients.worker
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(HIGH_WATER_BYTES)  # that of TLS would be eight times as much
        if len(worker.clients) >= worker.config.max_clients:
            worker.stats.connections_rejected["max_clients"] += 1
            self._lingering = True
            self._transport.write(errors.MAX_CLIENTS)
            self._transport.close()
            return
        address = describe_peer(self._transport)
        self._connection = Connection(worker, clients.next_identifier(), address, clients.limits)
        clients.add(self)
        keep_alive(self._transport.get_extra_info("socket"), worker.config.tcp_keepalive_seconds)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        connection = self._connection
        output = connection.receive(data)
        if output:
            self._transport.write(output)
        if connection.next is not _READ:
            self.settle()
        elif len(data) >= FULL_READ_BYTES:
            self._pause_reading()
            self._clients.loop.call_soon(self.settle)
        elif self._clients.draining:
            self.settle()

    def eof_received(self) -> bool:
        """Answers what was read before it closes: a client may send its requests and shut down its side at once."""
        self._ended = True
        if not self._transport.can_write_eof():  # TLS ends both directions at once
            return False
        return not self._lingering and self._connection.next is not Next.READ

    def connection_lost(self, _error: Exception | None) -> None:
        self._ended = self._lingering = True
        self._clients.remove(self)

    def pause_writing(self) -> None:
        """The client does not read its replies: makes no more of them."""
        self._writing_paused = True
        self._pause_reading()

    def resume_writing(self) -> None:
        self._writing_paused = False
        self.settle()

    def go_on(self) -> bool:
        """A turn of the waiting queue."""
        if self._lingering:
            return False
        self._resume()
        needs_queue = self._connection.next is Next.WAIT or (
            self._connection.next is Next.TURN and self.session.since_ms is not None
        )
        if needs_queue and not self._writing_paused:
            return True
        self._queued = False
        self.settle()
        return False

    def settle(self) -> None:
        """Does what the connection's state calls for."""
        if self._lingering or self._writing_paused or self._queued:
            return
        match self._connection.next:
            case Next.READ if self._ended or (self._clients.draining and not self._has_unread()):
                self._close()
            case Next.READ:
                if self._reading_paused:
                    self._reading_paused = False
                    self._transport.resume_reading()
            case Next.TURN:
                self._pause_reading()
                self._clients.loop.call_soon(self._take_turn)
            case Next.WAIT:
                self._pause_reading()
                self._queued = True
                self._clients.wait_for_id(self)
            case Next.CLOSE:
                self._close()

    def close_if_idle(self) -> None:
        """Closes unless requests are being answered: then it closes after their last reply."""
        if self._connection.next is Next.READ:
            self.settle()

    @property
    def unsent_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    @property
    def is_answering(self) -> bool:
        return self._connection.next is not Next.READ

    @property
    def is_between_requests(self) -> bool:
        """Whether closing it now would cut off no request and no reply that have reached this machine."""
        if self._lingering or not self._connection.is_between_requests:
            return False
        return not self.unsent_bytes and not self._has_unread()

    def give_up(self, reason: str) -> None:
        """Closes whatever the client does, and counts why."""
        if self._lingering:
            return
        self._clients.worker.stats.connections_closed[reason] += 1
        if self.unsent_bytes or self.is_answering:
            self.abort()
        else:
            self._close()

    def _has_unread(self) -> bool:
        """Whether the client has sent what the event loop has not read yet."""
        connected = self._transport.get_extra_info("socket")
        if connected is None or self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(connected.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def abort(self) -> None:
        self._lingering = True
        self._transport.abort()

    def _take_turn(self) -> None:
        if not self._lingering and not self._writing_paused:
            self._resume()
            self.settle()

    def _resume(self) -> None:
        output = self._connection.resume()
        if output:
            self._transport.write(output)

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _close(self) -> None:
        """Ends our side once the replies are out, and lets the client end its own.

        Closing at once, with something unread, would make the kernel reset the connection and throw away replies that
        the client has not read yet.
        """
        self._lingering = True
        if self._ended or not self._transport.can_write_eof():  # TLS waits for the client's end by itself
            self._transport.close()
            return
        self._transport.write_eof()
        if self._reading_paused:
            self._transport.resume_reading()
        self._clients.loop.call_later(LINGER_SECONDS, self._transport.close)
