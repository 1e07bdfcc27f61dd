"""How many requests are answered before the time is checked. Other tests compare the replies."""

import pytest

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


def test_run_that_a_read_cuts_is_not_parsed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    connection, one = connect(worker), request("INCR", "key")
    converse(connection, *[one * 40] * 2)
    monkeypatch.delattr(RequestReader, "feed")
    replies = converse(connection, *[one * 40 + one[:9], one[9:] + one * 39] * 2)
    assert replies.count(b":") == 2 * 80


def test_blank_line_has_no_reply(worker: Worker) -> None:
    assert converse(connect(worker), b"\r\n", b"\r\nPING\r\n\r\n", b"\r\n") == b"+PONG\r\n"
