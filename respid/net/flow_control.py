"""Flow control for one client's socket: when it is read, when it is answered, how it is closed. Never parses.

Redis clients and HTTP clients share it. `states` has the table that it follows.
"""

import asyncio
from typing import cast

from respid.net.states import TRANSITIONS, Event, Next, State, Writing

__all__ = ["FlowControl", "Next", "State"]

HIGH_WATER_BYTES = 64 * 1024  # of unread replies; above it, no more are made
LINGER_SECONDS = 1.0  # how long a connection that is being closed waits for the client to close it too
_READING = State.READING


class FlowControl(asyncio.Protocol):
    """A protocol that answers in turns and stops reading until everything that it has read is answered.

    Subclasses feed it with the events of `states`, and define how they answer and how their turns are scheduled.
    """

    __slots__ = ("_loop", "_state", "_transport")

    _transport: asyncio.Transport  # from connection_made on

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._state = _READING

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(HIGH_WATER_BYTES)

    def connection_lost(self, _error: Exception | None) -> None:
        self._state = State.CLOSING

    def eof_received(self) -> bool:
        """Returns whether to keep the connection, to answer what was read before the client ended its side.

        TLS ends both directions at once, so there is nobody left to answer.
        """
        if self._state is _READING or not self._transport.can_write_eof():
            self._state = State.CLOSING
        return self._state is not State.CLOSING

    def pause_writing(self) -> None:
        self._step(Writing.BLOCKED)

    def resume_writing(self) -> None:
        self._step(Writing.UNBLOCKED)

    def answer(self) -> Next:
        """Answers more of what was read; returns what it needs to go on."""
        raise NotImplementedError

    def schedule_turn(self) -> None:
        """Arranges for one call of `take_turn`, after other clients had theirs."""
        raise NotImplementedError

    def join_queue(self) -> None:
        """Joins the waiting queue. Only a protocol whose `answer` returns WAIT has one."""
        raise NotImplementedError

    def take_turn(self) -> None:
        if self._state is State.TURN:
            self._step(self.answer())
        elif self._state is State.TURN_BLOCKED:
            self._step(Next.TURN)

    def hang_up(self) -> None:
        """Ends our side once the replies are written, and lets the client end its own.

        Closing at once with unread data would make the kernel reset the connection, which throws away replies that
        the client has not read yet.
        """
        if not self._transport.can_write_eof():  # TLS waits for the client's end by itself
            self._transport.close()
            return
        self._transport.write_eof()
        self._transport.resume_reading()
        self._loop.call_later(LINGER_SECONDS, self._transport.close)

    def abort(self) -> None:
        """Closes at once, whatever the client does."""
        self._state = State.CLOSING
        self._transport.abort()

    def _step(self, event: Event) -> None:
        """Follows the table."""
        transition = TRANSITIONS[self._state].get(event)
        if transition is None:
            return
        was_reading = self._state is _READING
        self._state, action = transition
        if self._state is _READING:
            self._transport.resume_reading()
        elif was_reading:
            self._transport.pause_reading()
        if action is not None:
            action(self)
