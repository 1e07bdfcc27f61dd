"""The keeper when the wall clock is set forward while the store is away, or shows a time that cannot be right."""

import asyncio
import logging

import pytest

from respid.highwater.keeper import LOOK_SECONDS, Keeper
from respid.ids.generator import NOTHING
from respid.ids.layout import Layout
from respid.ids.reservation import ReserveSpans
from respid.server import make_worker
from respid.worker.config import Config
from respid.worker.lifecycle import State
from respid.worker.worker import Worker
from tests.support.running_keeper import keeping
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_loop import run_scripted
from tests.support.scripted_store import ScriptedStore

RESERVE_SECONDS = 300
RESERVE_MS = RESERVE_SECONDS * 1000
DAY_MS = 24 * 3600 * 1000
AWAY = "the API server does not answer"


@pytest.fixture
def store(clock: ScriptedClock) -> ScriptedStore:
    return ScriptedStore(mark_ms=clock.wall_ms() - 60_000, spans=ReserveSpans(RESERVE_MS, 10_000))


@pytest.fixture
def worker(clock: ScriptedClock, store: ScriptedStore) -> Worker:
    """A worker without a reservation, for which a wall clock before yesterday is wrong."""
    config = Config(worker_id=1, worker_id_source="test")
    return make_worker(config, store, clock, earliest_ms=clock.wall_ms() - DAY_MS)


async def draw_until_it_stops(worker: Worker, every_seconds: float) -> float:
    """Draws IDs until none is issued; returns for how many seconds they were, and the worker was ready."""
    loop = asyncio.get_running_loop()
    began, last = loop.time(), -1
    while worker.not_ready() is None and loop.time() - began < 10 * RESERVE_SECONDS:
        assert worker.reservation.remaining_ms(worker.clock.wall_ms()) > 0
        first, count = worker.generator.take(1)
        if not count:  # of this millisecond
            await asyncio.sleep(0.001)
            first, count = worker.generator.take(1)
        assert count == 1
        assert first > last
        last = first
        await asyncio.sleep(every_seconds)
    assert worker.reservation.remaining_ms(worker.clock.wall_ms()) == 0
    return loop.time() - began


@pytest.mark.unmeasured
@pytest.mark.parametrize("every_seconds", [0.01, 60])
@pytest.mark.parametrize("step_seconds", [0, 100, 160, 290, 310, 599, 3600, -200])
def test_step_during_outage_costs_no_time(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, step_seconds: int, every_seconds: float
) -> None:
    async def cut_off_and_set_the_clock() -> None:
        async with keeping(Keeper(worker, store)):
            store.error = AWAY
            await asyncio.sleep(20)
            clock.step_ms(step_seconds * 1000)
            lasted = await draw_until_it_stops(worker, every_seconds)
            assert lasted == pytest.approx(RESERVE_SECONDS - 20, abs=1 + every_seconds)
            assert worker.generator.take(1) == NOTHING
            assert worker.not_ready() == f"the reservation cannot be extended: {AWAY}"
            store.error = ""
            await asyncio.sleep(1)
            assert worker.not_ready() is None
            assert worker.clock is clock, "it follows the wall clock again"
            assert worker.generator.take(1)[1] == 1

    run_scripted(clock, cut_off_and_set_the_clock())


def test_outage_that_begins_after_step_is_survived(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    async def set_the_clock_and_cut_off() -> None:
        async with keeping(Keeper(worker, store)):
            for _ in range(5):
                await asyncio.sleep(20)
                clock.step_ms(250_000)
                await asyncio.sleep(2 * LOOK_SECONDS)
                assert worker.clock is clock, "the step is followed as soon as the mark is stored"
            store.error = AWAY
            assert await draw_until_it_stops(worker, 0.5) >= RESERVE_SECONDS / 2

    run_scripted(clock, set_the_clock_and_cut_off())


def test_step_is_followed_though_extensions_take_long(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    async def set_the_clock_beside_a_slow_store() -> None:
        async with keeping(Keeper(worker, store)):
            store.delay_seconds = 0.6 * RESERVE_SECONDS
            clock.step_ms(RESERVE_MS // 5 * 4)
            await asyncio.sleep(2 * RESERVE_SECONDS)
            assert worker.clock is clock

    run_scripted(clock, set_the_clock_beside_a_slow_store())


def test_first_start_does_not_lead_the_clock(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    store.mark_ms = None
    run_scripted(clock, Keeper(worker, store).begin())
    first, _ = worker.generator.take(1)
    assert worker.generator.layout.decompose(first).timestamp_ms == clock.wall_ms()
    assert worker.generator.lead_ms == 0


@pytest.mark.parametrize("wrong_ms", [5000, Layout().end_ms, Layout().end_ms + 100 * DAY_MS])
@pytest.mark.parametrize("has_mark", [True, False])
def test_start_waits_for_clock_to_be_set(
    clock: ScriptedClock,
    store: ScriptedStore,
    worker: Worker,
    caplog: pytest.LogCaptureFixture,
    *,
    has_mark: bool,
    wrong_ms: int,
) -> None:
    caplog.set_level(logging.INFO)
    right_ms = clock.wall_ms()
    clock.wall = wrong_ms
    worker = make_worker(worker.config, store, clock, earliest_ms=right_ms - DAY_MS)
    if not has_mark:
        store.mark_ms = None

    async def start_with_a_wrong_clock() -> None:
        beginning = asyncio.create_task(Keeper(worker, store).begin())
        await asyncio.sleep(20)
        assert worker.lifecycle.state is State.RESERVING
        reason = worker.not_ready()
        assert reason is not None
        assert "the wall clock shows" in reason
        assert worker.refusal() == reason
        assert worker.generator.take(1) == NOTHING
        assert store.events == [], "no mark is stored"
        clock.wall = right_ms
        await asyncio.sleep(2 * LOOK_SECONDS)
        assert worker.not_ready() is None
        assert worker.generator.take(1)[1] == 1
        assert worker.generator.lead_ms == 0
        await beginning

    run_scripted(clock, start_with_a_wrong_clock())
    events = [getattr(record, "event", None) for record in caplog.records]
    assert events.count("clock_wrong") == events.count("clock_right") == 1


def test_start_waits_if_clock_becomes_wrong(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    right_ms = clock.wall_ms()
    store.delay_seconds = 1

    async def start_while_the_clock_is_set() -> None:
        beginning = asyncio.create_task(Keeper(worker, store).begin())
        await asyncio.sleep(0.5)
        clock.wall = 5000
        await asyncio.sleep(5)
        assert store.events == []
        clock.wall = right_ms
        await beginning
        assert worker.not_ready() is None

    run_scripted(clock, start_while_the_clock_is_set())


@pytest.mark.parametrize("wrong_ms", [5000, Layout().end_ms + DAY_MS])
@pytest.mark.parametrize("issues", [True, False])
def test_wrong_clock_stores_no_mark(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, *, issues: bool, wrong_ms: int
) -> None:
    async def keep_while_the_clock_is_wrong() -> None:
        async with keeping(Keeper(worker, store)):
            if issues:
                worker.generator.take(1)
            mark_ms, offset_ms = store.mark_ms, clock.wall_ms() - clock.monotonic // 1_000_000
            clock.wall = wrong_ms
            await asyncio.sleep(RESERVE_SECONDS)
            reason = worker.not_ready()
            assert reason is not None
            assert "the wall clock shows" in reason
            assert worker.generator.take(1) == NOTHING
            assert {ceiling_ms for _, ceiling_ms in store.events[2:]} == {mark_ms}, "stored again, to stay the holder"
            clock.wall = clock.monotonic // 1_000_000 + offset_ms
            await asyncio.sleep(1)
            assert worker.not_ready() is None
            assert worker.generator.take(1)[1] == 1
            assert worker.generator.lead_ms == 0

    run_scripted(clock, keep_while_the_clock_is_wrong())


def test_step_waits_for_the_extension_that_it_needs(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    async def set_the_clock_during_an_outage() -> None:
        async with keeping(Keeper(worker, store)):
            store.error = AWAY
            clock.step_ms(RESERVE_MS * 3 // 4)
            await asyncio.sleep(2 * LOOK_SECONDS)
            assert worker.clock is not clock
            store.error = ""
            await asyncio.sleep(1)
            assert worker.clock is clock

    run_scripted(clock, set_the_clock_during_an_outage())
