"""The time of a round of the event loop is shared by all clients."""

from collections.abc import Callable

import pytest

from respid.net.connection import (
    NS_PER_BYTE,
    NS_PER_KNOWN,
    NS_PER_QUICK_BYTE,
    QUICK_READ_BYTES,
    READ_NS,
    UNAUTHENTICATED_TURN_NS,
    Budgets,
    Connection,
)
from respid.net.states import Next
from respid.net.turns import LATE_SHARE, ROUND_NS, Budget, Turns
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.command_client import CommandClient
from tests.support.request_limits import DEFAULT_LIMITS
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, converse, start_worker

PING = request("PING")
INCR = request("INCR", "orders")
MULTI, EXEC = request("MULTI"), request("EXEC")


class Loop:
    """Runs what is scheduled when it is told to."""

    def __init__(self) -> None:
        self.scheduled: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.scheduled.append(callback)

    def run_once(self) -> None:
        scheduled, self.scheduled = self.scheduled, []
        for callback in scheduled:
            callback()


class Player:
    """Needs some turns, each of which takes 4 ns."""

    def __init__(self, turns: Turns, needed: int = 1, *, fails: bool = False) -> None:
        self.turns, self.needed, self.fails, self.taken = turns, needed, fails, 0

    def take_turn(self) -> None:
        self.taken += 1
        self.turns.budget.left_ns -= 4
        if self.fails:
            raise RuntimeError
        if self.taken < self.needed:
            self.turns.join(self)


def test_round_ends_when_its_time_is_used_up() -> None:
    loop = Loop()
    turns = Turns(loop.call_soon, 8)
    players = [Player(turns) for _ in range(5)]
    for player in players:
        turns.join(player)
    rounds = []
    while loop.scheduled:
        assert len(loop.scheduled) == 1
        loop.run_once()
        rounds.append(sum(player.taken for player in players))
    assert rounds == [2, 4, 5]


def test_each_client_gets_one_turn_per_round() -> None:
    loop = Loop()
    turns = Turns(loop.call_soon, 100)
    long, short = Player(turns, 3), Player(turns)
    turns.join(long)
    turns.join(short)
    loop.run_once()
    assert (long.taken, short.taken, len(loop.scheduled)) == (1, 1, 1)


def test_early_turns_go_first() -> None:
    loop = Loop()
    turns = Turns(loop.call_soon, 8)
    crowd = [Player(turns, 10) for _ in range(5)]
    for player in crowd:
        turns.join(player)
    loop.run_once()
    early = Player(turns)
    turns.join(early, is_early=True)
    loop.run_once()
    assert early.taken == 1
    assert sum(player.taken for player in crowd) == 3
    while loop.scheduled:
        loop.run_once()
    assert [player.taken for player in crowd] == [10] * 5


def test_one_turn_in_four_is_not_early() -> None:
    loop = Loop()
    turns = Turns(loop.call_soon, 4)
    long, early = [Player(turns) for _ in range(9)], [Player(turns) for _ in range(9)]
    for player in long:
        turns.join(player)
    for player in early:
        turns.join(player, is_early=True)
    for rounds in (1, 2, 3):
        for _ in range(LATE_SHARE):
            loop.run_once()
        assert sum(player.taken for player in long) == rounds
        assert sum(player.taken for player in early) == rounds * (LATE_SHARE - 1)


def test_failing_turn_stops_no_other() -> None:
    loop = Loop()
    turns = Turns(loop.call_soon, 100)
    turns.join(Player(turns, fails=True))
    other = Player(turns)
    turns.join(other)
    with pytest.raises(RuntimeError):
        loop.run_once()
    loop.run_once()
    assert other.taken == 1


def test_used_up_budget_delays_the_answer(worker: Worker) -> None:
    budget = Budget(100)
    connection = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS, budgets=Budgets(budget, Budget(100)))
    budget.left_ns = 0
    assert (connection.receive(PING), connection.next) == (b"", Next.TURN)
    assert not connection.is_between_requests
    assert connection.receive(PING) == b""  # as TLS may deliver it
    budget.begin_round()
    answered = connection.resume()
    while connection.next is Next.TURN:
        answered += connection.resume()
    assert (answered, connection.next) == (b"+PONG\r\n" * 2, Next.READ)


def test_used_up_budget_delays_the_answer_after_a_run(worker: Worker) -> None:
    budget = Budget(ROUND_NS)
    client = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS, budgets=Budgets(budget, Budget(0)))
    client.receive(INCR * 40)
    assert client.is_cheap  # so it is not held back when others use up the time
    budget.left_ns = 0
    assert client.receive(INCR + PING).count(b"\r\n") == 1
    assert client.next is Next.TURN
    budget.begin_round()
    assert client.resume() == b"+PONG\r\n"


def test_answer_takes_its_time_from_the_budget(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(0, 10_000, 10))
    monkeypatch.setattr(type(worker.clock), "monotonic_ns", lambda _clock: next(times))
    budgets = Budgets(Budget(100), Budget(100))
    connection = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS, budgets=budgets)
    connection.receive(PING * 100)
    assert connection.next is Next.TURN
    assert budgets.authenticated.left_ns <= 0
    assert budgets.unauthenticated.left_ns == 100


def test_turn_before_authentication_is_short(clock: ScriptedClock) -> None:
    connection = connect(start_worker(clock, password="secret"))
    times = iter(range(0, 1_000_000_000, UNAUTHENTICATED_TURN_NS // 10))
    clock.monotonic_ns = lambda: next(times)  # type: ignore[method-assign]
    output = connection.receive(PING * 100)
    assert connection.next is Next.TURN
    assert 5 <= output.count(b"-NOAUTH") <= 10


def test_unauthenticated_clients_use_up_their_own_time(clock: ScriptedClock) -> None:
    budgets = Budgets(Budget(ROUND_NS), Budget(ROUND_NS))
    connection = connect(start_worker(clock, password="secret"), budgets=budgets)
    assert connection.receive(PING).startswith(b"-NOAUTH")
    assert budgets.authenticated.left_ns == ROUND_NS
    assert budgets.unauthenticated.left_ns <= ROUND_NS - READ_NS


def test_time_of_long_reads_of_known_requests_is_measured(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(0, 1_000_000, 1_000))
    monkeypatch.setattr(type(worker.clock), "monotonic_ns", lambda _clock: next(times))
    budget, sent = Budget(ROUND_NS), (PING + request("TTL", "k")) * 40
    assert len(sent) > QUICK_READ_BYTES
    connection = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS, budgets=Budgets(budget, Budget(0)))
    output = connection.receive(sent)
    assert budget.left_ns <= ROUND_NS - READ_NS - (len(sent) + len(output)) * NS_PER_BYTE - 1_000


@pytest.mark.parametrize("sent", [INCR * 400, (INCR + PING) * 50], ids=["run", "known"])
def test_parts_of_a_transaction_take_their_time_from_the_budget(worker: Worker, sent: bytes) -> None:
    """They wait for a turn once it is used up: else a crowd in MULTI keeps others from theirs."""
    budget = Budget(ROUND_NS)
    client = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS, budgets=Budgets(budget, Budget(0)))
    converse(client, *[MULTI + INCR * 2 + EXEC] * 3)
    budget.begin_round()
    assert client.receive(MULTI) == b"+OK\r\n"
    assert client.receive(sent) == b"+QUEUED\r\n" * sent.count(b"*")
    known = 0 if sent == INCR * 400 else sent.count(b"*")
    assert budget.left_ns == ROUND_NS - READ_NS - len(sent) * NS_PER_BYTE - known * NS_PER_KNOWN
    budget.left_ns = 0
    assert (client.receive(INCR + EXEC), client.next) == (b"", Next.TURN)
    budget.begin_round()
    assert client.resume().startswith(b"+QUEUED\r\n*%d\r\n" % (sent.count(b"*") + 1))


def test_known_requests_take_their_time_from_the_budget(worker: Worker) -> None:
    """In a short read, and as a whole transaction. It is estimated, since looking at the clock takes longer."""
    budget, sent = Budget(ROUND_NS), INCR + PING
    client = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS, budgets=Budgets(budget, Budget(0)))
    converse(client, *[MULTI + sent + EXEC] * 2)
    for each, taken_ns in (
        (sent, READ_NS + len(sent) * NS_PER_QUICK_BYTE),
        (MULTI + sent + EXEC, 2 * NS_PER_KNOWN),
    ):
        budget.begin_round()
        assert client.receive(each)
        assert budget.left_ns == ROUND_NS - taken_ns


def test_long_decryption_takes_its_time_from_the_budget(worker: Worker) -> None:
    budget = Budget(ROUND_NS)
    client = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS, budgets=Budgets(budget, Budget(0)))
    client.receive(INCR * 40)
    budget.begin_round()
    assert client.is_cheap
    client.note_long_read(1000)
    assert (client.is_cheap, budget.left_ns) == (False, ROUND_NS - 1000)


def test_part_of_a_request_is_cheap_after_others_only(worker: Worker) -> None:
    """A crowd that sends its requests byte by byte is held back, and clients whose pipelines a network cuts are not."""
    connection = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS)
    converse(connection, *[INCR] * 5)
    for place in range(len(INCR) - 1):
        assert connection.receive(INCR[place : place + 1]) == b""
        assert not connection.is_cheap
    assert connection.receive(INCR[-1:])
    assert connection.is_cheap
    for pipeline in (INCR * 40, (INCR + PING) * 20):
        for cut in (1, 10):
            converse(connection, pipeline + INCR[:cut])
            assert connection.is_cheap
            converse(connection, INCR[cut:])


def test_parsed_request_is_not_cheap(worker: Worker) -> None:
    """Each of them, also with a part of another one behind it."""
    connection, parsed = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS), request("ECHO", "a")
    for sent in (parsed, parsed, parsed + INCR[:9], INCR[9:] + parsed + INCR[:9]):
        connection.receive(sent)
        assert not connection.is_cheap


def test_run_uses_few_objects_of_its_client(worker: Worker) -> None:
    """With thousands of clients, each object that is used is fetched from memory, which takes 0.1 us or more."""
    connection = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS)
    converse(connection, *[INCR] * 10)
    pending, connection._pending = connection._pending, None  # type: ignore[assignment]
    assert connection.receive(INCR).startswith(b":")
    connection._pending = pending
    assert connection.is_cheap
    connection.receive(request("ECHO", "x"))
    assert not connection.is_cheap
    assert connection.receive(INCR).startswith(b":")
    assert connection.is_cheap


def test_client_that_waited_for_an_id_is_cheap(clock: ScriptedClock, worker: Worker) -> None:
    connection = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS)
    connection.receive(INCR * 40)
    connection.receive(request("ECHO", "x"))
    assert not connection.is_cheap
    worker.generator.take(4096)
    connection.receive(INCR)
    assert connection.next is Next.WAIT
    clock.pass_ms(1)
    assert connection.resume()
    assert connection.is_cheap


def test_next_long_read_takes_its_time_from_the_budget(worker: Worker) -> None:
    """It comes after the turn and cannot be stopped, so a round lets few of a crowd go on to theirs."""
    budgets = Budgets(Budget(1_000_000), Budget(100))
    connection = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS, budgets=budgets)
    connection.receive(b"*2\r\n$4\r\nECHO\r\n$1000000\r\n" + bytes(250_000))
    assert connection.next is Next.READ
    budgets.authenticated.begin_round()
    connection.resume()
    assert budgets.authenticated.left_ns <= 1_000_000 - 250_000 * NS_PER_BYTE


def test_pipeline_of_blocks_is_bulk_between_two_of_them(clock: ScriptedClock, worker: Worker) -> None:
    budget = Budget(1_000_000)
    connection = Connection(worker, 1, "127.0.0.1:50000", DEFAULT_LIMITS, budgets=Budgets(budget, budget))
    client = CommandClient(connection)
    connection.receive(request("INCRBY", "a", "4096") * 3)
    assert client.needs() is Next.WAIT
    clock.pass_ms(1)
    budget.left_ns = 0
    connection.resume()
    assert client.needs() is Next.TURN
    assert connection.session.wait.is_bulk


def test_is_unsettled_until_what_it_held_was_noted(worker: Worker) -> None:
    connection = Connection(worker, 1, "127.0.0.1:50000", DEFAULT_LIMITS)
    connection.receive(PING)
    assert connection.is_settled
    long_request = request("PING", "x" * 2000)
    connection.receive(long_request[:1500])
    assert not connection.is_settled
    connection.receive(long_request[1500:])
    assert not connection.is_settled
    connection.settle()
    assert connection.is_settled


@pytest.mark.parametrize("learned", [b"", PING * 40], ids=["known", "run"])
def test_part_of_short_request_is_not_worth_noting(worker: Worker, learned: bytes) -> None:
    connection = Connection(worker, 1, "127.0.0.1:50000", DEFAULT_LIMITS)
    converse(connection, learned)
    assert connection.receive(PING * 2 + PING[:5]) == b"+PONG\r\n" * 2
    assert (connection.is_settled, connection.is_between_requests, connection.held_bytes) == (True, False, 5)
    long_request = request("PING", "x" * 2000)
    connection.receive(PING[5:] + long_request[:1500])
    assert not connection.is_settled
    connection.receive(long_request[1500:] + PING[:5])
    connection.settle()
    assert connection.is_settled
