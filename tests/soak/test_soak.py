"""Runs servers under steady load: memory does not grow, nothing leaks, and no ID is repeated.

`RESPID_TEST_SOAK_SECONDS` is the duration (3600 shows a slow leak). libfaketime steps the clock; the servers are killed
and restarted on the same state.
"""

import contextlib
import itertools
import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.byte_streams import request
from tests.support.faked_clock import faked_clock, move_clock
from tests.support.raw_client import RawClient, are_rising, integers
from tests.support.running import RunningServer, StartServer, wait_until

SECONDS = float(os.environ.get("RESPID_TEST_SOAK_SECONDS", "60"))
LIVES = (0.25, 0.75)  # shares of the duration; a longer life shows smaller leaks
STEPS_SECONDS = [0, 5, -5, 300, -300, 0]
INCR = request("INCR", "orders")
LOADING = b"-LOADING respid cannot issue IDs: "
SLOW_DISK = (
    "error the reservation cannot be extended: the store file does not answer"  # for 6 s, while other tests write
)
BLOCK = 50  # index of the block in a batch
BATCH = INCR * BLOCK + request("INCRBY", "block", "10")
# The slope of steady memory is only noise. This is 1 MiB in an hour; in a short run the noise is more than that.
MAX_GROWTH_BYTES_PER_SECOND = 300
NOISE_BYTES = 4 << 20


class Load:
    """Threads that each repeat one kind of request until they are stopped or the server dies."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.drawn: list[list[tuple[int, int]]] = []  # the spans of IDs of each connection
        self._ended = threading.Event()
        works = [self._pipeline, self._pipeline, self._single, self._churn, self._scrape]
        self._threads = [threading.Thread(target=self._repeat, args=[work]) for work in works]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, work: Callable[[], None]) -> None:
        while not self._ended.wait(0.01):
            with contextlib.suppress(OSError, EOFError):
                work()

    def _pipeline(self) -> None:
        self._draw(BATCH, 51, 10_000, 0.005)

    def _single(self) -> None:
        self._draw(INCR, 1, 10_000, 0.002)

    def _churn(self) -> None:
        self._draw(BATCH, 51, 1, 0)

    def _draw(self, sent: bytes, replies: int, times: int, pause_seconds: float) -> None:
        spans: list[tuple[int, int]] = []
        self.drawn.append(spans)
        with RawClient(self.server.port) as client:
            for _ in range(times):
                client.send(sent)
                for place, line in enumerate(client.receive_lines(replies)):
                    if line.startswith(LOADING):  # the clock was stepped past the ceiling, and the disk is slow
                        continue
                    (number,) = integers([line])
                    add_span(spans, number - 9 if place == BLOCK else number, number)
                if self._ended.wait(pause_seconds):
                    return

    def _scrape(self) -> None:
        for path in ("/metrics", "/healthz", "/readyz"):
            self.server.get(path)
        self._ended.wait(0.2)


def add_span(spans: list[tuple[int, int]], first: int, last: int) -> None:
    """Adds a span, or extends the last one if it follows it directly, so that an hour's spans fit in memory."""
    if spans and spans[-1][1] + 1 == first:
        first = spans.pop()[0]
    spans.append((first, last))


def growth_bytes_per_second(samples: list[tuple[float, int]]) -> float:
    """Returns the slope of memory over time in the second half, when all permanent memory is allocated."""
    later = samples[len(samples) // 2 :]
    return statistics.linear_regression(*zip(*later, strict=True)).slope


def threads_of(server: RunningServer) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


@pytest.mark.timeout(1_200 + 2 * SECONDS)
def test_steady_load_leaks_nothing_and_repeats_no_id(start_server: StartServer, tmp_path: Path) -> None:
    clock_file = tmp_path / "clock"
    lives = []
    for share in LIVES:
        server = start_server("--state-dir", str(tmp_path), measured=False, **faked_clock(0, clock_file))
        lives.append(live(server, clock_file, SECONDS * share))
    for spans in lives:
        assert spans == sorted(set(spans))
        assert are_rising([number for first, last in spans for number in sorted({first, last})])
    assert all(former[-1][1] < later[0][0] for former, later in itertools.pairwise(lives))


def live(server: RunningServer, clock_file: Path, seconds: float) -> list[tuple[int, int]]:
    """Loads a server, then kills it. Returns the sorted spans of IDs that it issued."""
    files, threads, log = server.open_files(), threads_of(server), server.log
    load = Load(server)
    samples: list[tuple[float, int]] = []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        move_clock(clock_file, STEPS_SECONDS[int(len(STEPS_SECONDS) * passed / seconds)])
        samples.append((passed, server.resident_bytes()))
        time.sleep(seconds / 100)
    assert growth_bytes_per_second(samples) < MAX_GROWTH_BYTES_PER_SECOND + NOISE_BYTES / seconds
    load.end()
    wait_until(lambda: server.metric("id_generator_connections") == 0)
    wait_until(lambda: server.open_files() <= files + 1)  # a scrape's connection may stay open
    assert threads_of(server) <= threads + 1  # the thread that writes the mark
    assert "Traceback" not in server.log
    errors = [line for line in server.log.removeprefix(log).splitlines() if "error" in line]
    assert not [line for line in errors if SLOW_DISK not in line]
    server.process.kill()
    server.wait()
    for spans in load.drawn:
        assert are_rising([first for first, _ in spans])
    return sorted(span for spans in load.drawn for span in spans)
