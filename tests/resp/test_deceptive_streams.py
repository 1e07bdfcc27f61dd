"""Streams that deceive the fast path cost hardly more calls with it than without it."""

import sys
from types import FrameType
from typing import Any

import pytest

from benchmarks import without
from benchmarks.deceptive import DECEPTIVE
from benchmarks.load import frame
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
    compare(reads, monkeypatch)


def compare(reads: list[bytes], patch: pytest.MonkeyPatch) -> None:
    calls(reads[:20])  # what is kept for all clients is not there before the first one
    as_it_is = calls(reads)
    without.fast_path(patch.setattr)
    assert as_it_is <= 1.04 * calls(reads)


@pytest.mark.unmeasured
@pytest.mark.parametrize("read_bytes", [0, 37, 100])
@pytest.mark.parametrize(
    "several",
    [
        "ECHO a,INCR a,INCR a,INCR a",
        "INCR a,ECHO a,INCR a",
        "INCR a,EXPIRE a 60,ECHO a",
        "INCR a,EXPIRE a 60,GET a,ECHO a",
        "INCR a,INCR a,INCR a,ECHO a",
        "INCRBY a 2,INCRBY a 3",
        f"INCR {'x' * 120}",
    ],
)
def test_transactions_cost_no_more_calls_than_on_general_path(
    several: str, read_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of other requests, whole and cut anywhere."""
    sent = frame("MULTI") + b"".join(map(frame, several.split(","))) + frame("EXEC")
    step = read_bytes or len(sent)
    sent *= REQUESTS // 10
    compare([sent[start : start + step] for start in range(0, len(sent), step)], monkeypatch)
