"""The only reader of time. Everything else is given a `Clock`, so that tests can script it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time, which may be set at will, and monotonic time, which only measures spans."""

    def wall_us(self) -> int:
        """Unix time in microseconds."""
        ...

    def wall_ms(self) -> int:
        """Unix time in milliseconds."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary point; never falls, and does not follow a wall clock that is set."""
        ...


class SystemClock:
    """The clocks of the machine."""

    __slots__ = ()

    def wall_us(self) -> int:
        return time.time_ns() // 1_000

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()
