"""When a worker's ceiling must rise, and to what: the rule that keeps two holders of one worker ID apart.

Pure: it knows numbers, not stores. A worker issues timestamps below its ceiling only, the ceiling is stored durably
before it is used, and a successor starts at or above the stored one; so the timestamps of two holders are disjoint,
whatever their clocks say.
"""

from dataclasses import dataclass

from respid.ids.generator import Generator


@dataclass(frozen=True, slots=True)
class ReserveSpans:
    """How far ahead a store's reservations reach, in milliseconds: of the wall clock, and of the last timestamp.

    The second is what a worker in a lead gets. It is small, so that crashes during a lead do not add up.
    """

    wall_ms: int
    lead_ms: int


class Reservation:
    """The span of timestamps that one worker may issue."""

    __slots__ = ("_generator", "_spans", "extensions_failed", "found_mark", "last_error")

    def __init__(self, generator: Generator, spans: ReserveSpans) -> None:
        self._generator = generator
        self._spans = spans
        self.found_mark: bool | None = None  # whether a predecessor's high-water mark was found; None before the start
        self.extensions_failed = 0
        self.last_error: str | None = None

    @property
    def span_ms(self) -> int:
        """How far ahead of the wall clock a new reservation reaches."""
        return self._spans.wall_ms

    def first_ceiling_ms(self, mark_ms: int | None, wall_ms: int) -> int:
        """The ceiling to store before the first ID, given the stored high-water mark, if there is one."""
        self.found_mark = mark_ms is not None
        return self._ceiling_above(mark_ms or 0, wall_ms)

    def begin(self, mark_ms: int | None, ceiling_ms: int) -> None:
        """Lets the generator begin at the mark, below the ceiling that is now durably stored."""
        self._generator.begin(mark_ms or 0, ceiling_ms)

    def due_ceiling_ms(self, wall_ms: int, age_ms: int) -> int | None:
        """The ceiling to store now; None while more is left than half of what a new reservation would give.

        It is stored again after `age_ms` of half a reservation, too, whatever the wall clock says: a holder of whom
        nothing is heard for longer counts as gone. It may be below the present one: that is of a clock that was wrong
        when it is ahead by more than half a reservation, and a successor might have to wait for it.
        """
        generator, ceiling_ms = self._generator, self._generator.ceiling_ms
        issuable_ms = max(wall_ms, generator.timestamp_ms)
        target_ms = min(self._ceiling_above(generator.timestamp_ms, wall_ms), generator.layout.end_ms)
        if (ceiling_ms - target_ms) * 2 > self._spans.wall_ms:
            return target_ms
        is_low = target_ms > ceiling_ms and (ceiling_ms - issuable_ms) * 2 <= target_ms - issuable_ms
        return max(target_ms, ceiling_ms) if is_low or age_ms * 2 >= self._spans.wall_ms else None

    def extending(self, ceiling_ms: int) -> None:
        """To be called before the store is told this ceiling: one that comes down does so here first."""
        self._generator.lower_ceiling(ceiling_ms)

    def extended(self, ceiling_ms: int) -> None:
        """To be called when the store has confirmed this ceiling, and not before."""
        self.last_error = None
        self._generator.raise_ceiling(ceiling_ms)

    def extension_failed(self, error: str) -> None:
        self.extensions_failed += 1
        self.last_error = error

    def remaining_ms(self, wall_ms: int) -> int:
        """For how long IDs can be issued without another extension; 0 when none can."""
        return max(0, self._generator.ceiling_ms - max(wall_ms, self._generator.timestamp_ms))

    def _ceiling_above(self, timestamp_ms: int, wall_ms: int) -> int:
        return max(wall_ms + self._spans.wall_ms, timestamp_ms + self._spans.lead_ms)
