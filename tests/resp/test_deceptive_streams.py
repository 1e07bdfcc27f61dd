"""Streams that deceive the fast path cost hardly more calls with it than without it."""

import sys
from types import FrameType
from typing import Any

import pytest

from benchmarks import without
from benchmarks.deceptive import DECEPTIVE
from benchmarks.streams import frame
from respid.net.states import Next
from tests.support.request_limits import DEFAULT_LIMITS
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import RESERVED_MS, connect, start_worker

REQUESTS = 2000


def calls(reads: list[bytes]) -> int:
    """Returns how many functions are called while a new client's reads are answered."""
    clock = ScriptedClock()
    connection = connect(start_worker(clock, reserved_ms=100 * RESERVED_MS), DEFAULT_LIMITS)
    count = 0

    def note(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        for read in reads:
            connection.receive(read)
            while connection.next is not Next.READ:
                clock.pass_ms(1)
                connection.resume()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.unmeasured
@pytest.mark.parametrize("requests_per_read", [1, 3, 16])
@pytest.mark.parametrize("name", DECEPTIVE)
def test_costs_no_more_calls_than_the_general_path(
    name: str, requests_per_read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = DECEPTIVE[name].requests
    frames = [frame(words[place % len(words)]) for place in range(REQUESTS)]
    reads = [b"".join(frames[start : start + requests_per_read]) for start in range(0, REQUESTS, requests_per_read)]
    calls(reads[:20])  # what is kept for all clients is not there before the first one
    as_it_is = calls(reads)
    without.fast_path(monkeypatch.setattr)
    assert as_it_is <= 1.04 * calls(reads)
