"""Streams that deceive the fast path cost hardly more calls with it than without it."""

import sys
from types import FrameType
from typing import Any

import pytest

from benchmarks import without
from benchmarks.deceptive import DECEPTIVE
from benchmarks.load import frame
from respid.net.connection import Budgets
from respid.net.states import Next
from respid.net.turns import Budget
from tests.support.request_limits import DEFAULT_LIMITS
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import RESERVED_MS, connect, start_worker

REQUESTS = 2000


def calls(reads: list[bytes]) -> int:
    """Returns how many functions are called while a new client's reads are answered."""
    clock = ScriptedClock()
    endless = Budget(1 << 60)  # so that no read waits for a turn
    worker = start_worker(clock, reserved_ms=100 * RESERVED_MS)
    connection = connect(worker, DEFAULT_LIMITS, Budgets(endless, endless))
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
    calls(reads)  # what is kept for all clients is not there before the first one
    as_it_is = calls(reads)
    without.fast_path(patch.setattr)
    assert as_it_is <= 1.04 * calls(reads)


@pytest.mark.unmeasured
@pytest.mark.parametrize("words", ["INCR orders", "TYPE orders", "ECHO orders", "INCR orders,GET orders"])
@pytest.mark.parametrize("read_bytes", [7, 16, 37])
def test_requests_in_parts_cost_no_more_calls_than_on_general_path(
    words: str, read_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = b"".join(map(frame, words.split(","))) * (REQUESTS // 10)
    compare([sent[start : start + read_bytes] for start in range(0, len(sent), read_bytes)], monkeypatch)


@pytest.mark.unmeasured
def test_part_of_a_request_costs_few_calls() -> None:
    sent = frame("ECHO orders") * 50
    reads = [sent[start : start + 1] for start in range(len(sent))]
    calls(reads)  # what is kept for all clients is not there before the first one
    assert calls(reads) <= 40 * len(reads)


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


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "several",
    ["TTL a,ID.NEXT COUNT 1", "EXISTS a,INCRBYFLOAT a 1", "ECHO a,ID.NEXT COUNT 3", "GET a,ECHO a,INCR a", "INCR a"],
)
def test_transactions_of_reads_of_one_request_cost_no_more_calls_than_on_general_path(
    several: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = [frame("MULTI"), *map(frame, several.split(",") * 5), frame("EXEC")]
    compare(reads * (REQUESTS // len(reads)), monkeypatch)
