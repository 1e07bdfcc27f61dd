"""`--start-above`: every ID of a start, and of later starts, is greater than the given one."""

import asyncio
import logging

import pytest

from respid.highwater.keeper import Keeper
from respid.highwater.stores import StoreError
from respid.ids.generator import NOTHING
from respid.ids.layout import Layout
from respid.ids.timestamp import parse_timestamp_ms
from respid.server import make_worker
from respid.worker.config import Config
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.raw_client import RawClient
from tests.support.running import StartServer
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_loop import run_scripted
from tests.support.scripted_store import ScriptedStore

LAYOUT = Layout()
LEAD_MS = 600_000
INCR = request("INCR", "orders")


def start(
    clock: ScriptedClock, store: ScriptedStore, above: int | None, layout: Layout = LAYOUT, lead_seconds: float = 600
) -> Worker:
    config = Config(
        worker_id=1,
        worker_id_source="test",
        layout=layout,
        start_above=above,
        max_clock_lead_seconds=lead_seconds,
    )
    worker = make_worker(config, store, clock)
    run_scripted(clock, Keeper(worker, store).begin())
    return worker


def draw(worker: Worker) -> int:
    first, count = worker.generator.take(1)
    assert count == 1
    return first


@pytest.mark.parametrize("mark_from_now_ms", [None, -60_000, 0, 2000, 500_000])
@pytest.mark.parametrize("ahead_ms", [-(10**9), -1, 0, 1, 5000, LEAD_MS - 1])
@pytest.mark.parametrize("parts", [(0, 0), (1, 0), (1023, 4095)])
def test_every_id_is_above(
    clock: ScriptedClock, parts: tuple[int, int], ahead_ms: int, mark_from_now_ms: int | None
) -> None:
    above = LAYOUT.compose(clock.wall_ms() + ahead_ms, *parts)
    mark_ms = None if mark_from_now_ms is None else clock.wall_ms() + mark_from_now_ms
    store = ScriptedStore(mark_ms=mark_ms)
    worker = start(clock, store, above)
    first = draw(worker)
    assert first > above
    assert LAYOUT.decompose(first).timestamp_ms >= (mark_ms or 0)
    assert worker.reservation.found_mark is (mark_ms is not None)


@pytest.mark.parametrize("above", [0, 1, 12_345, 1 << 40])
def test_small_numbers_cost_nothing(clock: ScriptedClock, above: int) -> None:
    worker = start(clock, ScriptedStore(), above)
    assert LAYOUT.decompose(draw(worker)).timestamp_ms == clock.wall_ms()


@pytest.mark.parametrize("has_mark", [True, False])
def test_logs_the_bound_only(clock: ScriptedClock, caplog: pytest.LogCaptureFixture, *, has_mark: bool) -> None:
    caplog.set_level(logging.INFO)
    above = LAYOUT.compose(clock.wall_ms(), 1, 0)
    start(clock, ScriptedStore(mark_ms=clock.wall_ms() if has_mark else None), above)
    (record,) = caplog.records
    assert vars(record)["event"] == "start_above"
    assert record.getMessage().endswith(f"greater than {above}")


@pytest.mark.parametrize("stops_cleanly", [True, False])
@pytest.mark.parametrize("issues", [True, False])
def test_later_starts_without_it_stay_above(clock: ScriptedClock, *, issues: bool, stops_cleanly: bool) -> None:
    above = LAYOUT.compose(clock.wall_ms() + LEAD_MS - 1, 9, 9)
    store = ScriptedStore()

    async def live() -> None:
        config = Config(worker_id=1, worker_id_source="test", start_above=above)
        worker = make_worker(config, store, clock)
        keeper = Keeper(worker, store)
        await keeper.begin()
        if issues:
            assert draw(worker) > above
        if stops_cleanly:
            await keeper.end()
        await asyncio.sleep(0)

    run_scripted(clock, live())
    clock.pass_ms(5000)  # else the lead is that of the mark, at the limit
    assert draw(start(clock, store, None)) > above


@pytest.mark.parametrize("ahead_ms", [LEAD_MS, 10**10])
def test_too_far_ahead_is_refused(clock: ScriptedClock, ahead_ms: int) -> None:
    above, store = LAYOUT.compose(clock.wall_ms() + ahead_ms, 0, 0), ScriptedStore()
    with pytest.raises(StoreError, match=f"^--start-above: IDs greater than {above} are those of 20.*max clock lead"):
        start(clock, store, above)
    assert store.events == [], "no mark is stored"


def test_refusal_names_two_ways_that_work(clock: ScriptedClock) -> None:
    """An ID of a Snowflake with an epoch in 2010 is years ahead of the IDs that this layout issues now."""
    above, store = 1_900_000_000_000_000_000, ScriptedStore(mark_ms=None)
    with pytest.raises(StoreError, match=r"or set --epoch to \S+ or earlier$") as refused:
        start(clock, store, above)
    ahead_ms = LAYOUT.first_above(above) - clock.wall_ms()
    assert draw(start(clock, ScriptedStore(), above, lead_seconds=ahead_ms / 1000)) > above
    latest_epoch = str(refused.value).split()[-3]
    layout = Layout.parse("41/10/12", parse_timestamp_ms(latest_epoch))
    store.fingerprint = layout.fingerprint
    worker = start(clock, store, above, layout)
    assert draw(worker) > above
    assert worker.generator.lead_ms == 0


def test_restart_with_it_left_set_starts_at_mark(clock: ScriptedClock) -> None:
    above = LAYOUT.compose(clock.wall_ms() + LEAD_MS - 1, 0, 0)
    store = ScriptedStore()
    first = draw(start(clock, store, above))
    clock.step_ms(-1000)
    worker = start(clock, store, above)
    assert worker.generator.take(1) == NOTHING, "the clock is too far behind the mark, which is not a usage error"
    clock.pass_ms(60_000)
    assert draw(worker) > first


def test_server_starts_above(start_server: StartServer) -> None:
    with RawClient(start_server().port) as client:
        above = client.draw(INCR, 1)[0] + (500_000 << 22)
    server = start_server("--start-above", str(above))
    with RawClient(server.port) as client:
        assert client.draw(INCR, 1)[0] > above
    assert server.metric("id_generator_clock_lead_seconds") > 100  # it falls while a busy machine starts the server
