"""Sends prepared batches from Python, for what redis-benchmark cannot send. Counts the replies without parsing them."""

import contextlib
import gc
import itertools
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.rounds import Cost, percentile
from benchmarks.servers import Server

CONNECTIONS = 50
WARM_UP = 4  # batches on each connection


@dataclass(frozen=True)
class Batch:
    """Requests that are sent without waiting for a reply between them."""

    pieces: list[bytes]  # each is one write
    requests: int
    lines: int  # of the replies
    fails: bool = False  # whether errors are among the replies


@contextlib.contextmanager
def sending(server: Server, batches: Sequence[Batch], connections: int = CONNECTIONS) -> Iterator["BatchSender"]:
    """Provides a sender of these batches in rotation, whose connections are open and warm."""
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as opened:
        sender = BatchSender(server, batches, selector)
        for _ in range(connections):
            selector.register(opened.enter_context(server.connect()), selectors.EVENT_READ)
        for _ in range(WARM_UP):
            sender.send_for(0)
        yield sender


class BatchSender:
    """Keeps one batch in flight on each connection of the selector."""

    def __init__(self, server: Server, batches: Sequence[Batch], selector: selectors.BaseSelector) -> None:
        self.processes = (server.process.pid,)
        self._server = server
        self._turns = itertools.cycle(batches)
        self._may_fail = any(batch.fails for batch in batches)
        self._selector = selector

    def send_for(self, seconds: float) -> Cost:
        """Sends until the time is up and all batches are answered. Sends at least one batch on each connection."""
        turns, may_fail, clock = self._turns, self._may_fail, time.perf_counter
        missing: dict[socket.socket, int] = {}
        sent_at: dict[socket.socket, float] = {}
        latencies = list[float]()
        answered = 0

        def send(connection: socket.socket, now: float) -> int:
            batch = next(turns)
            sent_at[connection] = now
            for piece in batch.pieces:
                connection.sendall(piece)
            missing[connection] = batch.lines
            return batch.requests

        gc.disable()  # or it would delay requests
        cpu, own_cpu, began = self._server.cpu_seconds(), time.process_time(), clock()
        for key in list(self._selector.get_map().values()):
            answered += send(key.fileobj, clock())  # type: ignore[arg-type]
        while missing:
            for key, _ in self._selector.select(10):
                connection: socket.socket = key.fileobj  # type: ignore[assignment]
                missing[connection] -= _lines(connection, may_fail=may_fail)
                if missing[connection] == 0:
                    del missing[connection]
                    now = clock()
                    latencies.append(now - sent_at[connection])
                    if now < began + seconds:
                        answered += send(connection, now)
        elapsed, used = clock() - began, self._server.cpu_seconds_since(cpu)
        load_core = (time.process_time() - own_cpu) / elapsed
        gc.enable()
        p50, p99, p999 = (percentile(latencies, percent) * 1e3 for percent in (50, 99, 99.9))
        return Cost(answered / elapsed, used / answered * 1e6, load_core, p50, p99, p999)


def _lines(connection: socket.socket, *, may_fail: bool) -> int:
    """Returns the number of lines received. Raises RuntimeError for the end of the connection and for an error."""
    read = connection.recv(1 << 18)
    if not read or (not may_fail and (read.startswith(b"-") or b"\n-" in read)):
        raise RuntimeError(f"a request was answered with {read[:100]!r}")
    return read.count(b"\n")
