"""Sends prepared batches, and counts the lines of the replies without parsing them.

The servers are to be the bottleneck, not this. For a batch of one request, it takes 10 µs of CPU time, nearly all of it
in the kernel, and redis-benchmark 14 µs, which is more than the servers need. It also sends what redis-benchmark
cannot: mixtures, transactions, and batches in pieces.
"""

import contextlib
import gc
import select
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.rounds import Cost
from benchmarks.servers import Server

CONNECTIONS = 50
WARM_UP = 4  # batches on each connection
READ_BYTES = 1 << 18
Batch = Iterable[bytes | memoryview]
"""Requests that are sent without waiting for a reply between them. Each piece is one write."""


@dataclass(frozen=True)
class Batches:
    """An endless series of batches of one size."""

    series: Iterator[Batch]
    requests: int  # of each
    lines: int  # of the replies to each
    fail: bool = False  # whether errors are among the replies


@contextlib.contextmanager
def connected(server: Server, number: int) -> Iterator[tuple[dict[int, socket.socket], select.epoll]]:
    """Opens connections. Provides them by their file descriptors, and with a selector of those that can be read."""
    with contextlib.ExitStack() as opened, select.epoll() as readable:
        connections = [opened.enter_context(server.connect()) for _ in range(number)]
        for connection in connections:
            connection.settimeout(None)  # with one, Python asks the kernel before each call whether it would block
            readable.register(connection, select.EPOLLIN)
        yield {connection.fileno(): connection for connection in connections}, readable


@contextlib.contextmanager
def sending(server: Server, batches: Batches, connections: int = CONNECTIONS) -> Iterator["BatchSender"]:
    """Provides a sender of these batches, whose connections are open and warm."""
    with connected(server, connections) as opened:
        sender = BatchSender(server, batches, *opened)
        for _ in range(WARM_UP):
            sender.send_for(0)
        yield sender


class BatchSender:
    """Keeps one batch in flight on each connection."""

    def __init__(
        self, server: Server, batches: Batches, connections: dict[int, socket.socket], readable: select.epoll
    ) -> None:
        self.processes = (server.process.pid,)
        self._server = server
        self._batches = batches
        self._connections = connections
        self._readable = readable

    def send_for(self, seconds: float) -> Cost:
        """Sends until the time is up and all batches are answered. Sends at least one batch on each connection."""
        with undelayed():
            cpu, began = self._server.cpu_seconds(), time.perf_counter()
            requests = self._send_until(began + seconds) * self._batches.requests
            elapsed, used = time.perf_counter() - began, self._server.cpu_seconds_since(cpu)
        return Cost(requests / elapsed, used / requests * 1e6)

    def _send_until(self, end: float) -> int:
        """Returns the number of batches. All of this is one loop without calls of its own, to be fast."""
        connections, ready, clock = self._connections, self._readable.poll, time.perf_counter
        series, lines, may_fail = self._batches.series, self._batches.lines, self._batches.fail
        missing = dict.fromkeys(connections, lines)
        answered = 0
        for connection in connections.values():
            for piece in next(series):
                connection.sendall(piece)
        while missing:
            for number, _ in ready():
                connection = connections[number]
                left = missing[number] - lines_received(connection, may_fail=may_fail)
                if left:
                    missing[number] = left
                    continue
                answered += 1
                if clock() < end:
                    missing[number] = lines
                    for piece in next(series):
                        connection.sendall(piece)
                else:
                    del missing[number]
        return answered


@contextlib.contextmanager
def undelayed() -> Iterator[None]:
    """Keeps garbage collections from delaying requests."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def lines_received(connection: socket.socket, *, may_fail: bool = False) -> int:
    """Returns how many lines a read has. Raises RuntimeError for the end of the connection and for an error."""
    read = connection.recv(READ_BYTES)
    if not read or (not may_fail and (read[0] == 0x2D or b"\n-" in read)):
        raise RuntimeError(f"a request was answered with {read[:100]!r}")
    lines = read.count(b"\n")
    if isinstance(connection, ssl.SSLSocket) and connection.pending():  # the selector does not know of these bytes
        lines += lines_received(connection, may_fail=may_fail)
    return lines
