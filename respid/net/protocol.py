"""One Redis client's socket: passes bytes between asyncio and the connection. Never parses them."""

import asyncio
import select

from respid.commands import Session, SocketState
from respid.net.clients import Clients
from respid.net.connection import NS_PER_BYTE, READ_NS, Connection
from respid.net.flow_control import FlowControl
from respid.net.peer import describe_local_end, describe_peer, idle_seconds, keep_alive
from respid.net.states import Next, State
from respid.net.turns import Budget
from respid.resp import errors

# Looking up a member of an enumeration takes 80 ns more than a global, in a request of 850.
_READ = Next.READ
_READING = State.READING
# In these, the transport was given whole turns only. A client that does not read its replies gets no message, either.
_PUSHABLE = frozenset({State.READING, State.TURN, State.QUEUED})
# The size of uvloop's buffer. While reads fill it, uvloop reads from the same client up to 32 times before any other
# client has its turn: four clients that sent what takes 5 ms a read delayed another one by 0.6 s. Over TLS no read is
# as long (`tls_transport.READ_BYTES`).
FULL_READ_BYTES = 256_000
# Such a read of an unfinished request takes longer than a turn. Its client waits for one before it is read again, since
# one pass of the event loop reads from all clients that are not paused.
LONG_READ_BYTES = 16_000
# A client whose reads are as long as this does not just draw some IDs: they count against the round, however cheap.
# That takes 1 us of a read, which runs of 16 should not pay.
PIPELINE_READ_BYTES = 1024
BASE_BYTES = 4096  # measured: 2.7 KB, without what the kernel holds


class RespProtocol(FlowControl):
    """One client's socket."""

    __slots__ = ("_clients", "_connection", "_is_pipelining", "_untimed", "turns")

    _connection: Connection  # or what stands in for it while its next batch is timed; not if the client was rejected
    _untimed: Connection

    def __init__(self, clients: Clients) -> None:
        super().__init__(clients.loop)
        self._clients = clients
        self._is_pipelining = False  # since its last turn
        self.turns = 0  # that it waited for since it was last between two requests

    @property
    def session(self) -> Session:
        return self._connection.session

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        clients, worker = self._clients, self._clients.worker
        address = describe_peer(self._transport)
        if not clients.make_room():
            self._reject("max_clients", address, errors.MAX_CLIENTS)
            return
        self._connection = self._untimed = Connection(
            worker,
            clients.next_identifier(),
            address,
            clients.limits,
            budgets=clients.budgets,
        )
        self.session.describe_socket = self._describe_socket
        keep_alive(self._transport.get_extra_info("socket"), worker.config.tcp_keepalive_seconds)
        clients.add(self)  # it may be closed at once to free memory

    def _reject(self, reason: str, address: str, reply: bytes) -> None:
        """Closes a connection that does not become a client."""
        self._clients.worker.count_rejection(reason, address)
        self._state = State.CLOSING
        self._transport.write(reply)
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._state is not _READING:
            return  # it is being closed
        connection = self._connection
        output = connection.receive(data)
        if output:
            self._transport.write(output)
        if not connection.is_settled or len(data) >= PIPELINE_READ_BYTES or self._clients.is_attentive:
            self._go_on_after(data)

    def _go_on_after(self, data: bytes) -> None:
        connection = self._connection
        self._note_memory()
        if len(data) >= PIPELINE_READ_BYTES and connection.is_cheap:
            self._is_pipelining = True
            connection.budget.left_ns -= READ_NS + len(data) * NS_PER_BYTE
        read_limit_bytes = FULL_READ_BYTES if connection.is_between_requests else LONG_READ_BYTES
        # A client that sends pipelines waits when the time is used up, so that others need not wait for it.
        is_too_much = self._is_pipelining and connection.budget.left_ns <= 0
        if connection.next is not _READ:
            self._step(connection.next)
        elif len(data) >= read_limit_bytes or is_too_much:
            self._step(Next.TURN)
        elif self._clients.draining:
            self._step(self._next())
        elif self._clients.is_attentive:
            self._connection = self._clients.time_next_batch(self._connection, self._end_timing)
        if connection.budget.is_overdrawn:  # last, so that a client which already waits for its turn gets one only
            self._clients.hold_back(connection.budget)

    def _end_timing(self) -> None:
        self._connection = self._untimed

    def stop_timing(self) -> None:
        """If this client is being timed, another one is timed instead."""
        if self._connection is not self._untimed:
            self._end_timing()
            self._clients.choose_next()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._clients.remove(self)

    def answer(self) -> Next:
        self._write(self._connection.resume())
        if self._connection.is_between_requests:
            self.turns = 0
        self._note_memory()
        return self._next()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._clients.memory.note(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._clients.memory.note(self)

    def _note_memory(self) -> None:
        """Notes what the client holds, if it holds a part of a request or a transaction, or did until now."""
        if not self._connection.is_settled:
            self._connection.settle()
            self._clients.memory.note(self)

    def schedule_turn(self) -> None:
        self.turns += 1
        self._is_pipelining = False
        self._clients.wait_for_turn(self)

    def hold_back(self, budget: Budget) -> None:
        """Reads from the client after a turn only, if it uses this budget and does not just draw some IDs."""
        connection = self._connection
        is_drawing = connection.is_cheap and not self._is_pipelining
        if self._state is _READING and connection.budget is budget and not is_drawing:
            self.turns -= 1  # it may not have sent anything, so this is none of its turns
            self._step(Next.TURN)

    def join_queue(self) -> None:
        self._clients.wait_for_id(self)

    def go_on(self) -> bool:
        """Takes a turn of the waiting queue. Returns whether it needs more."""
        if self._state is State.CLOSING:
            return False
        needed = self.answer()
        if needed is Next.TURN and self.session.wait.since_ms is not None:
            needed = Next.WAIT  # a bulk request got some of its IDs and waits for the rest
        self._step(needed)
        return self._state is State.QUEUED

    def close_if_idle(self) -> None:
        """Closes now, or after the last reply if requests are being answered."""
        if self._state is _READING:
            self._step(self._next())

    def give_up(self, reason: str) -> None:
        """Closes whatever the client does, and counts the reason."""
        if self._state is State.CLOSING:
            if self.unsent_bytes:  # else it would stay for as long as the client does not read its last replies
                self._transport.abort()
            return
        self._clients.worker.count_closing(reason, self.session.address)
        if self.unsent_bytes or self.is_answering:
            self.abort()
        else:
            self._step(Next.CLOSE)

    def push(self, message: bytes) -> bool:
        """Writes a message that no request asked for, unless a reply has begun. Returns whether it did."""
        if self._state not in _PUSHABLE or not self._connection.is_between_replies:
            return False
        self._transport.write(message)
        return True

    def give_up_memory(self) -> None:
        """Closes at once, because all clients together hold too much memory."""
        self._clients.worker.count_closing("client_memory", self.session.address)
        self._connection.forget()
        self._clients.remove(self)  # so that it is not counted again before the transport has closed
        self.abort()

    @property
    def held_bytes(self) -> int:
        """The memory that the client holds: its state, requests, transactions and unread replies."""
        return self.base_bytes + self._transport.get_write_buffer_size() + self._connection.held_bytes

    @property
    def base_bytes(self) -> int:
        """The memory of a connection that does nothing."""
        return BASE_BYTES

    @property
    def is_newcomer(self) -> bool:
        return self.session.is_newcomer

    @property
    def unsent_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    @property
    def is_answering(self) -> bool:
        return self._connection.next is not _READ

    @property
    def is_between_requests(self) -> bool:
        """Whether closing now would lose no request and no reply that has reached this machine."""
        if self._state is not _READING or not self._connection.is_between_requests:
            return False
        return not self.unsent_bytes and not self._has_part() and not self._has_unread()

    def _next(self) -> Next:
        """The next need of the connection. In a drain, CLOSE once everything that the client sent is answered."""
        needed = self._connection.next
        clients = self._clients
        if not clients.draining or self in clients.staying:
            return needed
        is_amid = self.session.transaction is not None or self._has_part()
        if is_amid and not clients.cuts_off:
            return needed
        is_drained = needed is _READ and not self._has_unread()
        return Next.CLOSE if is_drained else needed

    def _has_part(self) -> bool:
        """Whether a part of a request has arrived."""
        return self._connection.has_part

    def _describe_socket(self) -> SocketState:
        connected = self._transport.get_extra_info("socket")
        return SocketState(
            describe_local_end(self._transport),
            connected.fileno(),
            idle_seconds(connected),
            self._connection.unread_bytes,
            self.unsent_bytes,
        )

    def _write(self, output: bytes) -> None:
        if output:
            self._transport.write(output)

    def _has_unread(self) -> bool:
        """Whether the socket holds data that the event loop has not read yet."""
        connected = self._transport.get_extra_info("socket")
        if connected is None or self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(connected.fileno(), select.POLLIN)
        return bool(poll.poll(0))
