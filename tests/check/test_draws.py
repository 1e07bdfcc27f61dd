"""The requests and the IDs read from their replies; every batch is sent to a worker in this process."""

import pytest

from respid.check.draws import Batch, WrongReplyError, join, make_batches
from respid.check.ledger import Block
from respid.check.wire import ErrorReply, Reply, ReplyReader
from respid.ids.layout import Layout
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, converse, start_worker

BATCHES = make_batches(Layout())
SMALL_BATCHES = [*make_batches(Layout(), 1), *make_batches(Layout(), 7)]
REQUESTS = {request.arguments[0].decode(): request for batch in BATCHES for request in batch.requests}
TRANSACTION = BATCHES[-1]


@pytest.mark.parametrize("batch", BATCHES + SMALL_BATCHES)
def test_reads_the_ids_that_were_issued(batch: Batch) -> None:
    clock = ScriptedClock()
    worker = start_worker(clock)
    connection = connect(worker)
    received = converse(connection, batch.encoded)
    for _ in range(10):  # some batches need more than one millisecond's IDs
        clock.pass_ms(1)
        received += connection.resume()
    replies = ReplyReader().feed(received)
    assert len(replies) == batch.reply_count
    blocks = [block for request, reply in batch.answered(replies) for block in request.read(reply)]
    assert sum(size for _, size in blocks) == batch.ids == worker.generator.ids_issued
    assert blocks == sorted(blocks)
    assert sum(blocks[-1]) - 1 == worker.generator.last_id


def test_sizes_fit_small_layout() -> None:
    requests = [request for batch in make_batches(Layout.parse("41/4/3")) for request in batch.requests]
    assert {request.name for request in requests} >= {"INCRBY respid:check 8", "ID.RANGE 16"}


@pytest.mark.parametrize("most_ids", [1, 4, 5, 9, 100, 5000])
def test_batches_stay_below_most_ids(most_ids: int) -> None:
    batches = make_batches(Layout(), most_ids)
    assert 0 < max(batch.ids for batch in batches) <= most_ids
    assert {request.arguments[0] for batch in batches for request in batch.requests} == {
        *(b"INCR", b"INCRBY", b"HINCRBY", b"INCRBYFLOAT", b"ID.NEXT", b"ID.RANGE")
    }


def test_incrby_returns_last_id_of_block() -> None:
    assert REQUESTS["INCRBY"].read(1000) == [Block(901, 100)]


@pytest.mark.parametrize(
    ("command", "reply", "expected"),
    [
        ("INCR", b"OK", "b'OK'"),
        ("INCR", None, "null"),
        ("INCR", [], "0 elements"),
        ("ID.RANGE", 1, "1"),
        ("ID.RANGE", [[1, 4096]], "1 elements"),
        ("ID.RANGE", [[1, 8192, 1]], "3 elements"),
        ("ID.RANGE", [[1, 8193], [9000, -1]], "2 elements"),
        ("INCRBY", b"1x", "b'1x'"),
        ("INCR", b"1", "b'1'"),
        ("INCR", True, "a RESP3 value of type bool"),
        ("INCR", 1.5, "a RESP3 value of type float"),
        ("ID.RANGE", {1: 2}, "a RESP3 value of type dict"),
        ("INCRBYFLOAT", 1, "1"),
        ("INCRBYFLOAT", b"01", "b'01'"),
        ("INCR", b"x" * 1000, f"b'{'x' * 64}'"),
        ("INCR", ErrorReply("ERR no"), "the error ERR no"),
    ],
)
def test_refuses_reply_of_other_type(command: str, reply: Reply, expected: str) -> None:
    with pytest.raises(WrongReplyError, match=f"^{expected}$"):
        REQUESTS[command].read(reply)


def test_refuses_array_of_other_length() -> None:
    with pytest.raises(WrongReplyError, match="999 elements"):
        BATCHES[2].requests[0].read(list(range(999)))


def test_failed_exec_fails_each_request() -> None:
    failed = ErrorReply("LOADING later")
    replies: list[Reply] = [b"OK", *[b"QUEUED"] * 5, failed]
    assert [reply for _, reply in TRANSACTION.answered(replies)] == [failed] * 5
    for request, reply in TRANSACTION.answered([*replies[:-1], [1]]):
        with pytest.raises(WrongReplyError):
            request.read(reply)


def test_joins_ids_within_millisecond() -> None:
    numbers = [4094, 4095, 4096, 4097, 4097, 4098, 4100, 4099]
    joined = join((Block(number, 1) for number in numbers), Layout())
    assert joined == [Block(4094, 2), Block(4096, 2), Block(4097, 2), Block(4100, 1), Block(4099, 1)]
