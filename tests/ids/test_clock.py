"""The machine's clocks."""

import time

from respid.ids.clock import BootTimeClock, SystemClock
from tests.support.scripted_clock import ScriptedClock

SECOND_NS = 1_000_000_000


def test_wall_clock_is_in_whole_milliseconds() -> None:
    clock = SystemClock()
    before_ns, now_ms, after_ns = clock.wall_ns(), clock.wall_ms(), clock.wall_ns()
    assert isinstance(now_ms, int)
    assert before_ns // 1_000_000 <= now_ms <= after_ns // 1_000_000


def test_boot_clock_goes_as_fast_as_the_monotonic_one() -> None:
    clock = SystemClock()
    boot_ns, monotonic_ns = clock.boot_ns(), time.monotonic_ns()
    while time.monotonic_ns() < monotonic_ns + SECOND_NS // 1000:
        pass
    assert clock.boot_ns() - boot_ns >= SECOND_NS // 1000


def test_boot_time_clock_does_not_follow_the_wall_clock(clock: ScriptedClock) -> None:
    offset_ns = clock.wall_ns() - clock.boot_ns() + 1_999_999
    going_on = BootTimeClock(clock, offset_ns)
    clock.step_ms(60_000)
    clock.pass_ms(5)
    assert going_on.boot_ns() == clock.boot_ns()
    assert going_on.monotonic_ns() == clock.monotonic_ns()
    assert going_on.wall_ns() == clock.boot_ns() + offset_ns
    assert going_on.wall_ms() == (clock.boot_ns() + offset_ns) // 1_000_000
