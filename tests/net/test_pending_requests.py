"""How many requests are answered before the time is checked. Other tests compare the replies."""

import pytest

from respid.net.pending_requests import MOST_QUICK
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


def test_blank_line_has_no_reply(worker: Worker) -> None:
    assert converse(connect(worker), b"\r\n", b"\r\nPING\r\n\r\n", b"\r\n") == b"+PONG\r\n"
