"""Issues IDs: none twice, each greater than those before it, all below the ceiling.

Pure: it is given a clock and a ceiling, does no IO, never sleeps and logs nothing. If no ID can be issued now, it says
so, and the caller comes back later.
"""

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from enum import Enum

from respid.ids.clock import Clock
from respid.ids.layout import Layout

NOTHING = (0, 0)
MAX_SEQUENCE_RESET = 1024
DEFAULT_SEQUENCE_RESET = 256
CATCH_UP_MS = 100
_RANDOM_BITS = 32
_MILLISECOND_NS = 1_000_000


class Obstacle(Enum):
    """Why a generator issues nothing, apart from a spent sequence."""

    CEILING = "ceiling"  # the reservation is used up, has expired, or is not there yet
    CLOCK = "clock"  # the wall clock shows a time that cannot be right, such as 1970
    LEAD = "lead"  # the wall clock was set back by more than the permitted lead
    SEALED = "sealed"  # it has stopped for good
    LAYOUT_END = "layout end"  # the timestamp bits are used up


def default_sequence_reset(layout: Layout) -> int:
    """256, or a sixteenth of the sequence if that is less."""
    return max(1, min(DEFAULT_SEQUENCE_RESET, layout.sequence_size // 16))


def max_sequence_reset(layout: Layout) -> int:
    """1024, or the size of the sequence if that is less."""
    return min(MAX_SEQUENCE_RESET, layout.sequence_size)


class Generator:
    """Issues the IDs of one worker: `take`, `take_block` and those for several blocks.

    Its time is that of the wall clock, but never before its last ID. If the wall clock is behind, the generator stays
    on its last millisecond. It goes on to the next one only when the sequence is spent, and no sooner than a monotonic
    millisecond after it opened the last one. So its lead over a clock that was set back only shrinks.

    A new millisecond starts at a random sequence below `sequence_reset`, to spread `id % N` evenly for N up to it, at
    low load and when a client draws for several tables in turn. It starts at 0 right after a millisecond whose sequence
    was spent, so that a saturated worker loses no ID, and for a block that would not fit otherwise. `random_bits`
    returns that many random bits, as `random.getrandbits` does; uniqueness does not depend on them.

    A wall clock that shows a time before `earliest_ms` or the epoch is wrong: nothing is issued until it is set. No ID
    has an earlier timestamp, either, if the clock is set back so far just before the first one.

    Raises ValueError for a worker ID or a sequence reset that is out of the layout's range.
    """

    __slots__ = (
        "_before_first",
        "_boot_ns",
        "_ceiling_ms",
        "_earliest_ms",
        "_end_id",
        "_end_ns",
        "_exhausted_ms",
        "_expires_ns",
        "_floor_ms",
        "_lead_limit_ms",
        "_limit_ms",
        "_monotonic_ns",
        "_next_id",
        "_opened_ns",
        "_origin_id",
        "_random_bits",
        "_sealed",
        "_sequence_reset",
        "_sequence_size",
        "_shift",
        "_start_ns",
        "_stopped_ns",
        "_timestamp_ms",
        "_wall_ms",
        "_wall_ns",
        "layout",
        "milliseconds_exhausted",
        "queued",
        "worker_id",
    )

    def __init__(
        self,
        layout: Layout,
        worker_id: int,
        clock: Clock,
        *,
        sequence_reset: int | None = None,
        lead_limit_ms: int = 600_000,
        earliest_ms: int = 0,
        random_bits: Callable[[int], int] = random.getrandbits,
    ) -> None:
        if not 0 <= worker_id < layout.workers:
            raise ValueError(
                f"worker ID {worker_id} is not 0 to {layout.workers - 1}, the worker IDs of {layout.widths}"
            )
        if sequence_reset is None:
            sequence_reset = default_sequence_reset(layout)
        most = max_sequence_reset(layout)
        if not 1 <= sequence_reset <= most:
            raise ValueError(f"sequence reset {sequence_reset} is not 1 to {most}, the range for {layout.widths}")
        self.layout = layout
        self.worker_id = worker_id
        # True while requests wait. Then only requests that have waited may open a millisecond, so none is overtaken.
        self.queued = False
        # How many milliseconds had too few IDs left for a request.
        self.milliseconds_exhausted = 0
        self._exhausted_ms = 0
        self.use_clock(clock)
        self._shift = layout.timestamp_shift
        self._origin_id = layout.compose(0, worker_id, 0)
        self._sequence_size = layout.sequence_size
        self._sequence_reset = sequence_reset
        self._random_bits = random_bits
        self._lead_limit_ms = lead_limit_ms
        self._earliest_ms = max(earliest_ms, layout.epoch_ms)
        self._floor_ms = layout.epoch_ms
        self._timestamp_ms = layout.epoch_ms - 1
        self._opened_ns = clock.monotonic_ns() - _MILLISECOND_NS
        # The current millisecond: its next ID, and the first beyond it.
        self._next_id = self._end_id = 0
        # Its begin and end in Unix nanoseconds: to compare them is faster than to divide the time in each call.
        self._start_ns = self._end_ns = 0
        # The next ID minus this is the number of issued IDs, which `take` need not count.
        self._before_first = 0
        self._ceiling_ms = 0
        # The ceiling, or 0 while `obstacle` has found that nothing may be issued below it either.
        self._limit_ms = 0
        self._expires_ns: int | None = None
        self._sealed = False
        self._stopped_ns: int | None = None

    def use_clock(self, clock: Clock) -> None:
        """Uses this clock from now on."""
        self._monotonic_ns = clock.monotonic_ns
        self._boot_ns = clock.boot_ns
        self._wall_ms = clock.wall_ms
        self._wall_ns = clock.wall_ns

    def begin(self, floor_ms: int, ceiling_ms: int) -> None:
        """Permits Unix milliseconds from `floor_ms` up to, not including, `ceiling_ms`. Call once, before any ID."""
        self._floor_ms = max(floor_ms, self.layout.epoch_ms)
        self._timestamp_ms = max(floor_ms, self._earliest_ms) - 1
        self.raise_ceiling(ceiling_ms)

    def raise_ceiling(self, ceiling_ms: int) -> None:
        """Permits timestamps up to, not including, this Unix millisecond, which must be durably stored already."""
        if not self._sealed:
            self._ceiling_ms = self._limit_ms = max(self._ceiling_ms, min(ceiling_ms, self.layout.end_ms))

    def lower_ceiling(self, ceiling_ms: int) -> None:
        """Gives up timestamps from this Unix millisecond on. Call it before the lower ceiling is stored."""
        self._ceiling_ms = min(self._ceiling_ms, max(ceiling_ms, self._timestamp_ms + 1))
        self._limit_ms = min(self._limit_ms, self._ceiling_ms)

    def expire_at(self, boot_ns: int) -> None:
        """Sets the boot time at which the reservation below the ceiling ends, whatever the wall clock shows.

        Until then, a wall clock that was set forward to the ceiling or beyond stops nothing: timestamps go on as far
        below the ceiling as the boot time is from this. Without it, the reservation lasts as long as the wall clock is
        below the ceiling.
        """
        self._expires_ns = boot_ns

    def seal(self) -> int:
        """Stops issuing for good. Returns the first Unix millisecond that a successor may issue.

        It can be called again, which matters if `begin` came in between.
        """
        end_ms = self._timestamp_ms + 1 if self.ids_issued else self._floor_ms
        self._sealed = True
        self._ceiling_ms = self._limit_ms = 0
        self._end_id = self._next_id
        return end_ms

    def take(self, count: int, since_ms: int | None = None) -> tuple[int, int]:
        """Takes up to `count` consecutive IDs of one millisecond: (first ID, number), or (0, 0) if it can take none.

        `since_ms` is the Unix millisecond since which the request has waited, if it has. It may still use the
        milliseconds that have passed since, at most `CATCH_UP_MS` of them, so IDs are not lost if it comes back late.
        """
        now_ns = self._wall_ns()
        first = self._next_id
        after = first + count
        if after > self._end_id or not self._start_ns <= now_ns < self._end_ns:
            if not self._advance(now_ns // _MILLISECOND_NS, since_ms, 1):
                return NOTHING
            first = self._next_id
            after = min(first + count, self._end_id)
            count = after - first
        self._next_id = after
        return first, count

    def take_block(self, count: int, since_ms: int | None = None) -> tuple[int, int]:
        """Takes exactly `count` consecutive IDs of one millisecond, or (0, 0) if that is not possible now.

        A block that does not fit into the rest of a millisecond opens the next one, at sequence 0 if need be, so any
        block up to the size of the sequence is served in the end. Raises ValueError for a larger one.
        """
        first, blocks = self.take_blocks(count, 1, since_ms)
        return (first, count) if blocks else NOTHING

    def take_blocks(self, size: int, count: int, since_ms: int | None = None) -> tuple[int, int]:
        """Takes up to `count` adjacent blocks of `size` IDs, as that many calls of `take_block` in this instant would.

        Returns the first ID of the first block and the number of blocks, all of one millisecond, or (0, 0).
        """
        if not 1 <= size <= self._sequence_size:
            raise ValueError(f"a block of {size} IDs is not 1 to {self._sequence_size}, the size of the sequence")
        now_ns = self._wall_ns()
        is_current = self._start_ns <= now_ns < self._end_ns and self._end_id - self._next_id >= size
        if not is_current and not self._advance(now_ns // _MILLISECOND_NS, since_ms, size):
            return NOTHING
        first = self._next_id
        count = min(count, (self._end_id - first) // size)
        self._next_id = first + count * size
        return first, count

    def take_different_blocks(self, ends: Sequence[int], since_ms: int | None = None) -> tuple[int, int]:
        """Takes adjacent blocks, as calls of `take_block` in this instant would, up to one that does not fit.

        `ends` has the size of each block, of 1 or more IDs, added to the sizes of those before it. Returns the first ID
        of the first block and the number of blocks, all of one millisecond, or (0, 0). Raises ValueError if the first
        one is larger than the sequence.
        """
        if not 1 <= ends[0] <= self._sequence_size:
            raise ValueError(f"a block of {ends[0]} IDs is not 1 to {self._sequence_size}, the size of the sequence")
        now_ns = self._wall_ns()
        is_current = self._start_ns <= now_ns < self._end_ns and self._end_id - self._next_id >= ends[0]
        if not is_current and not self._advance(now_ns // _MILLISECOND_NS, since_ms, ends[0]):
            return NOTHING
        first = self._next_id
        count = bisect_right(ends, self._end_id - first)
        self._next_id = first + ends[count - 1]
        return first, count

    def _advance(self, now_ms: int, since_ms: int | None, count: int) -> bool:
        """Makes sure that the current millisecond has `count` IDs left; False if that is not possible now."""
        timestamp_ms = self._timestamp_ms
        if self.queued and since_ms is None:
            return timestamp_ms == now_ms and self._end_id - self._next_id >= count
        if timestamp_ms < now_ms:
            if since_ms is None:
                return self._open(now_ms, count) or self._open_reserved(now_ms, count)
            earliest_ms = max(since_ms, now_ms - CATCH_UP_MS)
            if timestamp_ms < earliest_ms:
                return self._open(min(earliest_ms, now_ms), count) or self._open_reserved(now_ms, count)
        elif timestamp_ms - now_ms > self._lead_limit_ms:
            return self._stop()
        if self._end_id - self._next_id >= count:
            self._stopped_ns = None
            return True
        if timestamp_ms != self._exhausted_ms:
            self.milliseconds_exhausted += 1
            self._exhausted_ms = timestamp_ms
        if timestamp_ms >= now_ms and self._monotonic_ns() - self._opened_ns < _MILLISECOND_NS:
            return False
        return self._open(timestamp_ms + 1, count) or self._close()

    def _open(self, timestamp_ms: int, count: int) -> bool:
        """False at the ceiling."""
        if timestamp_ms >= self._limit_ms:
            return False
        base_id = (timestamp_ms << self._shift) + self._origin_id
        start_id = base_id
        is_saturated = self._next_id == self._end_id or self._exhausted_ms == self._timestamp_ms
        if not is_saturated or timestamp_ms != self._timestamp_ms + 1:
            sequence = self._random_bits(_RANDOM_BITS) * self._sequence_reset >> _RANDOM_BITS
            if sequence + count <= self._sequence_size:
                start_id += sequence
        before_first = self._before_first + start_id - self._next_id
        opened_ns = self._monotonic_ns()
        end_id = base_id + self._sequence_size
        start_ns = timestamp_ms * _MILLISECOND_NS
        end_ns = start_ns + _MILLISECOND_NS
        # From here on only assignments, which cannot fail: if memory runs out above, nothing has changed. Their order
        # is safe, too: cut off after any of them, the generator repeats no ID and issues none of another worker.
        self._timestamp_ms = timestamp_ms
        self._opened_ns = opened_ns
        self._before_first = before_first
        self._next_id = start_id
        self._end_id = end_id
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._stopped_ns = None
        return True

    def _open_reserved(self, now_ms: int, count: int) -> bool:
        """Goes on below the ceiling, which the wall clock has reached."""
        reserved_ms = self._bounded_ms(now_ms)
        if reserved_ms >= self._limit_ms:
            return self._close()
        return self._advance(reserved_ms, reserved_ms, count)

    def _bounded_ms(self, now_ms: int) -> int:
        """The time to go by: `now_ms` below the ceiling; from there on the reservation's own time, until it expires."""
        if now_ms < self._ceiling_ms or self._expires_ns is None or now_ms >= self.layout.end_ms:
            return now_ms
        return min(now_ms, self._ceiling_ms + (self._boot_ns() - self._expires_ns) // _MILLISECOND_NS)

    def _close(self) -> bool:
        self._end_id = self._next_id  # the rest of the last millisecond does not help a block: it would wait
        return self._stop()

    def _stop(self) -> bool:
        if self._stopped_ns is None:
            self._stopped_ns = self._monotonic_ns()
        return False

    def obstacle(self) -> Obstacle | None:
        """Why no ID can be issued now, or in the next millisecond if this one is spent; None if one can.

        `stopped_for_ms` counts from the first call that finds an obstacle. Call it often: only it notices a reservation
        that has expired below the ceiling, and a wall clock that is wrong.
        """
        is_expired = self._expires_ns is not None and self._boot_ns() >= self._expires_ns
        is_current = self._next_id < self._end_id and self._start_ns <= self._wall_ns() < self._end_ns
        # While the current millisecond has IDs left, nothing but the end of the reservation can be in the way.
        obstacle = None if is_current and not is_expired else self._find_obstacle(is_expired=is_expired)
        # `take` only compares timestamps with a limit, which is fast. Whatever they do not show must lower the limit.
        if is_expired or obstacle is Obstacle.CLOCK:
            self._limit_ms = 0
            self._close()
        else:
            self._limit_ms = self._ceiling_ms
        if obstacle is None:
            self._stopped_ns = None
        else:
            self._stop()
        return obstacle

    def _find_obstacle(self, *, is_expired: bool) -> Obstacle | None:
        if self._sealed:
            return Obstacle.SEALED
        now_ms = self._bounded_ms(self._wall_ms())
        if now_ms < self._earliest_ms:
            return Obstacle.CLOCK
        if self._timestamp_ms - now_ms > self._lead_limit_ms:
            return Obstacle.LEAD
        timestamp_ms = max(now_ms, self._timestamp_ms + (self._next_id == self._end_id))
        if timestamp_ms >= self.layout.end_ms:
            return Obstacle.LAYOUT_END
        return Obstacle.CEILING if is_expired or timestamp_ms >= self._ceiling_ms else None

    def stopped_for_ms(self) -> int:
        """For how many milliseconds an obstacle has been known; 0 without one."""
        if self._stopped_ns is None:
            return 0
        return (self._monotonic_ns() - self._stopped_ns) // _MILLISECOND_NS

    def has_ids_now(self, count: int = 1) -> bool:
        """Whether `take_block` would return this many IDs to a request that has waited."""
        if self.obstacle() is not None:
            return False
        if self._end_id - self._next_id >= count or self._timestamp_ms < self._bounded_ms(self._wall_ms()):
            return True
        return self._monotonic_ns() - self._opened_ns >= _MILLISECOND_NS

    def opens_in_ns(self) -> int:
        """In how many nanoseconds the next millisecond can be opened for a request that waits; at most a millisecond.

        By the wall clock, or in a lead by the monotonic clock, if neither is set meanwhile.
        """
        by_wall_ns, by_monotonic_ns = self._end_ns - self._wall_ns(), self._opened_ns - self._monotonic_ns()
        return max(0, min(by_wall_ns, by_monotonic_ns + _MILLISECOND_NS))

    def is_plausible(self, wall_ms: int) -> bool:
        """Whether a wall clock that shows this Unix millisecond can be right: not too early, nor past the layout."""
        return self._earliest_ms <= wall_ms < self.layout.end_ms

    def remaining_ms(self, wall_ms: int) -> int:
        """For how many milliseconds the reservation lasts from this time on; 0 if it is used up or has expired."""
        left_ms = self._ceiling_ms - max(self._bounded_ms(wall_ms), self._timestamp_ms)
        if self._expires_ns is not None:
            left_ms = min(left_ms, (self._expires_ns - self._boot_ns()) // _MILLISECOND_NS)
        return max(0, left_ms)

    @property
    def boot_ns(self) -> int:
        """The boot time, in nanoseconds."""
        return self._boot_ns()

    @property
    def earliest_ms(self) -> int:
        """The Unix millisecond before which a wall clock is wrong."""
        return self._earliest_ms

    @property
    def timestamp_ms(self) -> int:
        """The Unix millisecond of the last ID; before any, the one below the first permitted."""
        return self._timestamp_ms

    @property
    def ceiling_ms(self) -> int:
        """The first Unix millisecond that is not permitted yet."""
        return self._ceiling_ms

    @property
    def lead_ms(self) -> int:
        """How many milliseconds the last timestamp is ahead of the wall clock; 0 if it is not."""
        return max(0, self._timestamp_ms - self._wall_ms())

    @property
    def loses_time(self) -> bool:
        """Whether the IDs of a millisecond are lost unless they are drawn in time, even for requests that wait.

        In a lead, one millisecond opens after each real one, and none for those that have passed. A lead of one
        millisecond is none: it comes from rounding.
        """
        return self.lead_ms > 1

    @property
    def lead_limit_ms(self) -> int:
        return self._lead_limit_ms

    @property
    def ids_issued(self) -> int:
        """The number of IDs issued."""
        return self._next_id - self._before_first

    @property
    def last_id(self) -> int | None:
        """The last ID issued; None before any."""
        return self._next_id - 1 if self.ids_issued else None

    @property
    def sequence(self) -> int:
        """The sequence of the last ID; 0 before any."""
        return (self._next_id - 1) & (self._sequence_size - 1) if self.ids_issued else 0
