"""How long clients may keep the event loop busy before it looks at its sockets and timers again.

A round is one pass of the event loop. All clients share the time of a round: once it is used up, a client that sends
more waits for its turn in a later round. So health checks, metrics and the keeper are served in time, however many
clients ask for what is slow to answer. Never touches a socket.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

ROUND_NS = 8_000_000
UNAUTHENTICATED_ROUND_NS = 2_000_000
LATE_SHARE = 4  # one turn in so many is not an early one, so that a crowd of short requests does not stop long ones


class Budget:
    """The time that one kind of clients has left in this round, in nanoseconds."""

    __slots__ = ("left_ns", "round_ns")

    def __init__(self, round_ns: int) -> None:
        self.round_ns = self.left_ns = round_ns

    def begin_round(self) -> None:
        self.left_ns = self.round_ns

    @property
    def is_overdrawn(self) -> bool:
        """Whether twice the time of a round is used up, as when thousands of clients send at the same time."""
        return self.left_ns < -self.round_ns


class _Player(Protocol):
    def take_turn(self) -> None: ...


class Turns:
    """The clients that wait for a turn, which they get in the order in which they came.

    Early turns go before others, but for one in four: those of clients that have not had many.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], round_ns: int) -> None:
        self.budget = Budget(round_ns)
        self._call_soon = call_soon
        self._early: deque[_Player] = deque()
        self._queue: deque[_Player] = deque()
        self._played = 0
        self._is_scheduled = False

    def join(self, player: _Player, *, is_early: bool = False) -> None:
        (self._early if is_early else self._queue).append(player)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_soon(self._play)

    def _play(self) -> None:
        """Gives turns until the time of the round is used up. Those that come meanwhile wait for the next round."""
        self._is_scheduled = False
        self.budget.begin_round()
        for _ in range(len(self._early) + len(self._queue)):
            player = self._next()
            if self._early or self._queue:
                self._schedule()  # before the turn, which may fail
            player.take_turn()
            if self.budget.left_ns <= 0:
                break

    def _next(self) -> _Player:
        self._played += 1
        is_late = self._queue and (not self._early or self._played % LATE_SHARE == 0)
        return (self._queue if is_late else self._early).popleft()
