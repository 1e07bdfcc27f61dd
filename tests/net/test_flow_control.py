"""The states of a socket: in any order of events it has one turn at a time, and reads only when it may."""

import asyncio
import copy
import itertools
from typing import cast

import pytest

from respid.net.flow_control import FlowControl
from respid.net.states import TRANSITIONS, Next, State, Writing

TURNS = {State.TURN, State.TURN_BLOCKED}
IN_QUEUE = {State.QUEUED, State.QUEUED_BLOCKED}


class RecordedTransport(asyncio.Transport):
    """Remembers how it was used."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True
        self.ended = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        assert not self.ended
        self.ended = True

    def close(self) -> None:
        pass

    def abort(self) -> None:
        self.ended = True


class ScriptedSocket(FlowControl):
    """A socket whose turns and places in the queue are counters, and whose answers the test sets."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.transport = RecordedTransport()
        self.connection_made(self.transport)
        self.turns_scheduled = 0
        self.places_in_queue = 0
        self.answers = 0
        self.needs = Next.READ
        self.blocks = False

    @property
    def state(self) -> State:
        return self._state

    @property
    def situation(self) -> tuple[State, int, int, bool]:
        return self._state, self.turns_scheduled, self.places_in_queue, self.transport.reading

    def answer(self) -> Next:
        self.answers += 1
        if self.blocks:
            self.pause_writing()
        return self.needs

    def schedule_turn(self) -> None:
        self.turns_scheduled += 1

    def join_queue(self) -> None:
        self.places_in_queue += 1

    def receive(self, needs: Next) -> None:
        """Requests arrive, if the socket is read."""
        if self.state is State.READING:
            self.needs = needs
            if self.blocks:
                self.pause_writing()
            self._step(needs)

    def come_round(self, needs: Next) -> None:
        """Makes a scheduled turn happen, or else a turn of the queue."""
        self.needs = needs
        if self.turns_scheduled:
            self.turns_scheduled -= 1
            self.take_turn()
        elif self.places_in_queue:
            if self.state is not State.CLOSING:
                self._step(self.answer())
            self.places_in_queue = int(self.state is State.QUEUED)


class _Loop:
    def call_later(self, _delay_seconds: float, _callback: object) -> None:
        pass


@pytest.fixture
def socket() -> ScriptedSocket:
    return ScriptedSocket(cast("asyncio.AbstractEventLoop", _Loop()))


EVENTS = {
    "receive": ScriptedSocket.receive,
    "come round": ScriptedSocket.come_round,
    "block": lambda socket, _needs: socket.pause_writing(),
    "unblock": lambda socket, _needs: socket.resume_writing(),
}


def check(socket: ScriptedSocket) -> None:
    if socket.state is State.CLOSING:
        assert socket.transport.ended
        return
    assert socket.transport.reading == (socket.state is State.READING)
    assert socket.turns_scheduled == (socket.state in TURNS)
    assert socket.places_in_queue == (socket.state in IN_QUEUE)


def test_any_order_of_events_is_safe(socket: ScriptedSocket) -> None:
    """Tries every event in every situation that can be reached."""
    situations = {socket.situation: socket}
    found = [socket]
    while found:
        before = found.pop()
        for event, needs, blocks in itertools.product(EVENTS.values(), Next, (False, True)):
            after = copy.deepcopy(before)
            after.blocks = blocks  # whether the client stops reading its replies while it is answered
            event(after, needs)
            check(after)
            assert before.state is not State.CLOSING or after.state is State.CLOSING
            if after.situation not in situations:
                situations[after.situation] = after
                found.append(after)
    assert {state for state, *_ in situations} == set(State)


def test_blocked_client_gets_no_turn(socket: ScriptedSocket) -> None:
    socket.receive(Next.TURN)
    socket.pause_writing()
    socket.come_round(Next.TURN)
    assert (socket.state, socket.answers, socket.turns_scheduled) == (State.BLOCKED, 0, 0)
    socket.resume_writing()
    assert (socket.state, socket.turns_scheduled) == (State.TURN, 1)


def test_unblocked_client_has_one_turn(socket: ScriptedSocket) -> None:
    socket.receive(Next.TURN)
    socket.pause_writing()
    socket.resume_writing()
    assert (socket.state, socket.turns_scheduled) == (State.TURN, 1)


def test_closing_is_the_only_final_state() -> None:
    for state, row in TRANSITIONS.items():
        assert (state is State.CLOSING) == (not row)
        assert (Writing.UNBLOCKED in row) != (Writing.BLOCKED in row) or state is State.CLOSING
