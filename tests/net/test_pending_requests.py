"""How many requests are answered before the time is checked. Other tests compare the replies."""

import pytest

from respid.net.connection import Connection
from respid.net.pending_requests import MOST_QUICK
from respid.resp.reader import RequestReader
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.scripted_worker import connect, converse


@pytest.mark.parametrize("pause", [0, 10_000])
def test_answers_up_to_64_quick_requests(worker: Worker, pause: int) -> None:
    """Whether known ones may be among them, or are not looked for."""
    pending = connect(worker)._pending
    pending.known.pause, pending.runs.pause = pause, 10_000
    pending.feed(request("HEXISTS", "key", "field") * 3 * MOST_QUICK)
    assert pending.answer_quickly().count(b"\r\n") == MOST_QUICK


def test_known_requests_count_as_quick_ones(worker: Worker) -> None:
    """Also if others are among them."""
    pending = connect(worker)._pending
    pending.runs.pause = 10_000
    pending.feed((request("HEXISTS", "key", "field") + request("PING") + request("GET", "key") * 3) * MOST_QUICK)
    assert MOST_QUICK <= pending.answer_quickly().count(b"\r\n") <= MOST_QUICK + 5


def test_attempts_are_left_out_and_not_requests(worker: Worker) -> None:
    """A pause of the search for known requests lasts for many reads of quick ones."""
    pending = connect(worker)._pending
    pending.known.pause, pending.runs.pause = 10_000, 10_000
    pending.feed(request("HEXISTS", "key", "field") * MOST_QUICK)
    pending.answer_quickly()
    assert pending.known.pause == 9_999


@pytest.mark.parametrize("other", ["HEXISTS key field", "DECR key", "ECHO a"])
def test_known_requests_behind_others_are_not_parsed(
    other: str, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, parsed = connect(worker), 0
    connection._pending.runs.pause = 10_000
    read = RequestReader.next_short_request

    def count(reader: RequestReader) -> list[bytes] | None:
        nonlocal parsed
        found = read(reader)
        parsed += found is not None
        return found

    monkeypatch.setattr(RequestReader, "next_short_request", count)
    known = request("PING") + request("GET", "key") * 3
    converse(connection, (request(*other.split()) + known) * 10)
    assert parsed == 10


@pytest.mark.parametrize("words", ["PING", "HEXISTS key field", "HEXISTS key field, PING", "PING, HEXISTS key field"])
def test_short_read_is_answered_without_a_turn(words: str, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if a part of a request follows, or comes alone."""
    connection, one = connect(worker), b"".join([request(*each.split()) for each in words.split(",")])
    connection._pending.runs.pause = 10_000
    monkeypatch.delattr(Connection, "_answer_turn")
    replies = [connection.receive(sent) for sent in (one, one[:9], one[9:], one + one[:9], one[9:])]
    assert replies[1] == b""
    assert b"".join(replies) == replies[0] * 4


def test_run_is_learned_in_a_transaction(worker: Worker) -> None:
    connection = connect(worker)
    converse(connection, request("MULTI") + request("INCR", "key") * 300)
    assert connection._runs.expects is not None
    assert connection._pending.general_requests < 10


def test_other_requests_end_what_was_learned(worker: Worker) -> None:
    connection = connect(worker)
    converse(connection, request("INCR", "key") * 10)
    assert connection._runs.expects is not None
    converse(connection, *[request("ECHO", "x" * 100)] * 600)
    assert connection._runs.expects is None


@pytest.mark.parametrize(("words", "helps"), [("INCR key", 2), ("HEXISTS key field", 16)])
def test_run_of_known_requests_helps_less(words: str, helps: int, worker: Worker) -> None:
    """Since they are recognised without it as well, nearly as fast."""
    connection, one = connect(worker), request(*words.split())
    converse(connection, one * 10)
    connection._runs._doubts = 100
    converse(connection, one * 2)
    assert connection._runs._doubts == 100 - helps


def test_run_that_a_read_cuts_is_not_parsed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    connection, one = connect(worker), request("INCR", "key")
    converse(connection, *[one * 40] * 2)
    monkeypatch.delattr(RequestReader, "feed")
    replies = converse(connection, *[one * 40 + one[:9], one[9:] + one * 39] * 2)
    assert replies.count(b":") == 2 * 80


def test_blank_line_has_no_reply(worker: Worker) -> None:
    assert converse(connect(worker), b"\r\n", b"\r\nPING\r\n\r\n", b"\r\n") == b"+PONG\r\n"
