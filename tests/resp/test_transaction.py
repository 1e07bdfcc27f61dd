"""Which reads are recognised as one transaction of a run or of known requests, and when the attempts stop."""

from typing import Any

import pytest

from respid.net.states import Next
from respid.resp.encoder import bulk_string
from respid.resp.fast_path import RunReader
from respid.resp.known_frames import FREE, Kinds, KnownFrames, kind_of
from respid.resp.reader import RequestReader
from respid.resp.transaction import NO_REQUESTS, NO_TRANSACTION, TransactionReader
from respid.worker.worker import Worker
from tests.support.both_paths import Setting, check_equality
from tests.support.byte_streams import request
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, converse

RUN = request("INCR", "a") * 3
KINDS: Kinds[str] = dict([kind_of([b"PING"], "ping"), kind_of([b"GET", FREE], "get")])
PAUSE = 64  # transactions


def transaction(run: bytes, opening: str = "MULTI", ending: str = "EXEC") -> bytes:
    return request(opening) + run + request(ending)


@pytest.fixture
def transactions() -> TransactionReader[str]:
    """A reader that expects `INCR a`."""
    runs = RunReader[str]()
    runs.learn([b"INCR", b"a"], 1, "incr")
    transactions = TransactionReader(runs, KnownFrames[str](runs))
    transactions.note_parsed()
    return transactions


@pytest.mark.parametrize("run", [RUN, request("INCR", "a"), request("INCR", "ab") * 2 + RUN, RUN * 100], ids=len)
@pytest.mark.parametrize("before", [b"", request("PING"), transaction(RUN)], ids=len)
@pytest.mark.parametrize("after", [b"", b"*", transaction(RUN)], ids=len)
def test_finds_transaction(transactions: TransactionReader[str], run: bytes, before: bytes, after: bytes) -> None:
    for names in (("MULTI", "EXEC"), ("multi", "exec")):
        sent = transaction(run, *names)
        for _ in range(2):
            found = transactions.find(KINDS, before + sent + after, len(before))
            assert found == (run.count(b"INCR"), (), len(before + sent), True)


@pytest.mark.parametrize(
    "sent",
    [
        transaction(b""),
        transaction(request("LPOP", "a") + RUN),
        transaction(request("INCR", "a") + request("LPOP", "a") + RUN),
        transaction(request("GET", "a") * 2)[:-1],
        transaction(RUN)[1:],
        transaction(request("INCR", request("EXEC"))),
        transaction(request("INCR", request("EXEC"))[:-2]),
        request("INCR", "a"),
        b"",
    ],
)
def test_finds_nothing_else(transactions: TransactionReader[str], sent: bytes) -> None:
    for _ in range(2):
        assert transactions.find(KINDS, sent, 0) is NO_TRANSACTION
        assert transactions.find(KINDS, transaction(RUN), 0)[0] == 3


@pytest.mark.parametrize(
    "sent",
    [
        transaction(RUN, "multi", "EXEC"),
        transaction(RUN, "MULTI", "QUIT"),
        transaction(RUN + request("INCR")),
        transaction(RUN + request("PING")),
        transaction(RUN)[:-1],
        request("MULTI") + RUN + request("INCR", "a")[:-1],
        request("MULTI") + RUN + b"*",
    ],
)
def test_finds_first_requests_of_transaction(transactions: TransactionReader[str], sent: bytes) -> None:
    """For the others the general path is needed, or another read."""
    for _ in range(2):
        assert transactions.find(KINDS, sent, 0) == (3, (), len(request("MULTI") + RUN), False)


@pytest.mark.parametrize("after", [request("LPOP", "a"), request("GET", "a")[:-1], RUN])
def test_finds_first_known_requests_of_transaction(transactions: TransactionReader[str], after: bytes) -> None:
    known = request("GET", "a") + request("PING") * 2
    begun = request("MULTI") + known
    assert transactions.find(KINDS, transaction(known + after), 0) == (0, ("get", "ping", "ping"), len(begun), False)


def test_finds_multi_alone(transactions: TransactionReader[str]) -> None:
    assert transactions.find(KINDS, request("MULTI"), 0) == (0, (), len(request("MULTI")), False)


@pytest.mark.parametrize("known", ["GET a", "GET a PING", "PING GET a GET bb PING PING PING PING"])
@pytest.mark.parametrize("before", [b"", request("PING")], ids=len)
@pytest.mark.parametrize("after", [b"", b"*", transaction(RUN)], ids=len)
def test_finds_transaction_of_known_requests(
    transactions: TransactionReader[str], known: str, before: bytes, after: bytes
) -> None:
    words = known.replace("GET ", "GET:").split()
    run = b"".join(request(*each.split(":")) for each in words)
    subjects = tuple(each.partition(":")[0].lower() for each in words)
    sent = transaction(run, "multi", "exec")
    for _ in range(3):
        found = transactions.find(KINDS, before + sent + after, len(before))
        assert found == (0, subjects, len(before + sent), True)


@pytest.mark.parametrize("run", [RUN, request("INCR", "ab") * 2 + RUN], ids=len)
def test_finds_part_of_transaction(transactions: TransactionReader[str], run: bytes) -> None:
    for _ in range(2):
        assert transactions.find_first(KINDS, run) == (run.count(b"INCR"), (), len(run))


def test_finds_part_of_known_requests(transactions: TransactionReader[str]) -> None:
    for _ in range(3):
        sent = request("GET", "a") + request("PING")
        assert transactions.find_first(KINDS, sent) == (0, ("get", "ping"), len(sent))


@pytest.mark.parametrize(
    "sent",
    [request("INCR", "a") + request("EXEC"), request("PING") + RUN, RUN[1:], request("MULTI"), b""],
)
def test_finds_no_other_part(transactions: TransactionReader[str], sent: bytes) -> None:
    for _ in range(2):
        assert transactions.find_first(KINDS, sent) == NO_REQUESTS
        assert transactions.find_first(KINDS, RUN) == (3, (), len(RUN))


def test_finds_run_rather_than_the_same_known_requests(transactions: TransactionReader[str]) -> None:
    kinds = {**KINDS, **dict([kind_of([b"INCR", FREE], "incr")])}
    assert transactions.find_first(kinds, RUN + request("LPOP", "a") * 9) == (3, (), len(RUN))


def test_long_run_is_not_looked_up_as_known(
    transactions: TransactionReader[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is one that a read cuts within a request."""
    run, other = request("INCR", "a"), request("GET", "a" * 9)
    for frames, after, looks in ((127, other, 1), (128, other, 0), (9, run[:-1], 0)):
        sent = run * frames + after
        with monkeypatch.context() as patch:
            asked: list[bytes] = []
            patch.setattr(
                KnownFrames, "find_first", lambda _known, _kinds, buffer, asked=asked: asked.append(buffer) or ((), 0)
            )
            assert transactions.find_first(KINDS, sent) == (frames, (), len(run) * frames)
        assert len(asked) == looks


def test_gives_up_parts_that_are_no_runs(transactions: TransactionReader[str]) -> None:
    for _ in range(16):
        assert transactions.expected
        transactions.find_first(KINDS, request("LPOP", "a") + RUN)
    assert pause(transactions) == PAUSE


@pytest.mark.parametrize(
    "reads",
    [
        [request("MULTI"), RUN + request("EXEC")],
        [request("MULTI") + RUN, request("EXEC")],
        [request("MULTI"), RUN, request("EXEC")],
        [request("MULTI"), *[request("INCR", "a")] * 3, request("EXEC")],
    ],
)
@pytest.mark.parametrize("is_known", [False, True])
def test_transaction_in_parts_takes_no_general_path(worker: Worker, reads: list[bytes], *, is_known: bool) -> None:
    """As Lettuce and Jedis send them, and drivers that wait for the reply to each request."""
    connection = connect(worker)
    if is_known:
        reads = [read.replace(request("INCR", "a"), request("EXPIRE", "a", "60")) for read in reads]
    converse(connection, *[transaction(RUN)] * 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(RequestReader, "feed")
        converse(connection, *reads * 10)
    assert worker.stats.commands["multi"] == worker.stats.commands["exec"] == 12
    assert worker.stats.commands["incr"] + worker.stats.commands["expire"] == 36


def test_read_behind_exec_that_waits_is_not_answered_before_it(clock: ScriptedClock, worker: Worker) -> None:
    """As TLS may deliver it."""
    connection = connect(worker)
    converse(connection, *[transaction(RUN)] * 2, request("MULTI"), RUN)
    worker.generator.take(4096)
    assert converse(connection, request("EXEC")) == b"*3\r\n"
    assert connection.receive(RUN) == b""
    clock.pass_ms(1)
    assert connection.resume().count(b":") == 3 + 3
    assert connection.next is Next.READ


def test_content_of_a_queued_request_is_not_recognised(worker: Worker) -> None:
    """It may look like a part of the transaction, and come in a read of its own."""
    connection, content = connect(worker), RUN * 9
    converse(connection, *[transaction(RUN)] * 2, request("MULTI"))
    assert connection.receive(b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % len(content)) == b""
    assert connection.receive(content) == b""
    assert connection.receive(b"\r\n") == b"+QUEUED\r\n"
    assert converse(connection, request("EXEC")) == b"*1\r\n" + bulk_string(content)


@pytest.mark.parametrize("words", ["INCR a", "GET a"])
@pytest.mark.parametrize("most", [5, 6, 8, 100])
def test_parts_keep_the_limit_of_a_transaction(words: str, most: int) -> None:
    part = request(*words.split()) * 3
    reads = [*[transaction(part)] * 2, request("MULTI"), part, part, part, request("EXEC"), part]
    check_equality(reads, Setting(max_queued_commands=most))


@pytest.mark.parametrize("reads", [[request("MULTI") + RUN, request("EXEC")], [request("MULTI"), RUN, request("EXEC")]])
def test_parts_of_a_client_that_tracks_keys_get_same_replies(reads: list[bytes]) -> None:
    check_equality([*[transaction(RUN)] * 2, request("CLIENT", "TRACKING", "ON"), *reads * 2])


def test_gives_up_parts_that_are_not_queued_at_once(worker: Worker) -> None:
    """As runs of constant replies."""
    connection, run = connect(worker), request("HEXISTS", "key", "field") * 3
    converse(connection, *[transaction(RUN)] * 2, run, run)
    assert connection._transactions.expected
    converse(connection, *[request("MULTI"), run, request("EXEC")] * 20)
    assert not connection._transactions.expected


def test_large_transaction_is_noted(worker: Worker) -> None:
    connection = connect(worker)
    converse(connection, *[transaction(RUN)] * 2, request("MULTI"), request("GET", "a"))
    assert connection.is_settled
    converse(connection, *[request("GET", "a")] * 200)
    assert not connection.is_settled
    assert connection.held_bytes > 1400


def test_finds_nothing_before_a_run_is_known() -> None:
    assert (
        TransactionReader(RunReader[str](), KnownFrames[str](RunReader[str]())).find(KINDS, transaction(RUN), 0)
        is NO_TRANSACTION
    )


class Compared(bytes):
    """Bytes that count how often they are looked at."""

    looks = 0

    def __getitem__(self, place: Any) -> Any:
        self.looks += 1
        return super().__getitem__(place)

    def startswith(self, *given: Any) -> bool:
        raise AssertionError(given)

    find = startswith


def test_another_read_is_looked_up_once(transactions: TransactionReader[str]) -> None:
    for sent in map(Compared, (request("GET", "a") * 9, request("PING"), RUN, request("EXEC"), b"PING\r\n")):
        assert transactions.find(KINDS, sent, 0) is NO_TRANSACTION
        assert sent.looks == 1


def test_expects_transactions_after_the_first() -> None:
    transactions = TransactionReader(RunReader[str](), KnownFrames[str](RunReader[str]()))
    assert not transactions.expected
    transactions.note_parsed()
    assert transactions.expected


def pause(transactions: TransactionReader[str]) -> int:
    """Returns how many transactions have to be parsed until one is expected again."""
    parsed = 0
    while not transactions.expected:
        transactions.note_parsed()
        parsed += 1
    return parsed


@pytest.mark.parametrize(
    "other",
    [
        transaction(request("LPOP", "a") + RUN),
        transaction(request("INCR", "a") + request("LPOP", "a")),
        transaction(b""),
    ],
)
def test_gives_up_transactions_that_are_no_runs(transactions: TransactionReader[str], other: bytes) -> None:
    """For longer and longer, until some others are found."""
    for _ in range(2):
        pauses: list[int] = []
        for _ in range(24):
            transactions.find(KINDS, other, 0)
            pauses.append(pause(transactions))
        assert pauses == [0] * 15 + [PAUSE << doublings for doublings in (0, 1, 2, 3, 4, 5, 6, 6, 6)]
        for _ in range(22):
            transactions.trust()


def test_cut_transactions_do_not_delay_others(worker: Worker) -> None:
    """Large ones are cut within a request, and the small ones after them are answered at once."""
    connection, limiter = connect(worker), request("INCR", "key:1") + request("EXPIRE", "key:1", "60")
    large, small = transaction(limiter * 150), transaction(limiter * 10)
    converse(connection, small, small)
    for _ in range(20):
        converse(connection, *[large[start : start + 1448] for start in range(0, len(large), 1448)])
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(RequestReader, "feed")
        converse(connection, *[small] * 10)
    assert worker.stats.commands["expire"] == 20 * 150 + 12 * 10


def test_known_requests_are_still_expected_after_cut_transactions(worker: Worker) -> None:
    """EXEC and MULTI, which follow some of them in a read, are attempts in vain, for which these make up."""
    connection, limiter = connect(worker), request("INCR", "counters:key:1") + request("EXPIRE", "counters:key:1", "60")
    sent, transactions = transaction(limiter * 8), 40
    converse(connection, sent)
    before, sent = connection._pending.general_requests, sent * transactions
    converse(connection, *[sent[start : start + 536] for start in range(0, len(sent), 536)])
    # MULTI, the first request after it, and EXEC.
    assert connection._pending.general_requests - before <= 4 * transactions


def test_run_is_answered_as_known_while_none_is_learned(worker: Worker) -> None:
    """And is learned once as many requests have come as are parsed until then."""
    connection, sent = connect(worker), transaction(RUN)
    converse(connection, sent)
    connection._runs.pause = 30
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(RequestReader, "feed")
        converse(connection, *[sent] * 10)
    converse(connection, sent, sent)
    assert connection._runs.expects
    assert worker.stats.commands["incr"] == 39


def test_gives_up_transactions_that_cannot_be_answered(transactions: TransactionReader[str]) -> None:
    for _ in range(16):
        assert transactions.expected
        assert transactions.find(KINDS, transaction(RUN), 0)[0]
        transactions.doubt()
    assert pause(transactions) == PAUSE


def test_one_transaction_makes_up_for_another(transactions: TransactionReader[str]) -> None:
    for _ in range(40):
        transactions.doubt()
        transactions.trust()
    for _ in range(15):
        transactions.doubt()
    transactions.trust()
    transactions.doubt()
    assert transactions.expected
    transactions.doubt()
    assert not transactions.expected


def test_other_requests_are_not_doubted(transactions: TransactionReader[str]) -> None:
    for _ in range(100):
        transactions.find(KINDS, RUN, 0)
        transactions.note_parsed()
    assert transactions.expected
