"""The states of one client's socket, and the table of how it moves between them. Never touches a socket.

A socket is read in READING only, so a client's next requests wait in the kernel while its earlier ones do. In CLOSING,
further input is discarded.
"""

from collections.abc import Callable
from enum import Enum
from operator import methodcaller
from typing import Any


class Next(Enum):
    """The next thing that a connection needs to continue."""

    READ = "read"  # more bytes: everything that was read is answered
    TURN = "turn"  # nothing; it yields to other clients
    WAIT = "wait"  # an ID; none is available now
    CLOSE = "close"  # nothing; its replies are complete


class Writing(Enum):
    """An event that a transport reports about the replies."""

    BLOCKED = "blocked"  # the client does not read them: no more are made
    UNBLOCKED = "unblocked"


class State(Enum):
    """The thing that a socket waits for."""

    READING = "reading"  # requests
    TURN = "turn"  # its turn, which is scheduled
    QUEUED = "queued"  # an ID: the waiting queue gives it its turns
    BLOCKED = "blocked"  # the client, which does not read its replies
    TURN_BLOCKED = "turn, blocked"  # both: a turn that is scheduled is not scheduled twice
    QUEUED_BLOCKED = "queued, blocked"  # both: a socket that is in the queue does not join it twice
    CLOSING = "closing"  # the end: nothing more is answered


Event = Next | Writing
Action = Callable[[Any], None] | None

SCHEDULE_TURN = methodcaller("schedule_turn")
JOIN_QUEUE = methodcaller("join_queue")
HANG_UP = methodcaller("hang_up")

# An event that is missing from a state's row changes nothing.
TRANSITIONS: dict[State, dict[Event, tuple[State, Action]]] = {
    State.READING: {
        Next.TURN: (State.TURN, SCHEDULE_TURN),
        Next.WAIT: (State.QUEUED, JOIN_QUEUE),
        Next.CLOSE: (State.CLOSING, HANG_UP),
        Writing.BLOCKED: (State.BLOCKED, None),
    },
    State.TURN: {
        Next.READ: (State.READING, None),
        Next.TURN: (State.TURN, SCHEDULE_TURN),
        Next.WAIT: (State.QUEUED, JOIN_QUEUE),
        Next.CLOSE: (State.CLOSING, HANG_UP),
        Writing.BLOCKED: (State.TURN_BLOCKED, None),
    },
    State.QUEUED: {
        Next.READ: (State.READING, None),
        Next.TURN: (State.TURN, SCHEDULE_TURN),
        Next.CLOSE: (State.CLOSING, HANG_UP),
        Writing.BLOCKED: (State.QUEUED_BLOCKED, None),
    },
    State.BLOCKED: {
        Writing.UNBLOCKED: (State.TURN, SCHEDULE_TURN),
    },
    # These two have had their turn when one of the first four events comes; the reply of that turn may have blocked it.
    State.TURN_BLOCKED: {
        Next.READ: (State.BLOCKED, None),
        Next.TURN: (State.BLOCKED, None),
        Next.WAIT: (State.BLOCKED, None),
        Next.CLOSE: (State.BLOCKED, None),
        Writing.UNBLOCKED: (State.TURN, None),
    },
    State.QUEUED_BLOCKED: {
        Next.READ: (State.BLOCKED, None),
        Next.TURN: (State.BLOCKED, None),
        Next.WAIT: (State.BLOCKED, None),
        Next.CLOSE: (State.BLOCKED, None),
        Writing.UNBLOCKED: (State.QUEUED, None),
    },
    State.CLOSING: {},
}
