"""The keeper: nothing is issued that is not stored first, and what the clock and the store do is told."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest

from respid.highwater.keeper import LOOK_SECONDS, RETRY_SECONDS, SILENCE_SECONDS, Keeper
from respid.highwater.stores import StoreError
from respid.ids.generator import NOTHING, Obstacle
from respid.ids.layout import YEAR_MS, Layout
from respid.server import make_worker
from respid.worker.config import Config
from respid.worker.lifecycle import State
from respid.worker.worker import Worker
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_loop import run_scripted
from tests.support.scripted_store import SPANS, ScriptedStore

LOOK_MS = round(LOOK_SECONDS * 1000)
RESERVE_MS = SPANS.wall_ms


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
def store(clock: ScriptedClock) -> ScriptedStore:
    """The store of a worker that was here before: its mark is a minute old."""
    return ScriptedStore(mark_ms=clock.wall_ms() - 60_000)


@pytest.fixture
def worker(clock: ScriptedClock, store: ScriptedStore) -> Worker:
    """A worker that has not begun."""
    return make_worker(Config(worker_id=1, worker_id_source="test", store="none"), store, clock)


@contextlib.asynccontextmanager
async def keeping(keeper: Keeper) -> AsyncIterator[None]:
    """The keeper begins, keeps, and has ended afterwards."""
    await keeper.begin()
    task = asyncio.create_task(keeper.keep())
    yield
    await keeper.end()
    await task


def messages(caplog: pytest.LogCaptureFixture, level: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == level]


def test_the_first_reservation_is_stored_before_anything_is_issued(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    seen: list[tuple[State, tuple[int, int]]] = []
    store.delay_seconds = 1
    store.look = lambda: seen.append((worker.lifecycle.state, worker.generator.take(1)))
    run_scripted(clock, Keeper(worker, store).begin())
    assert seen == [(State.RESERVING, NOTHING)]
    assert worker.lifecycle.state is State.SERVING
    assert worker.generator.ceiling_ms == store.mark_ms
    assert worker.generator.take(1)[1] == 1


@pytest.mark.parametrize("found", [True, False])
def test_a_start_that_cannot_store_issues_nothing(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, *, found: bool
) -> None:
    if not found:
        store.mark_ms = None
    store.look = lambda: setattr(store, "error", "disk full")
    with pytest.raises(StoreError, match="disk full"):
        run_scripted(clock, Keeper(worker, store).begin())
    assert worker.generator.take(1) == NOTHING
    assert worker.lifecycle.state is State.RESERVING


def test_a_server_that_is_asked_to_stop_while_it_begins_goes_on_stopping(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    store.look = lambda: worker.lifecycle.enter(State.DRAINING)
    run_scripted(clock, Keeper(worker, store).begin())
    assert worker.lifecycle.state is State.DRAINING


@pytest.mark.parametrize(
    ("mark_from_now_ms", "warnings"),
    [
        (None, ["no high-water mark found in store scripted: nothing keeps IDs above earlier ones but the clock"]),
        (-60_000, []),
        (0, []),
        (250, ["the high-water mark is 250 ms ahead of the wall clock: IDs lead it until it catches up"]),
    ],
)
def test_a_missing_mark_and_one_ahead_of_the_clock_are_told(
    clock: ScriptedClock,
    store: ScriptedStore,
    worker: Worker,
    caplog: pytest.LogCaptureFixture,
    *,
    mark_from_now_ms: int | None,
    warnings: list[str],
) -> None:
    store.mark_ms = None if mark_from_now_ms is None else clock.wall_ms() + mark_from_now_ms
    run_scripted(clock, Keeper(worker, store).begin())
    assert messages(caplog, "WARNING") == warnings


def test_the_mark_that_a_start_without_one_leaves_when_it_issued_nothing_is_none(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    store.mark_ms = worker.generator.layout.epoch_ms
    run_scripted(clock, Keeper(worker, store).begin())
    assert worker.reservation.found_mark is False
    assert [message.partition(" found")[0] for message in messages(caplog, "WARNING")] == ["no high-water mark"]


def test_a_leap_of_the_clock_while_the_store_is_slow_is_not_believed_at_once(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    began_ms = clock.wall_ms()
    store.delay_seconds = 2

    async def begin() -> None:
        asyncio.get_running_loop().call_later(1, clock.step_ms, YEAR_MS)
        await Keeper(worker, store).begin()

    run_scripted(clock, begin())
    assert worker.generator.ceiling_ms < began_ms + 60_000
    first, _ = worker.generator.take(1)
    assert worker.generator.layout.decompose(first).timestamp_ms < began_ms + 60_000


def test_a_ceiling_of_a_clock_that_was_wrong_comes_down_so_that_no_successor_waits_for_it(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    clock.step_ms(YEAR_MS)

    async def begin_and_set_the_clock_right() -> None:
        async with keeping(Keeper(worker, store)):
            assert store.mark_ms == worker.generator.ceiling_ms > clock.wall_ms()
            clock.step_ms(-YEAR_MS)
            await asyncio.sleep(3 * LOOK_SECONDS)
            assert store.mark_ms == worker.generator.ceiling_ms <= clock.wall_ms() + RESERVE_MS
            assert worker.generator.take(1) != NOTHING

    run_scripted(clock, begin_and_set_the_clock_right())


def test_the_reservation_is_extended_when_half_of_it_is_used(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    began_ms = clock.wall_ms()

    async def keep_for_a_minute() -> None:
        async with keeping(Keeper(worker, store)):
            for _ in range(60_000 // LOOK_MS):
                await asyncio.sleep(LOOK_SECONDS)
                assert worker.reservation.remaining_ms(clock.wall_ms()) >= RESERVE_MS // 2 - LOOK_MS
                assert worker.generator.ceiling_ms == store.mark_ms

    run_scripted(clock, keep_for_a_minute())
    extensions = [ceiling_ms for event, ceiling_ms in store.events if event == "extended"]
    assert extensions[:2] == [began_ms + RESERVE_MS, began_ms + RESERVE_MS * 3 // 2]
    assert len(extensions) == pytest.approx(1 + 60_000 / (RESERVE_MS / 2), abs=2), "no more often than needed"


def test_an_extension_counts_only_when_the_store_has_confirmed_it(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    async def keep_with_a_slow_store() -> None:
        async with keeping(Keeper(worker, store)):
            ceiling_ms = store.mark_ms
            store.delay_seconds = RESERVE_MS / 1000
            await asyncio.sleep(RESERVE_MS / 1000)
            assert store.events[-1] == ("extending", (ceiling_ms or 0) + RESERVE_MS // 2)
            assert worker.generator.ceiling_ms == ceiling_ms
            assert worker.generator.take(1) == NOTHING
            assert worker.not_ready() == "the reservation is being extended"
            await asyncio.sleep(RESERVE_MS / 2000 + LOOK_SECONDS)
            assert worker.generator.ceiling_ms == store.mark_ms

    run_scripted(clock, keep_with_a_slow_store())


def test_a_store_that_does_not_answer_is_told_of_and_waited_for(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    async def keep_with_a_silent_store() -> None:
        async with keeping(Keeper(worker, store)):
            store.delay_seconds = 60
            await asyncio.sleep(RESERVE_MS / 2000 + SILENCE_SECONDS - 2 * LOOK_SECONDS)
            assert worker.not_ready() == "the reservation is being extended"
            await asyncio.sleep(4 * LOOK_SECONDS)
            assert worker.not_ready() == "the reservation cannot be extended: the store scripted does not answer"
            assert worker.reservation.extensions_failed == 1
            await asyncio.sleep(60)
            assert worker.not_ready() is not None, "it has stored what is past by now, and extends again"
            store.delay_seconds = 0
            await asyncio.sleep(60)
            assert worker.not_ready() is None

    run_scripted(clock, keep_with_a_silent_store())
    assert messages(caplog, "ERROR")[0] == "the reservation cannot be extended: the store scripted does not answer"
    assert messages(caplog, "INFO")[-1] == "the reservation is extended again"


def test_a_slow_store_delays_no_look_at_the_clock(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    async def keep_while_the_clock_leaps() -> None:
        async with keeping(Keeper(worker, store)):
            store.delay_seconds = 1
            await asyncio.sleep(RESERVE_MS / 2000 + 2 * LOOK_SECONDS)
            assert store.events[-1][0] == "extending"
            before_ms = clock.wall_ms()
            clock.step_ms(3_600_000)
            await asyncio.sleep(2 * LOOK_SECONDS)
            assert store.events[-1][0] == "extending"
            assert worker.clock.wall_ms() == before_ms + 2 * LOOK_MS
            assert worker.not_ready() is None

    run_scripted(clock, keep_while_the_clock_leaps())
    assert messages(caplog, "WARNING")[0].startswith("the wall clock was set forward by 3600000 ms: not followed until")


def test_the_patience_of_requests_begins_when_issuing_stops_not_with_the_first_of_them(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    async def keep_to_the_ceiling_and_beyond() -> None:
        async with keeping(Keeper(worker, store)):
            store.error = "disk full"
            await asyncio.sleep(RESERVE_MS / 1000 + 1)
            assert worker.refusal() == "the reservation cannot be extended: disk full"
            store.error = ""

    run_scripted(clock, keep_to_the_ceiling_and_beyond())


def test_a_holder_whose_clock_was_set_back_stores_its_ceiling_again_and_none_above_it(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    async def keep_with_a_clock_behind() -> None:
        async with keeping(Keeper(worker, store)):
            worker.generator.take(1)
            clock.step_ms(-300_000)
            events = len(store.events)
            ceiling_ms = store.mark_ms
            await asyncio.sleep(60)
            assert worker.generator.timestamp_ms < (store.mark_ms or 0) <= (ceiling_ms or 0)
            extensions = len(store.events[events:]) / 2
            assert extensions == pytest.approx(60_000 / (RESERVE_MS / 2), abs=3)

    run_scripted(clock, keep_with_a_clock_behind())


def test_a_store_that_fails_is_tried_again_and_told_of_once(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    reservation = worker.reservation

    async def keep_through_an_outage() -> None:
        async with keeping(Keeper(worker, store)):
            store.error = "disk full"
            await asyncio.sleep(RESERVE_MS / 1000 + 5)
            assert reservation.last_error == "disk full"
            assert worker.not_ready() == "the reservation cannot be extended: disk full"
            outage_seconds = RESERVE_MS / 2000 + 5
            assert reservation.extensions_failed == pytest.approx(outage_seconds / RETRY_SECONDS, abs=2)
            store.error = ""
            await asyncio.sleep(RETRY_SECONDS + 2 * LOOK_SECONDS)
            assert reservation.last_error is None
            assert worker.not_ready() is None
            await asyncio.sleep(10)

    run_scripted(clock, keep_through_an_outage())
    assert messages(caplog, "ERROR") == ["the reservation cannot be extended: disk full"]
    assert messages(caplog, "INFO") == ["the reservation is extended again"]


@pytest.mark.parametrize(
    ("step_ms", "direction"), [(600_000, "forward"), (50, "forward"), (-50, "back"), (-5000, "back")]
)
def test_a_clock_that_was_set_is_told_and_counted_once(
    clock: ScriptedClock,
    store: ScriptedStore,
    worker: Worker,
    caplog: pytest.LogCaptureFixture,
    *,
    step_ms: int,
    direction: str,
) -> None:
    async def keep_while_the_clock_is_set() -> None:
        async with keeping(Keeper(worker, store)):
            await asyncio.sleep(1)
            clock.step_ms(step_ms)
            await asyncio.sleep(1)

    run_scripted(clock, keep_while_the_clock_is_set())
    assert worker.stats.clock_steps == {"forward": 0, "back": 0} | {direction: 1}
    assert messages(caplog, "WARNING") == [f"the wall clock was set {direction} by {abs(step_ms)} ms"]


def test_a_clock_that_is_slewed_or_a_loop_that_hung_is_no_step(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    async def keep_with_a_slewed_clock() -> None:
        async with keeping(Keeper(worker, store)):
            for _ in range(100):
                clock.step_ms(-20)
                await asyncio.sleep(LOOK_SECONDS)
            assert worker.stats.event_loop_lag_seconds == pytest.approx(0, abs=0.01)
            clock.pass_ms(700)
            await asyncio.sleep(LOOK_SECONDS)
            assert worker.stats.event_loop_lag_seconds == pytest.approx(0.7, abs=2 * LOOK_SECONDS)

    run_scripted(clock, keep_with_a_slewed_clock())
    assert worker.stats.clock_steps == {"forward": 0, "back": 0}
    assert messages(caplog, "WARNING") == []


def test_the_end_seals_first_and_then_stores_where_the_successor_may_begin(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    async def issue_and_end() -> None:
        async with keeping(Keeper(worker, store)):
            await asyncio.sleep(1)
            assert worker.generator.take(1)[1] == 1
            store.delay_seconds = 2

    run_scripted(clock, issue_and_end())
    mark_ms = worker.generator.timestamp_ms + 1
    assert store.events[-2:] == [("releasing", mark_ms), ("released", mark_ms)]
    assert worker.generator.take(1) == NOTHING
    assert worker.generator.obstacle() is Obstacle.SEALED


def test_nothing_is_issued_while_the_end_is_being_stored(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    async def end_slowly() -> None:
        keeper = Keeper(worker, store)
        await keeper.begin()
        store.delay_seconds = 1
        ending = asyncio.create_task(keeper.end())
        await asyncio.sleep(0.5)
        assert store.events[-1][0] == "releasing"
        assert worker.generator.take(1) == NOTHING
        await ending

    run_scripted(clock, end_slowly())


def test_the_end_waits_for_an_extension_that_is_being_stored(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker
) -> None:
    async def end_beside_an_extension() -> None:
        async with keeping(Keeper(worker, store)):
            store.delay_seconds = 1
            await asyncio.sleep(RESERVE_MS / 2000 + 2 * LOOK_SECONDS)
            assert store.events[-1][0] == "extending"

    run_scripted(clock, end_beside_an_extension())
    assert [event for event, _ in store.events[-4:]] == ["extending", "extended", "releasing", "released"]
    assert worker.generator.take(1) == NOTHING, "the late confirmation opens nothing"
    assert store.mark_ms == worker.generator.timestamp_ms + 1, "the mark is the end, not the extension's"


def test_an_end_that_cannot_be_stored_is_told(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    async def end_with_a_full_disk() -> None:
        async with keeping(Keeper(worker, store)):
            store.error = "disk full"

    run_scripted(clock, end_with_a_full_disk())
    assert messages(caplog, "WARNING") == ["the high-water mark could not be lowered to the last ID: disk full"]


@pytest.mark.parametrize(
    ("former", "accepts", "refusal"),
    [
        ("41/10/12@1704067200000", False, None),
        ("42/9/12@1704067200000", False, "IDs of the two could repeat; .* --accept-layout-change"),
        ("42/9/12@1704067200000", True, None),
        ("41/11/11@1704067200000", True, None),
        ("41/10/12@1735689600000", True, None),
        ("41/10/12@1672531200000", True, "whose IDs reach up to those that it would issue at 20"),
        ("paper", True, "is no layout's fingerprint"),
    ],
)
def test_a_mark_of_another_layout_is_taken_only_when_asked_to_and_when_all_new_ids_lie_above(
    clock: ScriptedClock, store: ScriptedStore, *, former: str, accepts: bool, refusal: str | None
) -> None:
    store.fingerprint = former
    config = Config(worker_id=1, worker_id_source="test", store="none", accept_layout_change=accepts)
    worker = make_worker(config, store, clock)
    if refusal is not None:
        with pytest.raises(StoreError, match=refusal):
            run_scripted(clock, Keeper(worker, store).begin())
        assert worker.generator.take(1) == NOTHING
        return
    other_workers_reached_ms = clock.wall_ms() + worker.generator.lead_limit_ms
    run_scripted(clock, Keeper(worker, store).begin())
    clock.pass_ms(1)
    first, _ = worker.generator.take(1)
    layout = Layout.parse_fingerprint(former)
    assert first > layout.greatest_id(other_workers_reached_ms) or former == worker.generator.layout.fingerprint


def test_the_mark_of_a_layout_that_has_ended_is_taken_as_its_last_millisecond(
    clock: ScriptedClock, store: ScriptedStore
) -> None:
    ended = Layout.parse("35/10/12")
    store.fingerprint, store.mark_ms = ended.fingerprint, ended.end_ms
    worker = make_worker(
        Config(worker_id=1, worker_id_source="test", store="none", accept_layout_change=True), store, clock
    )
    run_scripted(clock, Keeper(worker, store).begin())
    assert worker.generator.take(1)[0] > ended.greatest_id(ended.end_ms - 1)


def test_the_mark_of_a_worker_that_issued_nothing_says_nothing_of_what_others_issued(
    clock: ScriptedClock, store: ScriptedStore
) -> None:
    config = Config(worker_id=1, worker_id_source="test", store="none", accept_layout_change=True)
    store.fingerprint, store.mark_ms = "40/11/12@1704067200000", config.layout.epoch_ms
    worker = make_worker(config, store, clock)
    with pytest.raises(StoreError, match="whose IDs reach up to those that it would issue at 20"):
        run_scripted(clock, Keeper(worker, store).begin())
    assert worker.generator.take(1) == NOTHING
