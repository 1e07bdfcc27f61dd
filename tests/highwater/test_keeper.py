"""The keeper stores each mark before IDs are issued below it, and reports clock steps and store failures."""

import asyncio
import logging
from typing import Any
from unittest import mock

import pytest

from respid.highwater.keeper import (
    IDLE_LOOK_SECONDS,
    LEAST_PAUSE_SECONDS,
    LOOK_SECONDS,
    RETRY_SECONDS,
    SILENCE_SECONDS,
    Keeper,
)
from respid.highwater.stores import HolderLostError, Mark, StoreError, StoreUnavailableError, UnconfirmedError
from respid.highwater.stores.none import NoStore
from respid.ids.generator import NOTHING, Generator, Obstacle
from respid.ids.layout import YEAR_MS, Layout
from respid.ids.reservation import ReserveSpans
from respid.server import make_worker
from respid.worker.config import Config
from respid.worker.lifecycle import State
from respid.worker.worker import Worker
from tests.support.running_keeper import keeping
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
    """The store of a worker that ran before: its mark is a minute old."""
    return ScriptedStore(mark_ms=clock.wall_ms() - 60_000)


@pytest.fixture
def worker(clock: ScriptedClock, store: ScriptedStore) -> Worker:
    """A worker without a reservation."""
    return _worker_with(store, clock)


def _worker_with(store: ScriptedStore, clock: ScriptedClock) -> Worker:
    return make_worker(Config(worker_id=1, worker_id_source="test", store="none"), store, clock)


def events(caplog: pytest.LogCaptureFixture, level: str) -> list[str]:
    return [getattr(record, "event", "") for record in caplog.records if record.levelname == level]


def test_stores_first_mark_before_issuing(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    seen: list[tuple[State, tuple[int, int]]] = []
    store.delay_seconds = 1
    store.look = lambda: seen.append((worker.lifecycle.state, worker.generator.take(1)))
    run_scripted(clock, Keeper(worker, store).begin())
    assert seen == [(State.RESERVING, NOTHING)]
    assert worker.lifecycle.state is State.SERVING
    assert worker.generator.ceiling_ms == store.mark_ms
    assert worker.generator.take(1)[1] == 1


@pytest.mark.parametrize("found", [True, False])
def test_start_without_store_issues_nothing(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, *, found: bool
) -> None:
    if not found:
        store.mark_ms = None
    store.look = lambda: setattr(store, "error", "disk full")
    with pytest.raises(StoreError, match="disk full"):
        run_scripted(clock, Keeper(worker, store).begin())
    assert worker.generator.take(1) == NOTHING
    assert worker.lifecycle.state is State.RESERVING


def test_stop_during_start_is_not_undone(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    store.look = lambda: worker.lifecycle.enter(State.DRAINING)
    run_scripted(clock, Keeper(worker, store).begin())
    assert worker.lifecycle.state is State.DRAINING


@pytest.mark.parametrize(
    ("mark_from_now_ms", "warnings"),
    [
        (-60_000, []),
        (0, []),
        (250, ["mark_ahead"]),
    ],
)
def test_logs_lead_of_mark(
    clock: ScriptedClock,
    store: ScriptedStore,
    worker: Worker,
    caplog: pytest.LogCaptureFixture,
    *,
    mark_from_now_ms: int,
    warnings: list[str],
) -> None:
    store.mark_ms = clock.wall_ms() + mark_from_now_ms
    run_scripted(clock, Keeper(worker, store).begin())
    assert events(caplog, "WARNING") == warnings


def test_warns_at_each_start_without_a_store(
    clock: ScriptedClock, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    run_scripted(clock, Keeper(worker, NoStore()).begin())
    assert worker.reservation.found_mark is False
    assert events(caplog, "WARNING") == ["mark_missing"]


def test_first_start_is_no_warning(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    store.mark_ms = None
    run_scripted(clock, Keeper(worker, store).begin())
    assert worker.reservation.found_mark is False
    assert (events(caplog, "WARNING"), events(caplog, "INFO")) == ([], ["mark_missing"])


def test_start_after_a_run_without_ids_is_no_warning(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    store.mark_ms = worker.generator.layout.epoch_ms  # what a stop stores if no ID was issued
    run_scripted(clock, Keeper(worker, store).begin())
    assert worker.reservation.found_mark is True
    assert (events(caplog, "WARNING"), events(caplog, "INFO")) == ([], ["mark_unused"])


def test_ignores_leap_during_slow_start(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    began_ms = clock.wall_ms()
    store.delay_seconds = 2

    async def begin() -> None:
        asyncio.get_running_loop().call_later(1, clock.step_ms, YEAR_MS)
        await Keeper(worker, store).begin()

    run_scripted(clock, begin())
    assert worker.generator.ceiling_ms < began_ms + 60_000
    first, _ = worker.generator.take(1)
    assert worker.generator.layout.decompose(first).timestamp_ms < began_ms + 60_000


def test_lowers_mark_of_wrong_clock(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    clock.step_ms(YEAR_MS)

    async def begin_and_set_the_clock_right() -> None:
        async with keeping(Keeper(worker, store)):
            assert store.mark_ms == worker.generator.ceiling_ms > clock.wall_ms()
            clock.step_ms(-YEAR_MS)
            await asyncio.sleep(3 * LOOK_SECONDS)
            assert store.mark_ms == worker.generator.ceiling_ms <= clock.wall_ms() + RESERVE_MS
            assert worker.generator.take(1) != NOTHING

    run_scripted(clock, begin_and_set_the_clock_right())


def test_extends_when_half_is_used(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    began_ms = clock.wall_ms()

    async def keep_for_a_minute() -> None:
        async with keeping(Keeper(worker, store)):
            for _ in range(60_000 // LOOK_MS):
                await asyncio.sleep(LOOK_SECONDS)
                assert worker.reservation.remaining_ms(clock.wall_ms()) >= RESERVE_MS // 2 - IDLE_LOOK_SECONDS * 1000
                assert worker.generator.ceiling_ms == store.mark_ms

    run_scripted(clock, keep_for_a_minute())
    extensions = [ceiling_ms for event, ceiling_ms in store.events if event == "extended"]
    assert extensions[:2] == [began_ms + RESERVE_MS, began_ms + RESERVE_MS * 3 // 2]
    assert len(extensions) == pytest.approx(1 + 60_000 / (RESERVE_MS / 2), abs=2), "no more often than needed"


def test_uses_only_confirmed_extension(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
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


def test_reports_silent_store_and_waits(
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
            assert worker.not_ready() is not None, (
                "it has stored a ceiling that has passed meanwhile, and extends again"
            )
            store.delay_seconds = 0
            await asyncio.sleep(60)
            assert worker.not_ready() is None

    run_scripted(clock, keep_with_a_silent_store())
    assert events(caplog, "ERROR")[0] == "reservation_failed"
    assert events(caplog, "INFO")[-1] == "reservation_restored"


def test_slow_store_does_not_delay_clock_checks(
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
    assert events(caplog, "WARNING") == ["clock_step"]


def test_patience_counts_from_stop(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    async def keep_to_the_ceiling_and_beyond() -> None:
        async with keeping(Keeper(worker, store)):
            store.error = "disk full"
            await asyncio.sleep(RESERVE_MS / 1000 + 1)
            assert worker.refusal() == "the reservation cannot be extended: disk full"
            store.error = ""

    run_scripted(clock, keep_to_the_ceiling_and_beyond())


def test_clock_set_back_keeps_ceiling(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
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


def test_retries_failing_store_and_logs_once(
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
    assert events(caplog, "ERROR") == ["reservation_failed", "reservation_used_up"]
    assert f"cannot be extended: disk full; IDs can be issued for another {RESERVE_MS / 2000:.0f} s" in caplog.text
    assert events(caplog, "INFO") == ["reservation_restored"]


@pytest.mark.parametrize(
    ("step_ms", "direction"), [(600_000, "forward"), (50, "forward"), (-50, "back"), (-5000, "back")]
)
def test_logs_and_counts_clock_step(
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
    assert events(caplog, "WARNING") == ["clock_step"]
    assert f"was set {direction} by {abs(step_ms)} ms" in caplog.text


def test_slewed_clock_or_hung_loop_is_not_a_step(
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
    assert events(caplog, "WARNING") == []


def test_end_seals_then_stores_mark(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
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


def test_end_issues_nothing_while_storing(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
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


def test_end_waits_for_extension(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    async def end_during_extension() -> None:
        async with keeping(Keeper(worker, store)):
            store.delay_seconds = 1
            await asyncio.sleep(RESERVE_MS / 2000 + 2 * LOOK_SECONDS)
            assert store.events[-1][0] == "extending"

    run_scripted(clock, end_during_extension())
    assert [event for event, _ in store.events[-4:]] == ["extending", "extended", "releasing", "released"]
    assert worker.generator.take(1) == NOTHING, "the late confirmation does not raise the ceiling"
    assert store.mark_ms == worker.generator.timestamp_ms + 1, (
        "the mark is the end of the issued timestamps, not the ceiling of the extension"
    )


def test_logs_failed_release(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    async def end_with_a_full_disk() -> None:
        async with keeping(Keeper(worker, store)):
            store.error = "disk full"

    run_scripted(clock, end_with_a_full_disk())
    assert events(caplog, "WARNING") == ["release_failed"]
    assert "disk full" in caplog.text


def test_layout_change_begins_above_all_marks(clock: ScriptedClock, store: ScriptedStore) -> None:
    """One of them was an hour ahead, and the permitted lead was lowered to a minute meanwhile."""
    former = Layout.parse("41/11/11")
    store.fingerprint = former.fingerprint
    store.others = (Mark(clock.wall_ms() + 3_600_000, former.fingerprint),)
    config = Config(
        worker_id=1, worker_id_source="test", store="none", accept_layout_change=True, max_clock_lead_seconds=60
    )
    worker = make_worker(config, store, clock)
    run_scripted(clock, Keeper(worker, store).begin())
    assert worker.generator.take(1) == NOTHING
    assert worker.generator.seal() == store.others[0].ceiling_ms


@pytest.mark.parametrize(
    ("others", "logged"),
    [
        ((), ["layout_change"]),
        (None, ["layout_change", "layout_change_unverified"]),
    ],
)
def test_layout_change_is_logged_once_it_has_succeeded(
    clock: ScriptedClock,
    store: ScriptedStore,
    caplog: pytest.LogCaptureFixture,
    others: tuple[Mark, ...] | None,
    logged: list[str],
) -> None:
    failures = [StoreUnavailableError("slow")] * 5

    def fail_at_first() -> None:
        if failures:
            raise failures.pop()

    store.fingerprint, store.others, store.look = "41/11/11@1704067200000", others, fail_at_first
    config = Config(worker_id=1, worker_id_source="test", store="none", accept_layout_change=True)
    run_scripted(clock, Keeper(make_worker(config, store, clock), store).begin())
    warnings = [event for event in events(caplog, "WARNING") if event.startswith("layout_change")]
    assert warnings == logged
    changes = [record.getMessage() for record in caplog.records if getattr(record, "event", "") == logged[-1]]
    assert all("41/10/12@1704067200000" in message for message in changes)


def test_refused_layout_change_is_not_logged_as_accepted(
    clock: ScriptedClock, store: ScriptedStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.fingerprint = "40/10/13@1672531200000"
    config = Config(worker_id=1, worker_id_source="test", store="none", accept_layout_change=True)
    with pytest.raises(StoreError, match="IDs of that layout reach up to"):
        run_scripted(clock, Keeper(make_worker(config, store, clock), store).begin())
    assert events(caplog, "WARNING") == []


def test_stores_missing_mark_again(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    async def keep_while_the_directory_is_moved() -> None:
        async with keeping(Keeper(worker, store)):
            await asyncio.sleep(RESERVE_MS / 4000)
            events = len(store.events)
            store.is_in_place = False
            await asyncio.sleep(2 * LOOK_SECONDS)
            assert len(store.events) > events
            store.is_in_place = True

    run_scripted(clock, keep_while_the_directory_is_moved())


@pytest.mark.parametrize(("is_idle", "looks"), [(True, 80), (False, 100)])
def test_looks_less_often_while_idle(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, *, is_idle: bool, looks: int
) -> None:
    async def keep_for_ten_seconds() -> None:
        keeper = Keeper(worker, store)
        async with keeping(keeper):
            with mock.patch.object(keeper, "_look", wraps=keeper._look) as look:
                for _ in range(200):
                    await asyncio.sleep(0.05)
                    assert is_idle or worker.generator.take(1) != NOTHING
        extensions = sum(event == "extended" for event, _ in store.events)
        assert look.call_count == pytest.approx(looks + extensions, abs=3)

    run_scripted(clock, keep_for_ten_seconds())


class UnlistedStore(ScriptedStore):
    """Marks are stored at once, but the start's is the only one that is confirmed, until the test says so."""

    is_listed = False

    async def extend(self, ceiling_ms: int) -> None:
        await super().extend(ceiling_ms)
        if len(self.events) > 2:
            await self._confirm()

    async def _confirm(self) -> None:
        self.events.append(("confirming", self.mark_ms or 0))
        if not self.is_listed:
            raise UnconfirmedError("the list took too long", self._confirm)


def test_retries_only_the_confirmation_less_and_less_often(clock: ScriptedClock) -> None:
    """With 500 workers, a list and a write each every 0.5 s would be a load for the API server."""
    store = UnlistedStore(mark_ms=0, spans=ReserveSpans(wall_ms=300_000, lead_ms=10_000))
    worker = _worker_with(store, clock)
    began_ms = clock.wall_ms()

    async def keep_while_lists_fail() -> None:
        async with keeping(Keeper(worker, store)):
            await asyncio.sleep(290)
            assert [event for event, _ in store.events[2:4]] == ["extending", "extended"]
            tries = [event for event, _ in store.events[4:]]
            assert set(tries) == {"confirming"}
            assert 20 < len(tries) < 50
            assert worker.generator.ceiling_ms == began_ms + 300_000
            assert worker.reservation.last_error == "the list took too long"
            store.is_listed = True
            await asyncio.sleep(LEAST_PAUSE_SECONDS + 0.5)
            assert worker.reservation.last_error is None
            assert worker.generator.ceiling_ms == store.mark_ms == pytest.approx(began_ms + 450_000, abs=1000)
            assert store.events[-1][0] == "confirming"
            await asyncio.sleep(157)
            assert worker.not_ready() is None, "a new mark is stored in time, from the age of the last one"

    run_scripted(clock, keep_while_lists_fail())


def test_unconfirmed_mark_is_stored_again_once_it_is_old(clock: ScriptedClock) -> None:
    store = UnlistedStore(mark_ms=0, spans=ReserveSpans(wall_ms=20_000, lead_ms=10_000))
    worker = _worker_with(store, clock)

    async def keep_while_lists_fail() -> None:
        async with keeping(Keeper(worker, store)):
            await asyncio.sleep(60)
            extensions = sum(event == "extended" for event, _ in store.events)
            assert 4 <= extensions <= 6
            assert worker.generator.take(1) == NOTHING
            assert worker.not_ready() == "the reservation cannot be extended: the list took too long"

    run_scripted(clock, keep_while_lists_fail())


def test_end_waits_for_no_confirmation(clock: ScriptedClock) -> None:
    store = UnlistedStore(mark_ms=0, spans=ReserveSpans(wall_ms=300_000, lead_ms=10_000))
    worker = _worker_with(store, clock)

    async def end_while_lists_fail() -> float:
        async with keeping(Keeper(worker, store)):
            await asyncio.sleep(170)
            began = asyncio.get_running_loop().time()
        return asyncio.get_running_loop().time() - began

    assert run_scripted(clock, end_while_lists_fail()) < 1
    assert [event for event, _ in store.events[-3:]] == ["confirming", "releasing", "released"]


def test_start_that_fails_after_its_write_lowers_no_mark(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out_of_memory(_floor_ms: int, _ceiling_ms: int) -> None:
        raise MemoryError

    monkeypatch.setattr(Generator, "begin", lambda _self, *numbers: run_out_of_memory(*numbers))
    found_ms = store.mark_ms

    async def begin_and_end() -> None:
        keeper = Keeper(worker, store)
        with pytest.raises(MemoryError):
            await keeper.begin()
        await keeper.end()

    run_scripted(clock, begin_and_end())
    assert found_ms is not None
    assert store.mark_ms is not None
    assert store.mark_ms >= found_ms


def test_start_waits_for_store_and_logs_once(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    store.error, store.error_kind = "away", StoreUnavailableError

    async def begin_during_an_outage() -> None:
        beginning = asyncio.create_task(Keeper(worker, store).begin())
        await asyncio.sleep(20 * RETRY_SECONDS + 0.1)
        assert worker.reservation.extensions_failed == pytest.approx(21, abs=1)
        assert worker.not_ready() == "the reservation cannot be extended: away"
        store.error = ""
        await asyncio.sleep(RETRY_SECONDS)
        await beginning
        assert worker.not_ready() is None
        assert worker.reservation.last_error is None

    run_scripted(clock, begin_during_an_outage())
    assert events(caplog, "ERROR") == ["reservation_failed"]


def test_end_before_the_start_releases_nothing(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    store.error, store.error_kind = "away", StoreUnavailableError

    async def end_during_the_start() -> None:
        keeper = Keeper(worker, store)
        beginning = asyncio.create_task(keeper.begin())
        await asyncio.sleep(RETRY_SECONDS / 2)
        store.error = ""
        await keeper.end()
        await beginning

    run_scripted(clock, end_during_the_start())
    assert store.events == []
    assert worker.generator.take(1) == NOTHING


def test_lost_holder_stops_at_once(clock: ScriptedClock, store: ScriptedStore, worker: Worker) -> None:
    async def lose_the_worker_id() -> None:
        keeper = Keeper(worker, store)
        await keeper.begin()
        store.error, store.error_kind = "taken", HolderLostError
        with pytest.raises(HolderLostError, match="taken"):
            await keeper.keep()
        assert worker.generator.obstacle() is Obstacle.SEALED
        assert worker.reservation.last_error == "taken"
        store.error = ""
        await keeper.end()

    run_scripted(clock, lose_the_worker_id())
    assert [event for event, _ in store.events] == ["extending", "extended", "extending"], "it releases nothing"


def test_reports_mark_too_far_ahead(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    store.mark_ms = clock.wall_ms() + 3_600_000
    run_scripted(clock, Keeper(worker, store).begin())
    assert (events(caplog, "ERROR"), events(caplog, "WARNING")) == (["mark_too_far_ahead"], [])
    assert "is 3600 s ahead of the wall clock: no ID is issued until the clock comes within 600 s" in caplog.text


def test_lower_limits_keep_ids_above_the_mark(clock: ScriptedClock, store: ScriptedStore) -> None:
    """The process before it was permitted a longer lead, and had a longer reservation."""
    store.mark_ms = mark_ms = clock.wall_ms() + 300_000
    store.spans = ReserveSpans(wall_ms=1_000, lead_ms=250)
    config = Config(worker_id=1, worker_id_source="test", store="none", max_clock_lead_seconds=60)
    worker = make_worker(config, store, clock)
    run_scripted(clock, Keeper(worker, store).begin())
    clock.pass_ms(239_000)
    assert worker.generator.take(1) == NOTHING
    clock.pass_ms(1_001)
    first, count = worker.generator.take(1)
    assert count == 1
    assert worker.generator.layout.decompose(first).timestamp_ms >= mark_ms


def test_step_by_more_than_the_lead_must_last(clock: ScriptedClock, store: ScriptedStore) -> None:
    config = Config(worker_id=1, worker_id_source="test", store="none", clock_jump_confirm_seconds=1000)
    worker = make_worker(config, store, clock)

    async def set_the_clock_far_ahead() -> None:
        async with keeping(Keeper(worker, store)):
            clock.step_ms(YEAR_MS)
            await asyncio.sleep(999)
            assert worker.clock is not clock
            await asyncio.sleep(1.5)
            assert worker.clock is clock

    run_scripted(clock, set_the_clock_far_ahead())


def test_marks_of_others_are_found(clock: ScriptedClock, store: ScriptedStore) -> None:
    store.mark_ms = None
    store.others = (Mark(clock.wall_ms(), Layout.parse("41/11/11").fingerprint),)
    config = Config(worker_id=1, worker_id_source="test", store="none", accept_layout_change=True)
    worker = make_worker(config, store, clock)
    run_scripted(clock, Keeper(worker, store).begin())
    assert worker.reservation.found_mark is True


def test_wakes_up_once_for_each_look(
    clock: ScriptedClock, store: ScriptedStore, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wake-ups are nearly all that a server at rest costs."""
    timers: list[float] = []

    async def count_timers() -> None:
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def count(delay: float, *arguments: Any, **options: Any) -> asyncio.TimerHandle:
            timers.append(delay)
            return call_later(delay, *arguments, **options)

        async with keeping(Keeper(worker, store)):
            await asyncio.sleep(LOOK_SECONDS)
            monkeypatch.setattr(loop, "call_later", count)
            await asyncio.sleep(10 * LOOK_SECONDS)
            monkeypatch.undo()

    run_scripted(clock, count_timers())
    assert len(timers) <= 12
