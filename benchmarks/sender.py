"""Sends prepared batches from Python, for what redis-benchmark cannot send. Counts the replies without parsing them."""

import contextlib
import itertools
import selectors
import socket
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.servers import Server

CONNECTIONS = 50


@dataclass(frozen=True)
class Batch:
    """Requests that are sent without waiting for a reply between them."""

    pieces: list[bytes]  # each is one write
    requests: int
    lines: int  # of the replies
    fails: bool = False  # whether errors are among the replies


class Cost(NamedTuple):
    """The result of one round."""

    requests_per_second: float
    server_cpu_us: float  # per request
    load_core: float  # the share of a core that this sender used


def median(costs: Sequence[Cost]) -> Cost:
    """Returns the medians of all figures."""
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def send_for(server: Server, batches: Sequence[Batch], seconds: float, connections: int = CONNECTIONS) -> Cost:
    """Keeps one batch in flight on each connection until the time is up and all batches are answered."""
    turns = itertools.cycle(batches)
    missing: dict[socket.socket, int] = {}
    may_fail = any(batch.fails for batch in batches)
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        opened = [stack.enter_context(server.connect()) for _ in range(connections)]
        cpu, began, answered = server.cpu_seconds(), time.monotonic(), 0
        own_cpu = time.process_time()

        def send(connection: socket.socket) -> int:
            batch = next(turns)
            for piece in batch.pieces:
                connection.sendall(piece)
            missing[connection] = batch.lines
            return batch.requests

        for connection in opened:
            selector.register(connection, selectors.EVENT_READ, connection)
            answered += send(connection)
        while missing:
            for key, _ in selector.select(10):
                connection = key.data
                missing[connection] -= _lines(connection, may_fail=may_fail)
                if missing[connection] == 0:
                    del missing[connection]
                    if time.monotonic() < began + seconds:
                        answered += send(connection)
        elapsed, used = time.monotonic() - began, server.cpu_seconds() - cpu
        own_used = time.process_time() - own_cpu
    return Cost(answered / elapsed, used / answered * 1e6, own_used / elapsed)


def _lines(connection: socket.socket, *, may_fail: bool) -> int:
    """Returns the number of lines received. Raises RuntimeError for the end of the connection and for an error."""
    read = connection.recv(1 << 18)
    if not read or (not may_fail and (read.startswith(b"-") or b"\n-" in read)):
        raise RuntimeError(f"a request was answered with {read[:100]!r}")
    return read.count(b"\n")
