"""Sends single requests at a fixed rate, which both servers can keep up with, and measures how long replies take.

A sender that waits for replies before it sends more is always busy with one of the two, so it would measure itself.
"""

import contextlib
import select
import socket
import time
from collections import deque
from collections.abc import Iterator

from benchmarks.rounds import Cost, percentile
from benchmarks.sender import CONNECTIONS, Batches, connected, lines_received, undelayed
from benchmarks.servers import Server


@contextlib.contextmanager
def sending_steadily(server: Server, requests: Batches, per_second: float) -> Iterator["SteadySender"]:
    """Provides a sender of these batches of one request, whose connections are open and warm."""
    with connected(server, CONNECTIONS) as opened:
        sender = SteadySender(server, requests, per_second, *opened)
        sender.send_for(CONNECTIONS / per_second)
        yield sender


class SteadySender:
    """Sends on each connection in turn, whether or not earlier requests have been answered.

    The time of a reply counts from when its request was due: if the sender or the server is held up, all requests that
    would have been sent meanwhile wait.
    """

    def __init__(
        self,
        server: Server,
        requests: Batches,
        per_second: float,
        connections: dict[int, socket.socket],
        readable: select.epoll,
    ) -> None:
        self.processes = (server.process.pid,)
        self._server = server
        self._series = requests.series
        self._interval = 1 / per_second
        self._connections = connections
        self._readable = readable

    def send_for(self, seconds: float) -> Cost:
        """Sends until the time is up, and waits for all replies. `seconds` is long enough for a request."""
        with undelayed():
            cpu, began = self._server.cpu_seconds(), time.perf_counter()
            taken = self._send_until(began, began + seconds)
            elapsed, used = time.perf_counter() - began, self._server.cpu_seconds_since(cpu)
        p50, p99, p999 = (percentile(taken, percent) * 1e3 for percent in (50, 99, 99.9))
        return Cost(len(taken) / elapsed, used / len(taken) * 1e6, p50, p99, p999)

    def _send_until(self, due: float, end: float) -> list[float]:
        """Returns the seconds that each reply took."""
        connections, series, ready, clock = self._connections, self._series, self._readable.poll, time.perf_counter
        due_at = {number: deque[float]() for number in connections}
        turns = deque(connections)
        taken = list[float]()
        sent, now = 0, due
        while due < end or len(taken) < sent:
            if due <= now and due < end:
                number = turns[0]
                turns.rotate(-1)
                due_at[number].append(due)
                for piece in next(series):
                    connections[number].sendall(piece)
                sent += 1
                due += self._interval
                now = clock()
                continue
            for number, _ in ready(0, 1):
                lines = lines_received(connections[number])
                now = clock()
                for _ in range(lines):
                    taken.append(now - due_at[number].popleft())
            now = clock()
        return taken
