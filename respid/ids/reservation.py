"""Decides when a worker's ceiling must rise, and to what: the rule that keeps two holders of one worker ID apart.

A worker issues only timestamps below its ceiling. The ceiling is stored durably before it is used, and a successor
starts at or above the stored one. So the timestamps of two holders never overlap, whatever their clocks say. This
module is pure: it knows numbers, not stores.
"""

from dataclasses import dataclass

from respid.ids.generator import Generator


@dataclass(frozen=True, slots=True)
class ReserveSpans:
    """How many milliseconds a store's reservations reach ahead of the wall clock, and of the last timestamp.

    The latter is for a worker that leads its clock. It is small, because crashes during a lead add up.
    """

    wall_ms: int
    lead_ms: int


class Reservation:
    """The timestamps that one worker may issue.

    It ends at the ceiling, or when as much boot time has passed as reservations are long since the last confirmed mark
    was sent to the store: from then on there may be a successor.
    """

    __slots__ = ("_begin_ms", "_generator", "_sent_ns", "_spans", "extensions_failed", "found_mark", "last_error")

    def __init__(self, generator: Generator, spans: ReserveSpans) -> None:
        self._generator = generator
        self._spans = spans
        self._begin_ms = 0  # the first Unix millisecond that may be issued
        self._sent_ns = 0  # boot time when the last ceiling was sent to the store
        self.found_mark: bool | None = None  # whether the start found a high-water mark; None before that
        self.extensions_failed = 0
        self.last_error: str | None = None

    @property
    def span_ms(self) -> int:
        """How far ahead of the wall clock a new reservation reaches."""
        return self._spans.wall_ms

    def first_ceiling_ms(self, mark_ms: int | None, wall_ms: int, above_ms: int = 0) -> int:
        """The ceiling to store before the first ID, given the stored high-water mark, None if there is none.

        No ID is issued in a Unix millisecond before `above_ms`, either.
        """
        self.found_mark = mark_ms is not None
        self._begin_ms = max(mark_ms or 0, above_ms)
        self._sent_ns = self._generator.boot_ns
        return self._ceiling_above(self._begin_ms, wall_ms)

    def begin(self, mark_ms: int | None, ceiling_ms: int) -> None:
        """Lets the generator begin, at the mark or above, below the ceiling that is now durably stored."""
        self._generator.expire_at(self._sent_ns + self._spans.wall_ms * 1_000_000)
        self._generator.begin(max(mark_ms or 0, self._begin_ms), ceiling_ms)

    def due_ceiling_ms(self, wall_ms: int, age_ms: int) -> int | None:
        """The ceiling to store now; None while more is left than half of what a new reservation would give.

        A mark that is older than half a reservation (`age_ms`) is stored again in any case, since a holder that has not
        written for longer is considered dead. The ceiling can be below the present one. If that is ahead by more than
        half a reservation, it is from a clock that was wrong, and a successor might have to wait for it.
        """
        ceiling_ms, target_ms = self._generator.ceiling_ms, self._target_ms(wall_ms)
        if (ceiling_ms - target_ms) * 2 > self._spans.wall_ms:
            return target_ms
        is_due = self._is_low(wall_ms, target_ms) or self._is_old(age_ms)
        return max(target_ms, ceiling_ms) if is_due else None

    def renewal_ms(self, age_ms: int) -> int | None:
        """The ceiling to store while the wall clock is wrong: the present one, to stay the holder; None if not due."""
        return self._generator.ceiling_ms if self._is_old(age_ms) else None

    def _is_old(self, age_ms: int) -> bool:
        return age_ms * 2 >= self._spans.wall_ms

    def _is_low(self, wall_ms: int, target_ms: int) -> bool:
        ceiling_ms, issuable_ms = self._generator.ceiling_ms, max(wall_ms, self._generator.timestamp_ms)
        return target_ms > ceiling_ms and (ceiling_ms - issuable_ms) * 2 <= target_ms - issuable_ms

    def _target_ms(self, wall_ms: int) -> int:
        generator = self._generator
        return min(self._ceiling_above(generator.timestamp_ms, wall_ms), generator.layout.end_ms)

    def extending(self, ceiling_ms: int) -> None:
        """Call before this ceiling is sent to the store. One below the present ceiling applies at once."""
        self._sent_ns = self._generator.boot_ns
        self._generator.lower_ceiling(ceiling_ms)

    def extended(self, ceiling_ms: int) -> None:
        """Call when the store has confirmed this ceiling, and not before."""
        self.last_error = None
        self._generator.expire_at(self._sent_ns + self._spans.wall_ms * 1_000_000)
        self._generator.raise_ceiling(ceiling_ms)

    def extension_failed(self, error: str) -> None:
        self.extensions_failed += 1
        self.last_error = error

    def remaining_ms(self, wall_ms: int) -> int:
        """For how many milliseconds IDs can be issued without another extension; 0 if none can."""
        return self._generator.remaining_ms(wall_ms)

    def covers(self, wall_ms: int) -> bool:
        """Whether no extension is due at this time. True before the first reservation, which is made for that time."""
        return not self._generator.ceiling_ms or not self._is_low(wall_ms, self._target_ms(wall_ms))

    def _ceiling_above(self, timestamp_ms: int, wall_ms: int) -> int:
        return max(wall_ms + self._spans.wall_ms, timestamp_ms + self._spans.lead_ms)
