"""Successive holders of a worker ID never share a timestamp, whatever happens between them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respid.ids.generator import NOTHING, Generator, Obstacle
from respid.ids.layout import Layout
from respid.ids.reservation import Reservation, ReserveSpans
from tests.support.scripted_clock import ScriptedClock

SPANS = ReserveSpans(wall_ms=10_000, lead_ms=1_000)
SMALL = Layout.parse("41/3/4")


def take_over(clock: ScriptedClock, mark_ms: int | None) -> tuple[Generator, Reservation, int]:
    """A new holder, and the mark that is stored when it begins."""
    generator = Generator(SMALL, 1, clock)
    reservation = Reservation(generator, SPANS)
    ceiling_ms = reservation.first_ceiling_ms(mark_ms, clock.wall_ms())
    reservation.begin(mark_ms, ceiling_ms)
    return generator, reservation, ceiling_ms


lives = st.lists(
    st.tuples(
        st.lists(
            st.tuples(
                st.sampled_from([0, 1, 1, 20, 700, 1600, 4000]),  # ms that pass
                st.sampled_from([0, 0, 0, 0, 400_000, -400_000]),  # how the clock is set then
                st.booleans(),  # whether IDs are drawn
            ),
            max_size=15,
        ),
        st.booleans(),  # whether it ends cleanly
        st.sampled_from([0, 0, 5, -5000, -400_000, 5000]),  # how the clock is set before the next one
    ),
    max_size=8,
)


@settings(max_examples=300)
@given(lives)
def test_successor_stays_above_predecessor(
    history: list[tuple[list[tuple[int, int, bool]], bool, int]],
) -> None:
    clock = ScriptedClock()
    mark_ms: int | None = None
    last = -1
    for moves, ends_cleanly, step_ms in history:
        generator, reservation, mark_ms = take_over(clock, mark_ms)
        for pause_ms, set_ms, draws in moves:
            clock.pass_ms(pause_ms)
            clock.step_ms(set_ms)
            due_ms = reservation.due_ceiling_ms(clock.wall_ms(), 0)
            if due_ms is not None:
                reservation.extending(due_ms)
                mark_ms = due_ms  # stored, and only then used
                assert generator.ceiling_ms <= mark_ms
                if draws:  # else the reply is lost
                    reservation.extended(due_ms)
            first, count = generator.take(40) if draws else NOTHING
            if count:
                assert first > last
                last = first + count - 1
        if ends_cleanly:
            mark_ms = generator.seal()
        clock.step_ms(step_ms)


def test_ceiling_of_wrong_clock_comes_down(clock: ScriptedClock) -> None:
    clock.step_ms(400_000)
    generator, reservation, _ = take_over(clock, None)
    clock.step_ms(-400_000)
    due_ms = reservation.due_ceiling_ms(clock.wall_ms(), 0)
    assert due_ms == clock.wall_ms() + SPANS.wall_ms
    reservation.extending(due_ms)
    assert generator.ceiling_ms == due_ms, "before it is stored"
    reservation.extended(due_ms)
    assert reservation.due_ceiling_ms(clock.wall_ms(), 0) is None
    assert generator.take(1) != NOTHING


def test_ceiling_stays_above_last_id(clock: ScriptedClock) -> None:
    clock.step_ms(400_000)
    generator, reservation, mark_ms = take_over(clock, None)
    generator.take(1)
    clock.step_ms(-400_000)
    reservation.extending(reservation.due_ceiling_ms(clock.wall_ms(), 0) or mark_ms)
    assert generator.timestamp_ms < generator.ceiling_ms


def test_first_start_finds_no_mark(clock: ScriptedClock) -> None:
    _, reservation, ceiling_ms = take_over(clock, None)
    assert reservation.found_mark is False
    assert ceiling_ms == clock.wall_ms() + SPANS.wall_ms


def test_extends_when_half_is_used(clock: ScriptedClock) -> None:
    _, reservation, ceiling_ms = take_over(clock, None)
    clock.pass_ms(SPANS.wall_ms // 2 - 1)
    assert reservation.due_ceiling_ms(clock.wall_ms(), 0) is None
    clock.pass_ms(1)
    assert reservation.due_ceiling_ms(clock.wall_ms(), 0) == ceiling_ms + SPANS.wall_ms // 2


def test_clock_set_back_needs_no_extension(clock: ScriptedClock) -> None:
    generator, reservation, _ = take_over(clock, None)
    generator.take(1)
    clock.step_ms(-1000)
    assert reservation.due_ceiling_ms(clock.wall_ms(), 0) is None


def test_old_mark_is_stored_again(clock: ScriptedClock) -> None:
    generator, reservation, ceiling_ms = take_over(clock, None)
    generator.take(1)
    clock.step_ms(-1000)
    assert reservation.due_ceiling_ms(clock.wall_ms(), SPANS.wall_ms // 2 - 1) is None
    assert reservation.due_ceiling_ms(clock.wall_ms(), SPANS.wall_ms // 2) == ceiling_ms, "no more than it has"


def test_extends_no_further_than_layout_end(clock: ScriptedClock) -> None:
    clock.step_ms(SMALL.end_ms - 1000 - clock.wall_ms())
    _, reservation, _ = take_over(clock, None)
    for _ in range(3):
        assert reservation.due_ceiling_ms(clock.wall_ms(), 0) is None
        clock.pass_ms(700)


def test_crashes_in_lead_do_not_add_up(clock: ScriptedClock) -> None:
    """Each holder lives for a second, and is killed."""
    start_ms = clock.wall_ms()
    mark_ms = start_ms + 60_000
    for _ in range(100):
        generator, reservation, mark_ms = take_over(clock, mark_ms)
        for _ in range(100):
            assert generator.take(16) != NOTHING
            clock.pass_ms(10)
            due_ms = reservation.due_ceiling_ms(clock.wall_ms(), 0)
            if due_ms is not None:
                mark_ms = due_ms
                reservation.extended(due_ms)
    assert mark_ms - clock.wall_ms() <= 60_000 + SPANS.wall_ms


def test_counts_failed_extensions(clock: ScriptedClock) -> None:
    _, reservation, ceiling_ms = take_over(clock, None)
    reservation.extension_failed("disk full")
    assert (reservation.extensions_failed, reservation.last_error) == (1, "disk full")
    reservation.extended(ceiling_ms + 1000)
    assert (reservation.extensions_failed, reservation.last_error) == (1, None)


def test_remaining_ends_at_0(clock: ScriptedClock) -> None:
    _, reservation, _ = take_over(clock, None)
    assert reservation.remaining_ms(clock.wall_ms()) == SPANS.wall_ms
    clock.pass_ms(SPANS.wall_ms - 1)
    assert reservation.remaining_ms(clock.wall_ms()) == 1
    clock.pass_ms(6)
    assert reservation.remaining_ms(clock.wall_ms()) == 0


def test_renews_only_an_old_ceiling_when_the_clock_is_wrong(clock: ScriptedClock) -> None:
    generator, reservation, _ = take_over(clock, None)
    assert reservation.renewal_ms(SPANS.wall_ms // 2 - 1) is None
    assert reservation.renewal_ms(SPANS.wall_ms // 2) == generator.ceiling_ms


HALF_MS = SPANS.wall_ms // 2


@pytest.mark.parametrize(
    ("passed_ms", "age_ms", "due_in_ms"),
    [
        (0, 0, None),
        (HALF_MS - 1, 0, None),
        (HALF_MS, 0, HALF_MS + SPANS.wall_ms),  # half is left
        (0, HALF_MS - 1, None),
        (0, HALF_MS, SPANS.wall_ms),  # the mark is old, though nothing is used up
        (-1000, HALF_MS, SPANS.wall_ms),  # and it never sinks for that
        (-HALF_MS, 0, None),
        (-HALF_MS - 1, 0, HALF_MS - 1),  # it is from a clock that was wrong
    ],
)
def test_extension_is_due_at_half_time(
    clock: ScriptedClock, passed_ms: int, age_ms: int, due_in_ms: int | None
) -> None:
    _, reservation, _ = take_over(clock, None)
    due_ms = reservation.due_ceiling_ms(clock.wall_ms() + passed_ms, age_ms)
    assert due_ms == (None if due_in_ms is None else clock.wall_ms() + due_in_ms)


def test_covers_a_time_while_no_extension_is_due(clock: ScriptedClock) -> None:
    now_ms = clock.wall_ms()
    assert Reservation(Generator(SMALL, 1, clock), SPANS).covers(now_ms + 10 * SPANS.wall_ms), "before the first one"
    _, reservation, _ = take_over(clock, None)
    assert reservation.covers(now_ms + HALF_MS - 1)
    assert not reservation.covers(now_ms + HALF_MS)


def test_renews_an_old_mark_as_it_is(clock: ScriptedClock) -> None:
    _, reservation, ceiling_ms = take_over(clock, None)
    assert reservation.renewal_ms(HALF_MS - 1) is None
    assert reservation.renewal_ms(HALF_MS) == ceiling_ms


def test_reservation_in_a_lead_is_short(clock: ScriptedClock) -> None:
    generator, reservation, _ = take_over(clock, clock.wall_ms() + 60_000)
    first, _ = generator.take(1)
    reached_ms = SMALL.decompose(first).timestamp_ms
    assert generator.ceiling_ms == reached_ms + SPANS.lead_ms
    while reached_ms < generator.ceiling_ms - SPANS.lead_ms // 2:
        assert reservation.due_ceiling_ms(clock.wall_ms(), 0) is None
        clock.pass_ms(1)
        generator.take_block(16)
        reached_ms = generator.timestamp_ms
    assert reservation.due_ceiling_ms(clock.wall_ms(), 0) == reached_ms + SPANS.lead_ms


def test_failures_are_counted_until_one_succeeds(clock: ScriptedClock) -> None:
    _, reservation, ceiling_ms = take_over(clock, None)
    for number in (1, 2):
        reservation.extension_failed(f"error {number}")
        assert (reservation.extensions_failed, reservation.last_error) == (number, f"error {number}")
    reservation.extending(ceiling_ms + 1)
    reservation.extended(ceiling_ms + 1)
    assert (reservation.extensions_failed, reservation.last_error) == (2, None)


def test_reservation_expires_when_its_span_has_passed_since_it_was_sent(clock: ScriptedClock) -> None:
    generator, reservation, ceiling_ms = take_over(clock, None)
    clock.pass_ms(1000)
    reservation.extending(ceiling_ms + 1000)
    clock.pass_ms(2000)  # until it is confirmed
    reservation.extended(ceiling_ms + 1000)
    clock.step_ms(-60_000)
    assert reservation.remaining_ms(clock.wall_ms()) == SPANS.wall_ms - 2000
    clock.pass_ms(SPANS.wall_ms - 2001)
    assert generator.obstacle() is None
    clock.pass_ms(1)
    assert generator.obstacle() is Obstacle.CEILING
    assert reservation.remaining_ms(clock.wall_ms()) == 0


def test_first_reservation_expires_likewise(clock: ScriptedClock) -> None:
    generator, _, _ = take_over(clock, None)
    clock.step_ms(-60_000)
    clock.pass_ms(SPANS.wall_ms - 1)
    assert generator.obstacle() is None
    clock.pass_ms(1)
    assert generator.obstacle() is Obstacle.CEILING


def test_start_knows_whether_it_found_a_mark(clock: ScriptedClock) -> None:
    reservation = Reservation(Generator(SMALL, 1, clock), SPANS)
    assert reservation.found_mark is None
    assert reservation.last_error is None
    assert reservation.span_ms == SPANS.wall_ms
    reservation.first_ceiling_ms(None, clock.wall_ms())
    assert reservation.found_mark is False
    reservation.first_ceiling_ms(clock.wall_ms(), clock.wall_ms())
    assert reservation.found_mark is True
