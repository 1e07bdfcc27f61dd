"""The clock watch: it reports every step, and follows a wall clock that leaps ahead only when it stays there."""

import logging
from collections import Counter

import pytest

from respid.highwater.clock_watch import ClockWatch
from tests.support.scripted_clock import ScriptedClock

LIMIT_MS = 600_000
CONFIRM_MS = 10_000
LEAP_MS = 365 * 24 * 3600 * 1000


@pytest.fixture
def steps() -> Counter[str]:
    return Counter()


@pytest.fixture
def watch(clock: ScriptedClock, steps: Counter[str]) -> ClockWatch:
    return ClockWatch(clock, limit_ms=LIMIT_MS, confirm_ms=CONFIRM_MS, steps=steps, reached_ms=lambda: 0)


@pytest.mark.parametrize("step_ms", [-LEAP_MS, -LIMIT_MS, -50, 50, LIMIT_MS])
def test_follows_small_step_at_once(clock: ScriptedClock, watch: ClockWatch, steps: Counter[str], step_ms: int) -> None:
    clock.step_ms(step_ms)
    assert watch.look() is clock
    assert watch.wall_ms == clock.wall_ms()
    assert steps == {"forward" if step_ms > 0 else "back": 1}


def test_follows_leap_when_it_has_lasted(
    clock: ScriptedClock, watch: ClockWatch, steps: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    before_ms = clock.wall_ms()
    clock.step_ms(LEAP_MS)
    for passed_ms in range(0, CONFIRM_MS, 50):
        believed = watch.look()
        assert believed.wall_ms() == watch.wall_ms == before_ms + passed_ms
        assert believed.wall_ns() == believed.wall_ms() * 1_000_000
        clock.pass_ms(50)
    assert watch.look() is clock
    assert watch.wall_ms == clock.wall_ms() == before_ms + LEAP_MS + CONFIRM_MS
    assert steps == {"forward": 1}
    assert [getattr(record, "event", "") for record in caplog.records] == ["clock_step", "clock_step_confirmed"]


def test_follows_step_up_to_last_id(clock: ScriptedClock, steps: Counter[str]) -> None:
    reached_ms = clock.wall_ms()
    watch = ClockWatch(clock, limit_ms=LIMIT_MS, confirm_ms=CONFIRM_MS, steps=steps, reached_ms=lambda: reached_ms)
    for step_ms in (-LEAP_MS, LEAP_MS):
        clock.step_ms(step_ms)
        assert watch.look() is clock
    assert steps == {"back": 1, "forward": 1}


def test_ignores_one_bad_reading(clock: ScriptedClock, watch: ClockWatch, steps: Counter[str]) -> None:
    before_ms = clock.wall_ms()
    clock.step_ms(LEAP_MS)
    assert watch.look().wall_ms() == before_ms
    clock.step_ms(-LEAP_MS)
    assert watch.look() is clock
    clock.pass_ms(CONFIRM_MS)
    assert watch.look() is clock
    assert watch.wall_ms == before_ms + CONFIRM_MS
    assert steps == {"forward": 1, "back": 1}


def test_does_not_follow_repeated_leaps(clock: ScriptedClock, watch: ClockWatch) -> None:
    before_ms = clock.wall_ms()
    for second in range(20):
        clock.step_ms(LEAP_MS)
        clock.pass_ms(1000)
        assert watch.look().wall_ms() == before_ms + (second + 1) * 1000


def test_small_change_does_not_end_leap(
    clock: ScriptedClock, watch: ClockWatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    clock.step_ms(LIMIT_MS + 1)
    assert watch.look() is not clock
    clock.step_ms(-1)
    assert watch.look() is not clock, "a change too small for a step ends nothing"


def test_slow_reading_is_not_a_step(
    clock: ScriptedClock, watch: ClockWatch, steps: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_ups = iter([700, 90])

    def read_late() -> int:
        clock.pass_ms(next(hold_ups, 0))
        return clock.wall * 1_000_000

    monkeypatch.setattr(clock, "wall_ns", read_late)
    watch.look()
    assert steps == {}
    assert watch.wall_ms == clock.wall_ms()


def test_waits_for_reservation_before_following(clock: ScriptedClock, steps: Counter[str]) -> None:
    ceiling_ms = clock.wall_ms() + 1000
    watch = ClockWatch(
        clock,
        limit_ms=LIMIT_MS,
        confirm_ms=CONFIRM_MS,
        steps=steps,
        reached_ms=lambda: 0,
        is_reserved=lambda wall_ms: wall_ms < ceiling_ms,
    )
    before_ms = clock.wall_ms()
    clock.step_ms(5000)
    for passed_ms in range(0, 1000, 100):
        believed = watch.look()
        assert believed.wall_ms() == watch.wall_ms == before_ms + passed_ms
        assert watch.trusted_ms == clock.wall_ms(), "for which the extension is due"
        clock.pass_ms(100)
    ceiling_ms += 10_000
    assert watch.look() is clock
    assert watch.wall_ms == clock.wall_ms()
    assert steps == {"forward": 1}


def test_limits_slew_without_reservation(clock: ScriptedClock, steps: Counter[str]) -> None:
    watch = ClockWatch(
        clock,
        limit_ms=LIMIT_MS,
        confirm_ms=CONFIRM_MS,
        steps=steps,
        reached_ms=lambda: 0,
        is_reserved=lambda _wall_ms: False,
    )
    started_ms = clock.wall_ms()
    for _ in range(100):
        clock.step_ms(5)
        clock.pass_ms(100)
        watch.look()
    assert watch.wall_ms == started_ms + 10_000
    assert watch.trusted_ms == started_ms + 10_500
    clock.step_ms(-500)
    assert watch.look() is clock
    assert not steps["forward"]


def test_corrects_wrong_clock_at_once(clock: ScriptedClock, steps: Counter[str]) -> None:
    right_ms = clock.wall_ms()
    clock.wall = 5000
    watch = ClockWatch(
        clock,
        limit_ms=LIMIT_MS,
        confirm_ms=CONFIRM_MS,
        steps=steps,
        reached_ms=lambda: 0,
        is_plausible=lambda wall_ms: wall_ms > LEAP_MS,
    )
    clock.wall = right_ms
    assert watch.look() is clock
    assert watch.wall_ms == right_ms


def unreserved(clock: ScriptedClock, steps: Counter[str], earliest_ms: int = 0) -> ClockWatch:
    """A watch whose reservation reaches nowhere."""
    return ClockWatch(
        clock,
        limit_ms=LIMIT_MS,
        confirm_ms=CONFIRM_MS,
        steps=steps,
        reached_ms=lambda: 0,
        is_plausible=lambda wall_ms: wall_ms >= earliest_ms,
        is_reserved=lambda _wall_ms: False,
    )


@pytest.mark.parametrize(("step_ms", "is_followed"), [(49, True), (50, False)])
def test_only_a_step_waits_for_the_reservation(
    clock: ScriptedClock, steps: Counter[str], step_ms: int, *, is_followed: bool
) -> None:
    watch = unreserved(clock, steps)
    clock.step_ms(step_ms)
    assert (watch.look() is clock) == is_followed


def test_step_back_and_forward_again_waits(clock: ScriptedClock, steps: Counter[str]) -> None:
    watch = unreserved(clock, steps)
    clock.step_ms(-5000)
    assert watch.look() is clock
    clock.step_ms(5000)
    assert watch.look() is not clock, "the timestamps in between are needed until the store is back"
    assert steps == {"back": 1, "forward": 1}
    clock.step_ms(5000)
    watch.look()
    assert steps == {"back": 1, "forward": 2}


def test_clock_that_was_wrong_is_followed_without_reservation(clock: ScriptedClock, steps: Counter[str]) -> None:
    right_ms = clock.wall_ms()
    clock.step_ms(-LEAP_MS)
    watch = unreserved(clock, steps, earliest_ms=right_ms)
    assert watch.look() is clock
    clock.step_ms(LEAP_MS)
    assert watch.look() is clock


def test_logs_each_step(clock: ScriptedClock, watch: ClockWatch, caplog: pytest.LogCaptureFixture) -> None:
    for step_ms in (100, -100):
        clock.step_ms(step_ms)
        watch.look()
    assert [getattr(record, "event", "") for record in caplog.records] == ["clock_step"] * 2
    assert [record.args for record in caplog.records] == [("forward", 100, ""), ("back", 100, "")]


def test_quickest_of_slow_readings_counts(
    clock: ScriptedClock, watch: ClockWatch, steps: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_ups = iter([700, 20, 90])

    def read_late() -> int:
        clock.pass_ms(next(hold_ups))
        return clock.wall * 1_000_000

    monkeypatch.setattr(clock, "wall_ns", read_late)
    watch.look()
    assert steps == {}, "20 ms are no step"


def test_step_is_followed_once_an_extension_for_it_is_stored(clock: ScriptedClock, steps: Counter[str]) -> None:
    watch = unreserved(clock, steps)
    before_ns = watch.trusted_ns
    clock.step_ms(5000)
    assert watch.look() is not clock
    watch.note_extension(before_ns)
    assert watch.look() is not clock, "it was planned before the step"
    watch.note_extension(watch.trusted_ns)
    assert watch.look() is clock
    watch.note_extension(before_ns)
    assert watch.look() is clock


def test_reads_a_clock_once_if_that_is_quick(
    clock: ScriptedClock, watch: ClockWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = []

    def read() -> int:
        readings.append(clock.wall)
        return clock.wall * 1_000_000

    monkeypatch.setattr(clock, "wall_ns", read)
    watch.look()
    assert len(readings) == 1


def test_goes_on_after_a_leap_was_followed(clock: ScriptedClock, watch: ClockWatch) -> None:
    clock.step_ms(LEAP_MS)
    assert watch.look() is not clock
    clock.pass_ms(CONFIRM_MS)
    for _ in range(3):
        assert watch.look() is clock
        clock.pass_ms(100)
