"""The waiting queue: rounds are fair, and waits are counted."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from unittest import mock

import pytest

from respid.commands import Draw, RequestKind, Session
from respid.net.clients import Clients, ClientSocket, QueueTicker
from respid.net.connection import Connection
from respid.net.short_timer import ShortTimer
from respid.net.states import Next
from respid.net.turns import ROUND_NS, Budget
from respid.net.waiting_queue import SINGLES_FIRST_ROUNDS, WaitingQueue
from respid.worker.worker import PATIENCE_MS, Worker
from tests.support.byte_streams import request
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_loop import run_scripted
from tests.support.scripted_worker import RESERVED_MS, connect, converse

INCR = request("INCR", "orders")
BLOCKS = request("INCRBY", "orders", "100") * 20
SHARE = 100  # IDs that a turn gives a bulk request here
NOTHING_EXHAUSTED = {"single": 0, "bulk": 0}


@dataclass
class Waiter:
    """A client that wants some IDs: `share` of them per turn, or all in one block."""

    session: Session
    wants: int = 1
    share: int = 1
    in_block: bool = False
    is_gone: bool = False
    fails: bool = False
    drawn: list[tuple[int, int]] = field(default_factory=list)
    turns: int = 0

    def go_on(self) -> bool:
        self.turns += 1
        if self.fails:
            raise RuntimeError
        if self.is_gone or self.session.worker.refusal() is not None:
            return False
        generator = self.session.worker.generator
        take = generator.take_block if self.in_block else generator.take
        first, count = take(self.wants if self.in_block else min(self.share, self.wants), self.session.wait.since_ms)
        if count:
            self.drawn.append((first, count))
            self.wants -= count
        return self.wants > 0


def single(worker: Worker) -> Waiter:
    return Waiter(_session(worker))


def bulk(worker: Worker, wants: int) -> Waiter:
    waiter = Waiter(_session(worker), wants, SHARE)
    waiter.session.wait.kind = RequestKind.STREAM
    return waiter


def block(worker: Worker, wants: int) -> Waiter:
    return Waiter(_session(worker), wants, in_block=True)


def _session(worker: Worker) -> Session:
    session = connect(worker).session
    session.wait.since_ms = worker.clock.wall_ms()
    return session


@pytest.fixture
def queue(worker: Worker) -> WaitingQueue:
    """The queue of a worker whose current millisecond is exhausted."""
    worker.generator.take(4096)
    return WaitingQueue(worker)


def join(queue: WaitingQueue, *waiters: Waiter) -> None:
    """Joins as connections do: after a request that got no ID."""
    for waiter in waiters:
        assert waiter.session.take(1) == (0, 0)
        queue.join(waiter)


def test_round_gives_each_one_turn(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    waiters = [bulk(worker, 1000), bulk(worker, 1000), single(worker)]
    join(queue, *waiters)
    clock.pass_ms(1)
    queue.serve()
    (first,), (second,), (third,) = (waiter.drawn for waiter in waiters)
    assert (first[1], second[1], third[1]) == (SHARE, SHARE, 1)
    assert first[0] == third[0] + 1, "a single request waits for no stream"
    assert second[0] == first[0] + SHARE
    assert len(queue) == 2


def pipeline(worker: Worker, wants: int) -> Waiter:
    waiter = Waiter(_session(worker), wants, SHARE)
    waiter.session.wait.ids = wants
    return waiter


def serve_in_all_orders(clock: ScriptedClock, queue: WaitingQueue, *, pass_ms: float = 1, rounds: int = 1) -> None:
    """Serves until pipelines came first twice, and streams, with this many rounds after each step of the clock."""
    for _ in range(4 * SINGLES_FIRST_ROUNDS):
        clock.pass_ms(pass_ms)
        for _ in range(rounds):
            queue.serve()


def test_single_request_waits_for_no_pipeline(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    pipelines, one = [pipeline(worker, 10_000) for _ in range(100)], single(worker)
    join(queue, *pipelines, one)
    clock.pass_ms(1)
    queue.serve()
    assert [count for _, count in one.drawn] == [1]
    assert sum(waiter.turns for waiter in pipelines) == 4095 // SHARE + 1


@pytest.mark.parametrize(
    ("sent", "is_single"),
    [
        (INCR, True),
        (request("INCRBY", "k", "100"), True),
        (request("INCRBY", "k", "4000"), False),
        (INCR + request("PING"), False),
        (INCR + b"*", False),
        (INCR * 2, False),
        (request("MULTI") + INCR + request("EXEC"), False),
    ],
)
def test_single_request_is_followed_by_none(worker: Worker, queue: WaitingQueue, sent: bytes, is_single: bool) -> None:  # noqa: FBT001
    connection = connect(worker)
    converse(connection, sent)
    assert connection.next is Next.WAIT
    assert connection.session.wait.is_single is is_single
    assert not queue


def test_pipelines_are_not_starved(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    """Single requests that take all IDs of each millisecond leave pipelines one turn in a while."""
    waiting, greedy = pipeline(worker, 10_000), Waiter(_session(worker), 1_000_000, 4096)
    join(queue, waiting, greedy)
    serve_in_all_orders(clock, queue)
    assert waiting.turns == 2


def test_large_block_is_not_starved(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    """Beside single requests and a stream. Both open milliseconds, in which it then does not fit any more."""
    large = connect(worker)
    converse(large, request("INCRBY", "k", "4096"))
    waiting, stream = Waiter(large.session, 4096, in_block=True), bulk(worker, 1_000_000)
    stream.share = 4096
    for waiter in (waiting, stream, *[Waiter(_session(worker), 1_000_000) for _ in range(20)]):
        queue.join(waiter)
    serve_in_all_orders(clock, queue, pass_ms=0.5)
    assert waiting.drawn


def test_all_pipelines_come_first_in_some_rounds(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    """Small blocks of clients that send no pipelines may use up each millisecond."""
    greedy = [Waiter(_session(worker), 1_000_000, 256) for _ in range(20)]
    pipelines = [pipeline(worker, 10_000) for _ in range(30)]
    join(queue, *greedy, *pipelines)
    serve_in_all_orders(clock, queue)
    assert {waiter.turns for waiter in pipelines} == {2}


def test_rounds_without_ids_do_not_count(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    waiting, greedy = pipeline(worker, 10_000), Waiter(_session(worker), 1_000_000, 4096)
    join(queue, waiting, greedy)
    serve_in_all_orders(clock, queue, rounds=8)
    assert waiting.turns == 2


def test_streams_are_not_starved(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    """Single requests that take all IDs of each millisecond leave streams one turn in a while."""
    stream, greedy = bulk(worker, 10_000), Waiter(_session(worker), 1_000_000, 4096)
    join(queue, stream, greedy)
    serve_in_all_orders(clock, queue)
    assert [count for _, count in stream.drawn] == [SHARE, SHARE]
    assert greedy.wants == 1_000_000 - 4096 * 4 * SINGLES_FIRST_ROUNDS + 2 * SHARE


def test_rounds_continue_until_all_are_served(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    waiters = [bulk(worker, 250), bulk(worker, 9 * SHARE)]
    join(queue, *waiters)
    clock.pass_ms(1)
    rounds = 0
    while queue:
        queue.serve()
        rounds += 1
    assert rounds == 9
    assert [[count for _, count in waiter.drawn] for waiter in waiters] == [[100, 100, 50], [SHARE] * 9]


def test_no_turn_without_an_id(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    waiter = single(worker)
    join(queue, waiter)
    queue.serve()
    assert (waiter.turns, len(queue)) == (0, 1)
    clock.pass_ms(1)
    queue.serve()
    assert (waiter.turns, len(queue)) == (1, 0)


def test_unserved_block_is_first_next_time(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    before, large, after = single(worker), block(worker, 4096), bulk(worker, 10_000)
    after.share = 4095
    join(queue, before, large, after)
    clock.pass_ms(1)
    queue.serve()
    assert (len(before.drawn), large.drawn, [count for _, count in after.drawn]) == (1, [], [4095])
    late = single(worker)
    join(queue, late)
    clock.pass_ms(1)
    queue.serve()
    assert [count for _, count in large.drawn] == [4096]
    clock.pass_ms(1)
    queue.serve()
    assert ([count for _, count in after.drawn], len(late.drawn)) == ([4095, 4095], 1)


def test_unserved_blocks_keep_their_order(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    blocks = [block(worker, 4096) for _ in range(3)]
    join(queue, single(worker), *blocks)
    for served in range(4):
        clock.pass_ms(1)
        queue.serve()
        assert [len(waiter.drawn) for waiter in blocks] == [1] * served + [0] * (3 - served)


def test_client_that_left_is_dropped(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    gone, there = bulk(worker, 1000), single(worker)
    join(queue, gone, there)
    gone.is_gone = True
    clock.pass_ms(1)
    queue.serve()
    assert (len(queue), len(there.drawn), worker.generator.queued) == (0, 1, False)


def test_failed_turn_stops_nobody_else(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    """Neither those that were passed over before it, nor the others, nor the ticks."""
    large, failing, last = block(worker, 4096), single(worker), single(worker)
    failing.fails = True

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)
        ticker = QueueTicker(queue, worker, loop, Budget(ROUND_NS))
        join(queue, large, failing, last)
        large.session.wait.block = 4096
        clock.pass_ms(1)
        worker.generator.take(100, worker.clock.wall_ms())  # so that the block does not fit
        ticker.schedule()
        for _ in range(9):
            await asyncio.sleep(0)
            clock.pass_ms(1)

    run_scripted(clock, tick())
    assert [len(waiter.drawn) for waiter in (large, failing, last)] == [1, 0, 1]
    assert not queue


def test_newcomers_do_not_overtake(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    waiter = single(worker)
    join(queue, waiter)
    clock.pass_ms(1)
    assert worker.generator.take(1) == (0, 0)
    queue.serve()
    assert len(waiter.drawn) == 1
    assert worker.generator.take(1)[1] == 1


def test_all_are_refused_after_patience(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    waiters = [single(worker), bulk(worker, 1000), block(worker, 4096)]
    join(queue, *waiters)
    clock.pass_ms(RESERVED_MS)
    queue.serve()
    clock.pass_ms(PATIENCE_MS - 1)
    queue.serve()
    assert [waiter.turns for waiter in waiters] == [0, 0, 0]
    clock.pass_ms(1)
    queue.serve()
    assert [waiter.turns for waiter in waiters] == [1, 1, 1]
    assert (len(queue), worker.generator.queued) == (0, False)


def test_exhausted_millisecond_counts_once(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    join(queue, *[single(worker) for _ in range(5)])
    for _ in range(3):
        queue.serve()
    assert worker.stats.sequence_exhausted == {"single": 1, "bulk": 0}
    clock.pass_ms(1)
    queue.serve()
    assert worker.stats.sequence_exhausted == {"single": 1, "bulk": 0}, "the next millisecond had enough IDs"


def test_bulk_request_counts_as_bulk(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    join(queue, bulk(worker, 3 * 4096))
    while queue:
        clock.pass_ms(1)
        for _ in range(60):
            queue.serve()
    assert worker.stats.sequence_exhausted["single"] == 0
    assert worker.stats.sequence_exhausted["bulk"] == worker.generator.milliseconds_exhausted


@pytest.mark.parametrize("bulk_is_first", [True, False])
def test_single_during_bulk_counts_as_bulk(
    clock: ScriptedClock, worker: Worker, queue: WaitingQueue, *, bulk_is_first: bool
) -> None:
    large, small = bulk(worker, 4096), single(worker)
    join(queue, *([large, small] if bulk_is_first else [small, large]))
    counted = worker.stats.sequence_exhausted.copy()
    assert counted == ({"single": 0, "bulk": 1} if bulk_is_first else {"single": 1, "bulk": 0})
    clock.pass_ms(1)
    for _ in range(60):
        queue.serve()
    join(queue, single(worker))
    assert worker.stats.sequence_exhausted - counted == {"bulk": 1}


def test_block_after_bulk_counts_as_bulk(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    large, small = block(worker, 4096), bulk(worker, SHARE)
    join(queue, small, large)
    queue._rounds = SINGLES_FIRST_ROUNDS - 1  # the stream has its turn first in the next round
    counted = worker.stats.sequence_exhausted.copy()
    clock.pass_ms(1)
    queue.serve()
    assert (small.wants, large.drawn) == (0, [])
    assert worker.stats.sequence_exhausted - counted == {"bulk": 1}


def test_single_after_bulk_counts_as_single(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    join(queue, bulk(worker, SHARE))
    clock.pass_ms(1)
    queue.serve()
    queue.serve()
    counted = worker.stats.sequence_exhausted.copy()
    worker.generator.take(4096)
    join(queue, single(worker))
    assert worker.stats.sequence_exhausted - counted == {"single": 1}


def test_nothing_counts_while_nobody_waits(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    for _ in range(3):
        clock.pass_ms(1)
        worker.generator.take(4096)
        queue.serve()
    assert worker.stats.sequence_exhausted == NOTHING_EXHAUSTED
    assert worker.stats.exhausted_wait_ns == 0


def test_wait_times_are_added_up(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    clock.pass_ms(1000)
    worker.generator.take(4096)
    join(queue, single(worker))
    clock.pass_ms(0.25)
    join(queue, bulk(worker, 1))
    clock.pass_ms(0.5)
    queue.serve()
    assert worker.stats.exhausted_wait_ns == 250_000 + 2 * 500_000
    clock.step_ms(1)
    clock.pass_ms(0.5)
    queue.serve()
    clock.pass_ms(1000)
    queue.serve()
    assert worker.stats.exhausted_wait_ns == 250_000 + 2 * 1_000_000


@pytest.mark.parametrize(
    ("wanted", "spare_ms"),
    [
        ([1], 0),
        ([8191], 0),
        ([8192], 1),
        ([8192, 1], 1),
        ([6144] * 4, 4),
        ([32_768], 5),
        ([100_000, 1], 1),
        ([20_000] * 9, 10),
    ],
)
def test_leaves_pipelines_alone(worker: Worker, queue: WaitingQueue, wanted: list[int], spare_ms: int) -> None:
    for ids in wanted:
        waiter = single(worker)
        waiter.session.wait.ids = ids
        queue.join(waiter)
    assert queue.spare_ms() == spare_ms


@pytest.mark.parametrize(("ids", "spare_ms"), [(100, 1), (256, 1), (257, 8)])
def test_small_block_waits_no_longer_than_single_id(worker: Worker, ids: int, spare_ms: int) -> None:
    """Beside pipelines: an ORM that reserves 100 IDs waits for the reply."""
    queue, pipeline, orm = WaitingQueue(worker), connect(worker), connect(worker)
    converse(pipeline, request("INCRBY", "k", "100") * 500)
    converse(orm, request("INCRBY", "k", str(ids)))
    for connection in (pipeline, orm):
        assert connection.next is Next.WAIT
        queue.join(Waiter(connection.session))
    assert queue.spare_ms() == spare_ms


def test_turn_without_an_id_changes_nothing_that_is_wanted(
    clock: ScriptedClock, worker: Worker, queue: WaitingQueue
) -> None:
    """A block did not fit into the rest of the millisecond."""
    large = block(worker, 4096)
    large.session.wait.ids = 20_000
    join(queue, single(worker), large)
    clock.pass_ms(1)
    queue.serve()
    assert (large.turns, large.drawn, len(queue)) == (1, [], 1)
    assert queue.spare_ms() == 2


def test_counts_the_time_that_passed(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    """Since the last ID: the clients get the IDs of that time."""
    waiter = bulk(worker, 100_000)
    waiter.session.wait.ids = 100_000
    join(queue, waiter)
    clock.pass_ms(4)
    assert queue.spare_ms() == 6
    clock.pass_ms(7)
    assert queue.spare_ms() == 0


def test_singles_wait_for_next_millisecond(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    waiters = [single(worker) for _ in range(3)]
    join(queue, *waiters)
    clock.pass_ms(0.25)
    assert queue.wait_ns() == 750_000
    queue.serve()
    assert queue.wait_ns() == 750_000
    clock.pass_ms(0.75)
    queue.serve()
    assert not queue


def test_waits_until_large_block_fits(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    clock.pass_ms(1)
    worker.generator.take(100)
    large = block(worker, 4096)
    large.session.wait.block = large.session.wait.ids = 4096
    queue.join(large)
    assert queue.wait_ns() == 1_000_000


def test_request_that_can_go_on_does_not_wait(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    """When it joins, and after a turn, as long as the millisecond has IDs."""
    clock.pass_ms(1)
    worker.generator.take(1)
    stream = bulk(worker, 1_000_000)
    queue.join(stream)
    assert queue.wait_ns() == 0
    queue.serve()
    assert (len(stream.drawn), queue.wait_ns()) == (1, 0)
    stream.share = 4096
    queue.serve()
    queue.serve()
    assert (len(stream.drawn), queue.wait_ns()) == (2, 1_000_000)


def test_round_that_took_too_long_goes_on_at_once(
    clock: ScriptedClock, worker: Worker, queue: WaitingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a lead, when the millisecond has just begun."""
    clock.step_ms(-5000)
    slow, other = single(worker), pipeline(worker, 100_000)
    join(queue, slow, other)

    def take_long() -> bool:
        clock.pass_ms(9)
        assert worker.generator.take(1, clock.wall_ms())[1] == 1
        return False

    monkeypatch.setattr(slow, "go_on", take_long)
    clock.pass_ms(1)
    queue.serve()
    assert (len(queue), worker.generator.opens_in_ns(), queue.wait_ns(), queue.spare_ms()) == (1, 1_000_000, 0, 0)


@dataclass
class ScriptedTimer:
    """A short timer that expires when the test says so."""

    started: list[int] = field(default_factory=list)
    callback: Callable[[], object] | None = None

    def start(self, nanoseconds: int, callback: Callable[[], object]) -> None:
        self.started.append(nanoseconds)
        self.callback = callback

    def expire(self) -> None:
        assert self.callback is not None
        self.callback()


def test_single_waits_without_a_look_at_the_queue(
    clock: ScriptedClock, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a short timer; the wall clock may be set meanwhile, and the timer may expire too early."""
    worker.generator.take(4096)
    timer, waiter = ScriptedTimer(), single(worker)
    serve = mock.create_autospec(WaitingQueue.serve, side_effect=WaitingQueue.serve)
    monkeypatch.setattr(WaitingQueue, "serve", serve)

    async def wait() -> None:
        clients = Clients(worker, asyncio.get_running_loop(), cast("ShortTimer", timer))
        clients.wait_for_id(as_client(waiter))
        for early_ms in (0, 0.75):
            clock.pass_ms(early_ms)
            for _ in range(100):
                await asyncio.sleep(0)
            timer.expire()
        clock.step_ms(-5000)
        clock.pass_ms(0.25)
        timer.expire()

    run_scripted(clock, wait())
    assert timer.started == [1_000_000, 1_000_000, 250_000]
    assert (serve.call_count, len(waiter.drawn)) == (3, 1)


@pytest.mark.parametrize("wants", [100, 4096])
def test_single_waits_for_no_larger_block(clock: ScriptedClock, worker: Worker, wants: int) -> None:
    """It gets what that leaves of the millisecond, although the short timer is set for the next one."""
    worker.generator.take(4090)
    timer, large, small = ScriptedTimer(), block(worker, wants), single(worker)
    large.session.wait.block = large.session.wait.ids = wants

    async def wait() -> None:
        clients = Clients(worker, asyncio.get_running_loop(), cast("ShortTimer", timer))
        clients.wait_for_id(as_client(large))
        clients.wait_for_id(as_client(small))

    run_scripted(clock, wait())
    assert timer.started == [1_000_000, 1]
    timer.expire()
    assert (len(small.drawn), len(large.drawn)) == (1, 0)
    assert timer.started == [1_000_000, 1, 1_000_000]


def test_round_tries_large_block_once(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    """Clients whose blocks do not fit into the rest of the millisecond have no turn; smaller ones behind them do."""
    large, small = [block(worker, 3000) for _ in range(9)], block(worker, 500)
    for waiter in (*large, small):
        join(queue, waiter)
        waiter.session.wait.block = waiter.wants
    clock.pass_ms(1)
    queue.serve()
    assert [waiter.turns for waiter in large] == [1] + [0] * 8
    assert small.drawn
    clock.pass_ms(1)
    queue.serve()
    assert [waiter.turns for waiter in large] == [1, 1] + [0] * 7


def test_tells_whether_to_look_at_another_time(worker: Worker, queue: WaitingQueue) -> None:
    """At once for the first one; later if a pipeline wants more, and no single request waits beside it."""
    assert queue.join(pipeline(worker, 8192))
    assert queue.join(pipeline(worker, 100_000))
    assert not queue.join(pipeline(worker, 100_000))
    other = WaitingQueue(worker)
    assert other.join(pipeline(worker, 8192))
    assert other.join(single(worker))
    assert not other.join(pipeline(worker, 100_000))


def test_smallest_block_leaves_the_last_id(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    two, one = block(worker, 2), single(worker)
    join(queue, two, one)
    two.session.wait.block = two.session.wait.ids = 2
    clock.pass_ms(1)
    worker.generator.take(4095, clock.wall_ms())
    queue.serve()
    assert (two.drawn, [count for _, count in one.drawn]) == ([], [1])


def test_turn_without_an_id_keeps_the_place(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    large, greedy, small = block(worker, 4096), Waiter(_session(worker), 4095, 4095), single(worker)
    join(queue, large, greedy, small)
    clock.pass_ms(1)
    worker.generator.take(1, clock.wall_ms())
    queue.serve()
    assert (large.turns, small.turns) == (1, 0)
    clock.pass_ms(1)
    queue.serve()
    assert [count for _, count in large.drawn] == [4096]


def test_ticks_as_late_as_the_queue_allows(clock: ScriptedClock, worker: Worker) -> None:
    """While pipelines want more than the next milliseconds have, and sooner once a single ID is wanted, too."""
    worker.generator.take(4096)

    async def tick() -> list[int]:
        clients = Clients(worker, asyncio.get_running_loop())
        pipelines = [pipeline(worker, 60_000) for _ in range(3)]
        begun_ms, served_ms = clock.wall_ms(), []
        for waiter in pipelines:
            clients.wait_for_id(as_client(waiter))
        for newcomers in ((), (single(worker),)):
            for waiter in newcomers:
                clients.wait_for_id(as_client(waiter))
            turns = pipelines[1].turns
            while pipelines[1].turns == turns:
                await asyncio.sleep(0.001)
            served_ms.append(clock.wall_ms() - begun_ms)
        return served_ms

    first_ms, second_ms = run_scripted(clock, tick())
    assert first_ms >= 7
    assert second_ms - first_ms <= 2


def test_pipelines_that_join_cause_no_ticks(clock: ScriptedClock, worker: Worker) -> None:
    """The IDs of the milliseconds that pass meanwhile are not lost, and each tick wakes up the process."""
    worker.generator.take(4096)

    async def join_one_by_one() -> int:
        clients = Clients(worker, asyncio.get_running_loop())
        first = pipeline(worker, 1_000_000)
        clients.wait_for_id(as_client(first))
        for _ in range(100):
            clients.wait_for_id(as_client(pipeline(worker, 1_000_000)))
            await asyncio.sleep(0.001)
        return first.turns

    assert 0 < run_scripted(clock, join_one_by_one()) <= 15


class LoopTimer:
    """A short timer of a scripted event loop, in which no time passes while callbacks are ready."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def start(self, nanoseconds: int, callback: Callable[[], object]) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(nanoseconds / 1e9, callback)


@dataclass
class PipelineClient:
    """A client that sends the next pipeline once it has all replies to the one before."""

    connection: Connection
    clients: Clients
    answered: int = 0

    @property
    def session(self) -> Session:
        return self.connection.session

    async def send(self, pipeline: bytes) -> None:
        while True:
            self.answered += self.connection.receive(pipeline).count(b":")
            if self.connection.next is Next.WAIT:
                self.clients.wait_for_id(cast("ClientSocket", self))
            while self.connection.next is not Next.READ:
                await asyncio.sleep(0.001)

    def go_on(self) -> bool:
        self.answered += self.connection.resume().count(b":")
        return self.connection.next is not Next.READ


@pytest.mark.parametrize(("most_ticks", "requests"), [(110, 100), (600, 16)])
def test_pipelines_that_return_put_off_the_tick(
    clock: ScriptedClock, worker: Worker, monkeypatch: pytest.MonkeyPatch, most_ticks: int, requests: int
) -> None:
    """When those that a tick has answered have sent more, the next tick can be as late as if they had not left."""
    serve = mock.create_autospec(WaitingQueue.serve, side_effect=WaitingQueue.serve)
    monkeypatch.setattr(WaitingQueue, "serve", serve)

    async def send() -> int:
        loop = asyncio.get_running_loop()
        clients = Clients(worker, loop, cast("ShortTimer", LoopTimer(loop)))
        senders = [PipelineClient(connect(worker), clients) for _ in range(8)]
        sending = [asyncio.ensure_future(sender.send(BLOCKS[: len(BLOCKS) // 20] * requests)) for sender in senders]
        await asyncio.sleep(1)
        for each in sending:
            each.cancel()
        return sum(sender.answered for sender in senders)

    assert run_scripted(clock, send()) >= 0.98 * 40 * 1000
    assert serve.call_count <= most_ticks


def test_pipelines_put_off_no_tick_while_nothing_can_be_issued(
    clock: ScriptedClock, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tick refuses requests that have waited too long, or goes on once the reservation is extended."""
    serve = mock.create_autospec(WaitingQueue.serve, side_effect=WaitingQueue.serve)
    monkeypatch.setattr(WaitingQueue, "serve", serve)
    clock.pass_ms(RESERVED_MS)

    async def join_one_by_one() -> None:
        clients = Clients(worker, asyncio.get_running_loop())
        for _ in range(10):
            clients.wait_for_id(as_client(pipeline(worker, 8192)))
            await asyncio.sleep(0.005)

    run_scripted(clock, join_one_by_one())
    assert serve.call_count >= 4


def test_single_waits_no_longer_after_a_tick_was_put_off(clock: ScriptedClock, worker: Worker) -> None:
    worker.generator.take(4096)
    timer = ScriptedTimer()

    async def wait() -> None:
        clients = Clients(worker, asyncio.get_running_loop(), cast("ShortTimer", timer))
        for waiter in (pipeline(worker, 8192), pipeline(worker, 100_000), pipeline(worker, 100_000), single(worker)):
            clients.wait_for_id(as_client(waiter))

    run_scripted(clock, wait())
    assert timer.started == [1_000_000, 10_000_000, 1_000_000]


@pytest.mark.parametrize("lead_ms", [0, 1, 2, 50, 60_000])
@pytest.mark.parametrize("make", [pipeline, bulk])
def test_late_ticks_lose_no_ids(
    clock: ScriptedClock, worker: Worker, make: Callable[[Worker, int], Waiter], lead_ms: int
) -> None:
    """Nor after the wall clock was set back: then, only one millisecond's IDs can be issued at each tick."""
    worker.generator.take(4096)
    clock.step_ms(-lead_ms)

    async def wait() -> None:
        clients, waiter = Clients(worker, asyncio.get_running_loop()), make(worker, 10_000_000)
        waiter.share = 4096
        clients.wait_for_id(as_client(waiter))
        await asyncio.sleep(0.2)

    run_scripted(clock, wait())
    assert worker.generator.ids_issued >= 0.9 * 200 * 4096


def as_client(waiter: Waiter) -> ClientSocket:
    return cast("ClientSocket", waiter)


def test_run_behind_others_waits_without_an_attempt(
    clock: ScriptedClock, worker: Worker, queue: WaitingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect_exhausted(clock, worker)
    join(queue, single(worker))
    clock.pass_ms(1)
    with monkeypatch.context() as patch:
        patch.setattr(Draw, "take", lambda *_: pytest.fail("an attempt to draw"))
        assert connection.receive(BLOCKS) == b""
    assert (connection.next, connection.is_between_requests, connection.is_settled) == (Next.WAIT, False, False)
    assert (connection.session.wait.ids, connection.session.wait.block) == (2000, 100)
    queue.serve()
    assert connection.resume().count(b":") == 20
    assert connection.next is Next.READ


def test_refusal_does_not_wait_behind_others(clock: ScriptedClock, worker: Worker, queue: WaitingQueue) -> None:
    connection = connect_exhausted(clock, worker)
    join(queue, bulk(worker, 10_000))
    clock.pass_ms(RESERVED_MS)
    queue.serve()
    clock.pass_ms(PATIENCE_MS)
    assert connection.receive(BLOCKS).count(b"-LOADING") == 20


def connect_exhausted(clock: ScriptedClock, worker: Worker) -> Connection:
    """Returns a connection that expects `BLOCKS`, in a millisecond that has no more IDs."""
    connection = connect(worker)
    clock.pass_ms(1)
    converse(connection, BLOCKS)
    clock.pass_ms(1)
    worker.generator.take(4096)
    return connection


def test_turn_draws_blocks_of_several_milliseconds_at_once(
    clock: ScriptedClock, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    answer = Draw.answer

    def count_calls(draw: Draw, session: Session, count: int) -> tuple[int, bytes | None]:
        calls.append(count)
        return answer(draw, session, count)

    blocks = request("INCRBY", "orders", "100") * 200
    connection = connect(worker)
    converse(connection, blocks)
    while connection.next is not Next.READ:
        clock.pass_ms(1)
        connection.resume()
    connection.receive(blocks)
    clock.pass_ms(9)
    monkeypatch.setattr(Draw, "answer", count_calls)
    assert connection.resume().count(b":") >= 160
    assert len(calls) == 1
