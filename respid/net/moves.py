"""When a connection moves to another worker, and the message that asks its client to do so. Never touches a socket.

A client that is asked opens a new connection to the address it already has, which a load balancer gives to any worker,
and then closes the old one: no request fails and no reply is lost. Times are seconds of the monotonic clock.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

NEVER = math.inf
TTL_SECONDS = 10  # for a client to follow; it does so after half of them
LEAST_DRAIN_TTL_SECONDS = 2  # with less, clients that follow would find the worker still in the load balancer
DRAIN_MARGIN_SECONDS = 1.0  # between the moment when clients follow and the end of the drain
ROUND_SECONDS = 60.0  # within which connections reconnect after a worker appeared, and that each one lasts at least
SPREAD_SECONDS = 20.0  # over which those move at least that were opened together, even if it takes more than a round
SETTLED_SECONDS = 100.0  # after a worker appeared, when the last connection has moved because of it: 85, and the looks
_WORKER_BITS = 20  # of a number; with the seconds since 1970 it stays below 2^53, which a JavaScript number holds


def message(number: int, ttl_seconds: int) -> bytes:
    """The push message MOVING, without an endpoint. It has exactly four elements: drivers drop anything else."""
    return b">4\r\n$6\r\nMOVING\r\n:%d\r\n:%d\r\n_\r\n" % (number, ttl_seconds)


def age_ttl_seconds(age_seconds: float) -> int:
    """The time to follow at the maximum age. It is less if that age is short, so that no connection gets much older."""
    return max(1, min(TTL_SECONDS, round(age_seconds * 2 / 3)))


def drain_ttl_seconds(left_seconds: float) -> int | None:
    """The time to follow when the drain ends in this many seconds; None if that is too soon.

    Clients follow after half of it: as late as possible, when load balancers no longer choose this worker.
    """
    ttl_seconds = math.floor(2 * (left_seconds - DRAIN_MARGIN_SECONDS))
    return ttl_seconds if ttl_seconds >= LEAST_DRAIN_TTL_SECONDS else None


class Numbers:
    """The numbers of messages: no two alike, since drivers ignore a number that they have seen, from any worker."""

    def __init__(self, worker_id: int) -> None:
        self._worker_part = worker_id & ((1 << _WORKER_BITS) - 1)
        self._last = 0

    def next(self, wall_seconds: int) -> int:
        self._last = max(self._last + 1, wall_seconds)
        return self._last << _WORKER_BITS | self._worker_part


class Step(Enum):
    """The next thing to do about a connection."""

    STAY = "stay"
    ASK = "ask"
    CLOSE = "close"


@dataclass(slots=True)
class Departure:
    """When a connection leaves this worker, and why."""

    opened_at: float
    leaves_at: float = NEVER
    reason: str = "max_age"  # for closing it; a label of the metrics
    is_asked: bool = False
    has_read: bool = False  # the message: the client was active after it was asked

    def reconnect_at(self, at: float) -> None:
        """Leaves at this time, because there is a new worker, unless it leaves for another one or earlier anyway.

        So a moment stays as random as it was when several workers appear one after the other.
        """
        if at < self.leaves_at and not self.is_asked and self.reason != "new_worker":
            self.leaves_at, self.reason = at, "new_worker"

    def step(self, now: float, *, is_active: bool, can_be_asked: bool, may_be_closed: bool) -> Step:
        """Returns what to do at this time. `is_active` says whether the connection was used since the last look."""
        if now < self.leaves_at:
            return Step.STAY
        if self.is_asked:
            # A client that is idle reads the message with its next reply. If the connection were closed before that,
            # redis-py would print an error.
            if not is_active:
                self.leaves_at = now + TTL_SECONDS
            elif may_be_closed:
                return Step.CLOSE
            elif now >= self.leaves_at + ROUND_SECONDS:
                self.is_asked = False  # it is asked again
            return Step.STAY
        if can_be_asked:
            # An idle one carries no traffic, and is asked once it does. Closing it would be noticed at its next
            # request: go-redis over TLS then retries on the next idle ones, which were closed as well, and reports EOF.
            return Step.ASK if is_active else Step.STAY
        return Step.CLOSE if may_be_closed else Step.STAY

    def note_asked(self, until: float) -> None:
        self.is_asked, self.has_read, self.leaves_at, self.reason = True, False, until, "not_moved"

    def note_active(self, until: float) -> None:
        """The client was active. If it has just read the message, it has until this time to follow."""
        if self.is_asked and not self.has_read:
            self.has_read, self.leaves_at = True, until


class Rounds:
    """Lets connections reconnect after new workers have appeared, each at most once a minute.

    They do so within a minute. Those that moved because of an earlier worker, less than half a minute before, may need
    25 seconds more.
    """

    def __init__(self, random: Callable[[], float], now: float) -> None:
        """`random` returns numbers from 0 to 1. Connections opened soon after `now` may have moved to this worker."""
        self._random = random
        self._appeared_at = -NEVER  # when the last worker appeared that has had no round yet
        self._settles_at = now + SETTLED_SECONDS  # when no connection moves any more because of the last round
        self._settled_at = self._settles_at  # because of those before the last round

    def note_new_worker(self, now: float) -> None:
        self._appeared_at = now

    def begin(self) -> float:
        """Begins a round if one is due. Connections that were opened before the returned time have to reconnect."""
        appeared_at, self._appeared_at = self._appeared_at, -NEVER
        if appeared_at > -NEVER:
            self._settled_at, self._settles_at = self._settles_at, appeared_at + SETTLED_SECONDS
        return appeared_at

    def moment(self, opened_at: float, now: float) -> float:
        """A random moment of a round that begins now, early enough for a client to follow within it.

        A connection that may have been opened because of an earlier worker, less than a minute ago, first becomes a
        minute old. Many may have been opened at the same time, so they get a random moment after that.
        """
        has_moved = opened_at < self._settled_at
        earliest = max(now, opened_at + ROUND_SECONDS) if has_moved else now
        latest = max(earliest + SPREAD_SECONDS, now + ROUND_SECONDS - TTL_SECONDS / 2)
        return earliest + self._random() * (latest - earliest)
