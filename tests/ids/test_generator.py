"""The generator with any clock: IDs never repeat, only rise, and stay below the ceiling."""

from collections.abc import Callable
from itertools import accumulate, takewhile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from respid.ids.generator import CATCH_UP_MS, NOTHING, Generator, Obstacle, default_sequence_reset
from respid.ids.layout import Layout
from respid.worker.config import Config
from tests.support.scripted_clock import ScriptedClock

SECOND_MS = 1000
DAY_MS = 24 * 3600 * 1000
FAR_MS = 10 * 365 * DAY_MS
SMALL = Layout.parse("41/3/4")  # 16 IDs per millisecond: soon exhausted


def begin(
    clock: ScriptedClock, layout: Layout | None = None, *, worker_id: int = 1, reserved_ms: int = FAR_MS
) -> Generator:
    generator = Generator(layout or Layout(), worker_id, clock, random_bits=lambda _bits: 0)
    generator.begin(0, clock.wall_ms() + reserved_ms)
    return generator


def ids(taken: tuple[int, int]) -> range:
    first, count = taken
    return range(first, first + count)


def timestamp_ms(generator: Generator, identifier: int) -> int:
    return generator.layout.decompose(identifier).timestamp_ms


steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 40)),
        st.tuples(st.just("wait and take"), st.integers(1, 40)),
        st.tuples(st.just("block"), st.integers(1, 16)),
        st.tuples(st.just("wait and block"), st.integers(1, 16)),
        st.tuples(st.just("pass"), st.sampled_from([0, 1, 1, 1, 2, 3, 50, 5000])),
        st.tuples(st.just("step"), st.sampled_from([-DAY_MS, -700_000, -5000, -3, -1, 1, 3, 5000, DAY_MS])),
        st.tuples(st.just("raise"), st.integers(0, 20_000)),
        st.tuples(st.just("queue"), st.integers(0, 1)),
    ),
    max_size=80,
)


def follow(step: str, amount: int, generator: Generator, clock: ScriptedClock, since_ms: int) -> tuple[int, int]:
    """Does one step of a history; returns the IDs that it drew."""
    match step:
        case "take":
            return generator.take(amount)
        case "wait and take":
            return generator.take(amount, since_ms)
        case "block":
            return generator.take_block(amount)
        case "wait and block":
            return generator.take_block(amount, since_ms)
        case "pass":
            clock.pass_ms(amount)
        case "step":
            clock.step_ms(amount)
        case "raise":
            generator.raise_ceiling(clock.wall_ms() + amount)
    return NOTHING


@settings(max_examples=400)
@given(steps)
def test_ids_rise_whatever_clock_does(history: list[tuple[str, int]]) -> None:
    clock = ScriptedClock()
    generator = begin(clock, SMALL, worker_id=5, reserved_ms=10_000)
    last = -1
    issued = 0
    since_ms = clock.wall_ms()
    for step, amount in history:
        if step == "queue":
            generator.queued = bool(amount)
            since_ms = clock.wall_ms()
        taken = follow(step, amount, generator, clock, since_ms)
        if taken == NOTHING:
            continue
        assert taken[1] == amount or (step.endswith("take") and 0 < taken[1] < amount)
        parts = [SMALL.decompose(identifier) for identifier in ids(taken)]
        assert {part.worker_id for part in parts} == {5}
        assert len({part.timestamp_ms for part in parts}) == 1
        assert parts[0].timestamp_ms < generator.ceiling_ms
        assert parts[0].timestamp_ms - clock.wall_ms() <= generator.lead_limit_ms
        assert taken[0] > last
        last = taken[0] + taken[1] - 1
        issued += taken[1]
        assert generator.last_id == last
    assert generator.ids_issued == issued


Drawing = Callable[[Generator, int, int | None], list[int]]


@settings(max_examples=300)
@given(steps)
@example([("block", 9), ("queue", 1), ("block", 9)])  # the second one gets 7 IDs
def test_ids_equal_one_by_one(history: list[tuple[str, int]]) -> None:
    """Draws as many IDs at each step as a block has."""
    check_twins(
        history, _ids, lambda generator, count, since_ms: _up_to_one_that_waits(generator, [1] * count, since_ms)
    )


@settings(max_examples=300)
@given(steps, st.integers(1, 9))
def test_blocks_equal_one_by_one(history: list[tuple[str, int]], count: int) -> None:
    """Draws `count` blocks at each step."""
    check_twins(
        history,
        lambda generator, size, since_ms: _blocks(generator, size, count, since_ms),
        lambda generator, size, since_ms: _up_to_one_that_waits(generator, [size] * count, since_ms),
    )


@settings(max_examples=300)
@given(steps, st.lists(st.integers(1, 9), max_size=9))
def test_different_blocks_equal_one_by_one(history: list[tuple[str, int]], others: list[int]) -> None:
    """Draws blocks of these sizes after one of each step."""
    check_twins(
        history,
        lambda generator, size, since_ms: _different_blocks(generator, [size, *others], since_ms),
        lambda generator, size, since_ms: _up_to_one_that_waits(generator, [size, *others], since_ms),
    )


def check_twins(history: list[tuple[str, int]], draw: Drawing, draw_one_by_one: Drawing) -> None:
    """Draws IDs or blocks at each step, from one generator together and from its twin one by one."""
    clock = ScriptedClock()
    together, one_by_one = (begin(clock, SMALL, reserved_ms=10_000) for _ in range(2))
    for step, amount in history:
        together.queued = one_by_one.queued = amount == 1 if step == "queue" else together.queued
        for generator in (together, one_by_one)[: 1 if step in ("pass", "step") else 2]:
            if not step.endswith("block"):
                follow(step, amount, generator, clock, clock.wall_ms() - 3)
        if step.endswith("block"):
            since_ms = clock.wall_ms() - 3 if step.startswith("wait") else None
            assert draw(together, amount, since_ms) == draw_one_by_one(one_by_one, amount, since_ms)
        assert (together.last_id, together.ids_issued) == (one_by_one.last_id, one_by_one.ids_issued)
        assert together.milliseconds_exhausted == one_by_one.milliseconds_exhausted


def _ids(generator: Generator, count: int, since_ms: int | None) -> list[int]:
    """Returns up to `count` IDs."""
    drawn: list[int] = []
    while len(drawn) < count and (taken := generator.take(count - len(drawn), since_ms)) != NOTHING:
        drawn += ids(taken)
    return drawn


def _different_blocks(generator: Generator, sizes: list[int], since_ms: int | None) -> list[int]:
    """Returns the first IDs of these blocks, up to one that has to wait."""
    firsts: list[int] = []
    while left := sizes[len(firsts) :]:
        first, count = generator.take_different_blocks(list(accumulate(left)), since_ms)
        if not count:
            break
        firsts += accumulate(left[: count - 1], initial=first)
    return firsts


def _up_to_one_that_waits(generator: Generator, sizes: list[int], since_ms: int | None) -> list[int]:
    taken = (generator.take_block(size, since_ms)[0] for size in sizes)
    return list(takewhile(bool, taken))


def _blocks(generator: Generator, size: int, count: int, since_ms: int | None) -> list[int]:
    """Returns the first IDs of up to `count` blocks."""
    firsts: list[int] = []
    while len(firsts) < count and (taken := generator.take_blocks(size, count - len(firsts), since_ms)) != NOTHING:
        firsts += range(taken[0], taken[0] + taken[1] * size, size)
    return firsts


@given(st.lists(st.sampled_from([-3000, -20, -1, 0, 0, 0, 0, 1, 20]), max_size=60))
def test_lead_only_shrinks(wall_steps: list[int]) -> None:
    clock = ScriptedClock()
    generator = begin(clock, SMALL)
    generator.take(1)
    for wall_step in wall_steps:
        clock.step_ms(wall_step)
        lead_ms = generator.lead_ms
        while generator.take(16) != NOTHING:  # as much as this instant gives
            pass
        assert generator.lead_ms <= max(lead_ms + 1, 1)
        lead_ms = generator.lead_ms
        clock.pass_ms(1)
        while generator.take(16) != NOTHING:
            pass
        assert generator.lead_ms <= max(lead_ms, 1)


def test_millisecond_has_4096_ids(clock: ScriptedClock) -> None:
    generator = begin(clock)
    drawn = [generator.take(1) for _ in range(4096)]
    assert len({first for first, count in drawn if count == 1}) == 4096
    assert generator.take(1) == NOTHING
    clock.pass_ms(1)
    first, count = generator.take(5000)
    assert count == 4096
    assert generator.layout.decompose(first).sequence == 0, "a spent millisecond is followed by sequence 0"


@pytest.mark.parametrize(("widths", "reset"), [("41/10/12", 256), ("41/4/8", 16), ("41/10/4", 1), ("41/10/1", 1)])
def test_default_reset_fits_layout(widths: str, reset: int) -> None:
    assert default_sequence_reset(Layout.parse(widths)) == reset


def test_large_block_opens_next_millisecond(clock: ScriptedClock) -> None:
    generator = begin(clock)
    generator.take(7)
    assert generator.take_block(4096) == NOTHING
    assert generator.take(1)[1] == 1, "other requests may use the rest of the millisecond"
    clock.pass_ms(1)
    first, count = generator.take_block(4096)
    assert count == 4096
    assert generator.layout.decompose(first).sequence == 0


def test_different_blocks_fill_a_millisecond(clock: ScriptedClock) -> None:
    """With one call: the last one fits exactly."""
    generator = begin(clock)
    assert generator.take_different_blocks([4000, 4096, 4097])[1] == 2


@pytest.mark.parametrize("count", [0, -1, 4097])
def test_refuses_block_larger_than_sequence(clock: ScriptedClock, count: int) -> None:
    with pytest.raises(ValueError, match="1 to 4096"):
        begin(clock).take_block(count)
    with pytest.raises(ValueError, match="1 to 4096"):
        begin(clock).take_different_blocks([count])


def test_goes_on_when_clock_is_set_back(clock: ScriptedClock) -> None:
    generator = begin(clock)
    before = clock.wall_ms()
    generator.take(1)
    clock.step_ms(-5 * SECOND_MS)
    assert timestamp_ms(generator, generator.take(4095)[0]) == before, "the rest of the last millisecond"
    assert generator.take(1) == NOTHING, "the next one only after a monotonic millisecond"
    clock.pass_ms(1)
    assert timestamp_ms(generator, generator.take(4096)[0]) == before + 1
    assert generator.lead_ms == 5 * SECOND_MS
    clock.pass_ms(6 * SECOND_MS)
    assert timestamp_ms(generator, generator.take(1)[0]) == clock.wall_ms()


def test_stops_while_lead_exceeds_limit(clock: ScriptedClock) -> None:
    generator = begin(clock)
    generator.take(1)
    clock.step_ms(-601 * SECOND_MS)
    assert generator.take(1) == NOTHING
    assert generator.obstacle() is Obstacle.LEAD
    clock.pass_ms(2 * SECOND_MS)
    assert generator.stopped_for_ms() == 2 * SECOND_MS
    assert generator.obstacle() is None
    assert generator.stopped_for_ms() == 0
    assert generator.take(1)[1] == 1
    assert generator.stopped_for_ms() == 0


def test_step_forward_ends_at_ceiling(clock: ScriptedClock) -> None:
    generator = begin(clock, reserved_ms=3 * SECOND_MS)
    clock.step_ms(3 * SECOND_MS - 1)
    assert generator.take(1)[1] == 1
    clock.step_ms(1)
    assert generator.take(1) == NOTHING
    assert generator.obstacle() is Obstacle.CEILING
    generator.raise_ceiling(clock.wall_ms() + 1)
    assert generator.take(1)[1] == 1


def test_block_at_ceiling_finds_obstacle(clock: ScriptedClock) -> None:
    generator = begin(clock, reserved_ms=1)
    generator.take(2000)
    clock.step_ms(-60_000)
    clock.pass_ms(5)
    assert generator.take_block(3000) == NOTHING
    assert generator.obstacle() is Obstacle.CEILING
    clock.pass_ms(200)
    assert generator.take_block(3000) == NOTHING
    assert generator.stopped_for_ms() == 200
    generator.raise_ceiling(clock.wall_ms() + 120_000)
    assert generator.take_block(3000)[1] == 3000


def test_raise_never_lowers_ceiling(clock: ScriptedClock) -> None:
    generator = begin(clock, reserved_ms=3 * SECOND_MS)
    generator.raise_ceiling(clock.wall_ms())
    assert generator.ceiling_ms == clock.wall_ms() + 3 * SECOND_MS


def test_issues_nothing_before_it_begins(clock: ScriptedClock) -> None:
    generator = Generator(Layout(), 1, clock)
    assert generator.take(1) == NOTHING
    assert generator.obstacle() is Obstacle.CEILING
    assert generator.last_id is None


def test_begins_at_mark(clock: ScriptedClock) -> None:
    generator = Generator(Layout(), 1, clock)
    mark_ms = clock.wall_ms() + 2 * SECOND_MS
    generator.begin(mark_ms, mark_ms + SECOND_MS)
    assert timestamp_ms(generator, generator.take(1)[0]) == mark_ms


def test_stops_at_layout_end(clock: ScriptedClock) -> None:
    layout = Layout()
    clock.wall = layout.end_ms - 1
    generator = begin(clock, layout)
    assert generator.take(5000)[1] == 4096
    assert generator.obstacle() is Obstacle.LAYOUT_END
    clock.pass_ms(1)
    assert generator.take(1) == NOTHING


def test_seal_stops_it_for_good(clock: ScriptedClock) -> None:
    generator = begin(clock)
    last, _ = generator.take(1)
    mark_ms = generator.seal()
    assert mark_ms == timestamp_ms(generator, last) + 1
    assert generator.ceiling_ms == 0
    generator.raise_ceiling(clock.wall_ms() + FAR_MS)
    for _ in range(3):
        assert generator.take(1) == generator.take_block(1) == NOTHING
        assert generator.obstacle() is Obstacle.SEALED
        clock.pass_ms(1)


def test_newcomers_do_not_overtake_waiters(clock: ScriptedClock) -> None:
    generator = begin(clock)
    since_ms = clock.wall_ms()
    generator.take(4000)
    generator.queued = True
    assert generator.take(10)[1] == 10, "any request may use the rest of the current one"
    clock.pass_ms(1)
    assert generator.take(1) == generator.take_block(1) == NOTHING
    assert generator.take_block(4096, since_ms)[1] == 4096


def test_late_waiter_gets_past_milliseconds(clock: ScriptedClock) -> None:
    generator = begin(clock)
    since_ms = clock.wall_ms()
    generator.take(4096)
    clock.pass_ms(3)
    drawn = [generator.take(4096, since_ms) for _ in range(4)]
    assert [timestamp_ms(generator, first) for first, count in drawn[:3] if count == 4096] == [
        since_ms + 1,
        since_ms + 2,
        since_ms + 3,
    ]
    assert drawn[3] == NOTHING


def test_catching_up_is_limited(clock: ScriptedClock) -> None:
    generator = begin(clock)
    generator.take(4096)
    clock.pass_ms(3)
    since_ms = clock.wall_ms()
    clock.pass_ms(2)
    assert timestamp_ms(generator, generator.take(1, since_ms)[0]) == since_ms
    clock.pass_ms(10 * CATCH_UP_MS)
    assert timestamp_ms(generator, generator.take(1, since_ms)[0]) == clock.wall_ms() - CATCH_UP_MS


def test_counts_exhausted_millisecond_once(clock: ScriptedClock) -> None:
    generator = begin(clock)
    generator.take(4096)
    assert generator.milliseconds_exhausted == 0, "no request has missed one yet"
    for count in (1, 2):
        for _ in range(3):
            generator.take(1)
        assert generator.milliseconds_exhausted == count
        clock.pass_ms(1)
        generator.take(4096)


def test_has_ids_now_agrees_with_take(clock: ScriptedClock) -> None:
    generator = begin(clock, SMALL)
    for milliseconds in (0, 0, 1, 1, 0, 2):
        clock.pass_ms(milliseconds)
        says = generator.has_ids_now()
        assert says == (generator.take(16, clock.wall_ms()) != NOTHING)


@pytest.mark.parametrize("worker_id", [-1, 1024])
def test_refuses_worker_id_out_of_range(clock: ScriptedClock, worker_id: int) -> None:
    with pytest.raises(ValueError, match="0 to 1023"):
        Generator(Layout(), worker_id, clock)


RESERVED_MS = 300 * SECOND_MS


def begin_limited(clock: ScriptedClock, layout: Layout | None = None) -> Generator:
    """A generator whose reservation lasts as long in boot time as by the wall clock."""
    generator = begin(clock, layout, reserved_ms=RESERVED_MS)
    generator.expire_at(clock.boot_ns() + RESERVED_MS * 1_000_000)
    return generator


@pytest.mark.parametrize("issued_before", [0, 1])
def test_goes_on_below_ceiling_after_step_forward(clock: ScriptedClock, issued_before: int) -> None:
    generator = begin_limited(clock)
    began_ms = clock.wall_ms()
    generator.take(issued_before)
    clock.pass_ms(20 * SECOND_MS)
    clock.step_ms(RESERVED_MS + 10 * SECOND_MS)
    for passed_ms in range(20 * SECOND_MS, RESERVED_MS, 77):
        assert generator.obstacle() is None
        assert generator.remaining_ms(clock.wall_ms()) == RESERVED_MS - passed_ms
        first, count = generator.take(1)
        assert (timestamp_ms(generator, first), count) == (began_ms + passed_ms, 1)
        clock.pass_ms(77)
    clock.pass_ms(RESERVED_MS)
    assert generator.obstacle() is Obstacle.CEILING
    assert generator.take(1) == NOTHING
    assert generator.remaining_ms(clock.wall_ms()) == 0


def test_reserved_milliseconds_are_full(clock: ScriptedClock) -> None:
    generator = begin_limited(clock, SMALL)
    clock.step_ms(2 * RESERVED_MS)
    for _ in range(50):
        assert generator.take(40)[1] == 16
        assert generator.take(1) == generator.take_block(1) == NOTHING
        assert not generator.has_ids_now()
        clock.pass_ms(1)
        assert generator.has_ids_now()


def test_reserved_milliseconds_go_to_waiting_request(clock: ScriptedClock) -> None:
    generator = begin_limited(clock)
    clock.step_ms(2 * RESERVED_MS)
    generator.queued = True
    assert generator.take(1) == NOTHING
    assert generator.take(1, clock.wall_ms())[1] == 1


def test_expires_even_if_clock_is_set_back(clock: ScriptedClock) -> None:
    generator = begin_limited(clock)
    generator.take(1)
    clock.step_ms(-RESERVED_MS)
    clock.pass_ms(RESERVED_MS - 1)
    assert generator.obstacle() is None
    assert generator.remaining_ms(clock.wall_ms()) == 1
    clock.pass_ms(1)
    assert generator.obstacle() is Obstacle.CEILING
    assert generator.take(1) == generator.take_block(1) == NOTHING
    generator.expire_at(clock.boot_ns() + RESERVED_MS * 1_000_000)
    assert generator.obstacle() is None
    assert generator.take(1)[1] == 1


def test_thawed_worker_does_not_go_on(clock: ScriptedClock) -> None:
    generator = begin_limited(clock)
    generator.take(1)
    clock.pass_ms(RESERVED_MS)
    assert generator.take(1) == NOTHING, "at once, before anything else checks"


def test_clock_before_earliest_time_stops_it(clock: ScriptedClock) -> None:
    generator = Generator(Layout(), 1, clock, earliest_ms=clock.wall_ms() - DAY_MS)
    generator.begin(0, clock.wall_ms() + FAR_MS)
    clock.step_ms(-2 * DAY_MS)
    assert generator.obstacle() is Obstacle.CLOCK
    assert generator.take(1) == generator.take_block(1) == NOTHING
    clock.step_ms(2 * DAY_MS)
    assert generator.obstacle() is None
    assert generator.take(1)[1] == 1


def test_default_sequence_reset_suits_a_short_sequence(clock: ScriptedClock) -> None:
    generator = begin(clock, Layout.parse("41/4/8"))
    first, _ = generator.take(1)
    assert first & 255 < 16


def test_default_lead_limit_is_that_of_the_settings(clock: ScriptedClock) -> None:
    seconds = Config(worker_id=1, worker_id_source="test").max_clock_lead_seconds
    assert Generator(Layout(), 1, clock).lead_limit_ms == seconds * 1000


def test_takes_the_greatest_sequence_reset(clock: ScriptedClock) -> None:
    layout = Layout.parse("41/4/8")
    generator = Generator(layout, 3, clock, sequence_reset=layout.sequence_size)
    assert generator.worker_id == 3
    with pytest.raises(ValueError, match="sequence reset 257 is not 1 to 256"):
        Generator(layout, 3, clock, sequence_reset=layout.sequence_size + 1)


def test_issues_no_id_before_earliest_time(clock: ScriptedClock) -> None:
    earliest_ms = clock.wall_ms() - 1000
    generator = Generator(Layout(), 1, clock, earliest_ms=earliest_ms)
    generator.begin(0, clock.wall_ms() + FAR_MS)
    clock.step_ms(-2000)
    first, count = generator.take(1)
    assert count == 0 or timestamp_ms(generator, first) >= earliest_ms


def test_start_without_an_id_ends_at_its_mark(clock: ScriptedClock) -> None:
    mark_ms = clock.wall_ms() - DAY_MS
    generator = Generator(Layout(), 1, clock, earliest_ms=clock.wall_ms() - 1000)
    generator.begin(mark_ms, clock.wall_ms() + FAR_MS)
    assert generator.seal() == mark_ms


def test_clock_past_layout_end_stops_it(clock: ScriptedClock) -> None:
    generator = begin_limited(clock)
    clock.step_ms(Layout().end_ms - clock.wall_ms())
    assert generator.obstacle() is Obstacle.LAYOUT_END
    assert generator.take(1) == NOTHING


def test_block_of_the_current_millisecond_is_served_while_others_wait(clock: ScriptedClock) -> None:
    generator = begin(clock, SMALL)
    generator.take(1)
    generator.queued = True
    assert generator.take_block(3)[1] == 3


def test_has_ids_now_while_some_of_the_millisecond_are_left(clock: ScriptedClock) -> None:
    generator = begin(clock, SMALL)
    generator.take(1)
    assert generator.has_ids_now()
    generator.take(14)
    assert generator.has_ids_now()
    assert not generator.has_ids_now(2)
    generator.take(1)
    assert not generator.has_ids_now()
    clock.step_ms(-5)
    clock.monotonic += 999_999
    assert not generator.has_ids_now(), "in a lead it takes a whole millisecond"
    clock.monotonic += 1
    assert generator.has_ids_now()


def test_has_no_ids_now_at_an_obstacle(clock: ScriptedClock) -> None:
    generator = begin(clock, SMALL)
    generator.take(1)
    generator.seal()
    assert not generator.has_ids_now()


def test_counts_whole_milliseconds_without_ids(clock: ScriptedClock) -> None:
    generator = begin(clock, SMALL, reserved_ms=0)
    generator.obstacle()
    clock.monotonic += 2_999_999
    assert repr(generator.stopped_for_ms()) == "2"


def test_last_ids_of_the_millisecond_go_to_anybody_while_others_wait(clock: ScriptedClock) -> None:
    generator = begin(clock, SMALL)
    generator.take(10)
    generator.queued = True
    assert generator.take_block(7) == NOTHING, "that request waits, too"
    assert generator.take_block(3)[1] == 3
    assert generator.take(4)[1] == 3, "the fourth ID waits"
    assert generator.take(1) == NOTHING


def test_goes_on_up_to_the_lead_limit(clock: ScriptedClock) -> None:
    generator = begin(clock)
    generator.take(1)
    clock.step_ms(-generator.lead_limit_ms)
    assert generator.obstacle() is None
    assert generator.take(1)[1] == 1
    clock.step_ms(-1)
    assert generator.obstacle() is Obstacle.LEAD
    assert generator.take(1) == NOTHING


def test_stop_ends_with_the_next_id(clock: ScriptedClock) -> None:
    """Whether or not somebody asks for the obstacle in between."""
    generator = begin(clock)
    generator.take(1)
    for milliseconds in (-1, 2):  # the rest of the last millisecond, and the next one
        clock.step_ms(-601 * SECOND_MS)
        assert generator.take(1) == NOTHING
        clock.monotonic += 5_000_000
        assert generator.stopped_for_ms() == 5
        clock.step_ms(601 * SECOND_MS + milliseconds)
        assert generator.take(1)[1] == 1
        assert generator.stopped_for_ms() == 0


def test_block_that_just_fits_keeps_its_random_start(clock: ScriptedClock) -> None:
    generator = Generator(Layout(), 1, clock, random_bits=lambda bits: (1 << bits) - 1)
    generator.begin(0, clock.wall_ms() + FAR_MS)
    assert generator.take_block(4096 - 255)[0] % 4096 == 255
    clock.pass_ms(2)
    assert generator.take_block(4096 - 254)[0] % 4096 == 0


def test_knows_which_clocks_can_be_right(clock: ScriptedClock) -> None:
    earliest_ms, end_ms = clock.wall_ms(), Layout().end_ms
    generator = Generator(Layout(), 1, clock, earliest_ms=earliest_ms)
    shown = (earliest_ms - 1, earliest_ms, end_ms - 1, end_ms)
    assert [generator.is_plausible(wall_ms) for wall_ms in shown] == [False, True, True, False]
    generator.begin(0, clock.wall_ms() + FAR_MS)
    assert generator.obstacle() is None
    assert generator.take(1)[1] == 1


def test_reservation_lasts_to_the_ceiling_in_whole_milliseconds(clock: ScriptedClock) -> None:
    generator = begin(clock, reserved_ms=3 * SECOND_MS)
    assert generator.remaining_ms(clock.wall_ms()) == 3 * SECOND_MS
    generator.take(1)
    assert generator.remaining_ms(clock.wall_ms() - SECOND_MS) == 3 * SECOND_MS, "the last timestamp counts, too"
    generator.expire_at(clock.boot_ns() + 2_999_999)
    assert repr(generator.remaining_ms(clock.wall_ms())) == "2"


def test_lower_ceiling_ends_after_the_last_timestamp(clock: ScriptedClock) -> None:
    generator, began_ms = begin(clock), clock.wall_ms()
    generator.take(1)
    generator.lower_ceiling(began_ms + 5)
    generator.lower_ceiling(began_ms + 9)
    assert generator.ceiling_ms == began_ms + 5
    generator.lower_ceiling(began_ms - 1000)
    assert generator.ceiling_ms == began_ms + 1
    assert generator.take(1)[1] == 1, "of the millisecond that was begun"
    clock.pass_ms(1)
    assert generator.take(1) == NOTHING


def test_goes_on_below_the_ceiling_that_the_clock_was_set_to(clock: ScriptedClock) -> None:
    generator, began_ms = begin_limited(clock), clock.wall_ms()
    clock.step_ms(RESERVED_MS)
    assert generator.obstacle() is None
    assert timestamp_ms(generator, generator.take(1)[0]) == began_ms


def test_new_generator_has_issued_nothing(clock: ScriptedClock) -> None:
    generator, epoch_ms = Generator(Layout(), 1, clock), Layout().epoch_ms
    assert (generator.timestamp_ms, generator.ceiling_ms, generator.queued) == (epoch_ms - 1, 0, False)
    assert (generator.ids_issued, generator.last_id, generator.sequence) == (0, None, 0)
    assert (generator.milliseconds_exhausted, generator.stopped_for_ms()) == (0, 0)
    assert generator.seal() == epoch_ms


def test_clock_before_the_epoch_is_wrong(clock: ScriptedClock) -> None:
    generator, clock.wall = begin(clock), Layout().epoch_ms
    assert generator.obstacle() is None
    clock.wall -= 1
    assert generator.obstacle() is Obstacle.CLOCK


@pytest.mark.parametrize("worker_id", [0, 1023])
def test_takes_every_worker_id_of_the_layout(clock: ScriptedClock, worker_id: int) -> None:
    first, _ = begin(clock, worker_id=worker_id).take(1)
    assert Layout().decompose(first).worker_id == worker_id


@pytest.mark.parametrize(
    ("step_ms", "passed_ms", "opens_in_ns"),
    [
        (0, 0, 1_000_000),
        (0, 0.25, 750_000),
        (0, 1, 0),
        (0, 50, 0),
        (1, 0, 0),
        (-1, 0, 1_000_000),
        (-5000, 0.25, 750_000),
        (-5000, 1, 0),
    ],
)
def test_next_millisecond_opens_in_a_millisecond_at_most(step_ms: int, passed_ms: float, opens_in_ns: int) -> None:
    """Whichever way the wall clock was set; then it can be opened indeed."""
    clock = ScriptedClock()
    generator = begin(clock)
    generator.take(4096)
    since_ms = clock.wall_ms()
    clock.step_ms(step_ms)
    clock.pass_ms(passed_ms)
    assert generator.opens_in_ns() == opens_in_ns
    assert generator.has_ids_now() is (opens_in_ns == 0)
    clock.pass_ms(opens_in_ns / 1e6)
    assert generator.take(1, since_ms)[1] == 1


def test_first_millisecond_opens_at_once() -> None:
    assert begin(ScriptedClock()).opens_in_ns() == 0
