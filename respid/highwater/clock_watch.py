"""Notices when the wall clock is set, and decides whether to follow it. Off the hot path: the keeper asks.

A wall clock that is set back is always followed: the IDs lead it, and the generator limits by how much.

One that is set forward is followed with two exceptions. A step by more than the permitted lead may be a single bad
reading, and to follow it would use up years of timestamps that no later correction gives back: it must last first. And
a step that leaves too little of the reservation must wait for the extension that it makes due: if the store is away,
following it would waste timestamps that are needed until the store is back. Meanwhile time goes on with the boot-time
clock.
"""

import logging
from collections import Counter
from collections.abc import Callable

from respid.ids.clock import BootTimeClock, Clock
from respid.ids.timestamp import format_timestamp

STEP_MS = 50  # a wall clock that gains or loses this much against the boot-time clock between two looks was set
# If the process is held up between reading the two clocks, the delay looks like a step: such readings are repeated.
QUICK_NS = 1_000_000
READINGS = 3
_MILLISECOND_NS = 1_000_000
_log = logging.getLogger(__name__)


class ClockWatch:
    """Compares the wall clock with the boot-time clock."""

    def __init__(
        self,
        clock: Clock,
        *,
        limit_ms: int,
        confirm_ms: int,
        steps: Counter[str],
        reached_ms: Callable[[], int],
        is_plausible: Callable[[int], bool] = lambda _wall_ms: True,
        is_reserved: Callable[[int], bool] = lambda _wall_ms: True,
    ) -> None:
        self._clock = clock
        self._limit_ms = max(limit_ms, STEP_MS)
        self._confirm_ms = confirm_ms
        self._steps = steps
        self._reached_ms = reached_ms  # the timestamp of the last ID; a step forward up to there uses up no timestamps
        self._is_plausible = is_plausible  # whether a wall clock that shows this time can be right
        self._is_reserved = is_reserved  # whether the reservation reaches far enough beyond this time
        # By how much the wall clock is ahead of the boot-time clock: as last seen, as last trusted, as the worker goes
        # by it, and when the reservation last sufficed.
        self._looked_ns, self._seen_ns = self._read()
        self._trusted_ns = self._followed_ns = self._reserved_ns = self._seen_ns
        self._since_ns: int | None = None  # boot time since which a step forward has to last; None without one

    @property
    def wall_ms(self) -> int:
        """The time of the last look, by the clock that it returned. Not a second reading, which a step could change."""
        return (self._looked_ns + self._followed_ns) // _MILLISECOND_NS

    @property
    def trusted_ms(self) -> int:
        """The time of the last look, by a wall clock that would be followed if the reservation reached far enough."""
        return (self._looked_ns + self._trusted_ns) // _MILLISECOND_NS

    @property
    def trusted_ns(self) -> int:
        """By how much the trusted wall clock is ahead of the boot-time clock, in nanoseconds."""
        return self._trusted_ns

    def note_extension(self, trusted_ns: int) -> None:
        """An extension that was planned with this `trusted_ns` is stored: a step up to there need not wait any more.

        It would wait for good if each extension took longer than half the reservation.
        """
        self._reserved_ns = max(self._reserved_ns, trusted_ns)

    def look(self) -> Clock:
        """The clock to go by until the next look: the wall clock, or one that goes on as if it had not been set."""
        self._looked_ns, offset_ns = self._read()
        step_ms = (offset_ns - self._seen_ns) // _MILLISECOND_NS
        self._seen_ns = offset_ns
        if abs(step_ms) >= STEP_MS:
            self._note_step(step_ms, offset_ns)
        if self._since_ns is not None:
            if self._looked_ns - self._since_ns < self._confirm_ms * _MILLISECOND_NS:
                return BootTimeClock(self._clock, self._followed_ns)
            self._since_ns = None
            message = "the wall clock has stayed where it was set, and is followed: it shows %s"
            shown_ms = (self._looked_ns + offset_ns) // _MILLISECOND_NS
            _log.warning(message, format_timestamp(shown_ms), extra={"event": "clock_step_confirmed"})
        self._trusted_ns = offset_ns
        return self._follow(offset_ns)

    def _follow(self, offset_ns: int) -> Clock:
        """The clock to go by, given an offset that is trusted."""
        if self._must_wait(offset_ns):
            self._followed_ns = self._reserved_ns
            return BootTimeClock(self._clock, self._followed_ns)
        self._followed_ns = offset_ns
        return self._clock

    def _must_wait(self, offset_ns: int) -> bool:
        """Whether the wall clock has gained since the reservation last sufficed, so that it no longer does."""
        wall_ms, waiting_ms = ((self._looked_ns + each) // _MILLISECOND_NS for each in (offset_ns, self._reserved_ns))
        is_wrong = not (self._is_plausible(wall_ms) and self._is_plausible(waiting_ms))
        if offset_ns <= self._reserved_ns or is_wrong or self._is_reserved(wall_ms):
            self._reserved_ns = offset_ns
        return offset_ns - self._reserved_ns >= STEP_MS * _MILLISECOND_NS

    def _read(self) -> tuple[int, int]:
        """Boot time, and by how much the wall clock is ahead of it: the quickest of some readings."""
        readings = []
        for _ in range(READINGS):
            before_ns, wall_ns, after_ns = self._clock.boot_ns(), self._clock.wall_ns(), self._clock.boot_ns()
            if after_ns - before_ns < QUICK_NS:
                return before_ns, wall_ns - before_ns
            readings.append((after_ns - before_ns, before_ns, wall_ns - before_ns))
        return min(readings)[1:]

    def _note_step(self, step_ms: int, offset_ns: int) -> None:
        direction = "forward" if step_ms > 0 else "back"
        self._steps[direction] += 1
        ahead_ms = (self._looked_ns + offset_ns) // _MILLISECOND_NS - max(self.wall_ms, self._reached_ms())
        if ahead_ms > self._limit_ms and self._is_plausible(self.wall_ms):
            self._since_ns = self._looked_ns
            consequence = f": not followed until it has lasted {self._confirm_ms / 1000:g} s"
        else:
            consequence = "" if self._since_ns is None else ": followed again"
            self._since_ns = None
        message = "the wall clock was set %s by %d ms%s"
        _log.warning(message, direction, abs(step_ms), consequence, extra={"event": "clock_step"})
