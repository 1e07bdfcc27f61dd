"""A program that draws one ID every 10 ms and asks /healthz every 100 ms until its input ends, then prints what it saw.

It is a process of its own, because the threads of a process that runs a crowd would wait for each other.
"""

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.support.byte_streams import request
from tests.support.raw_client import RawClient
from tests.support.running import WAIT_SECONDS, RunningServer
from tests.support.standstill import Standstills

INCR = request("INCR", "orders")
DRAW_SECONDS = 0.01
HEALTH_SECONDS = 0.1
LEAST_DRAWS = 300  # so that p99 leaves some out, however slow the machine is
LEAST_ASKED = 5
FIRST_DRAWS = 5  # before the crowd comes: a client that is known to draw IDs one by one waits for no turn


@dataclass
class Times:
    """How long some answers took. Those during which this process stood still are left out."""

    wall_seconds: list[float] = field(default_factory=list)
    busy_seconds: list[float] = field(default_factory=list)  # CPU time of the server's event loop meanwhile

    def measure(self, pid: int, standstills: Standstills, action: Callable[[], None]) -> None:
        before, wall, busy = standstills.count(), time.monotonic(), cpu_seconds(pid)
        action()
        busy_seconds, wall_seconds = cpu_seconds(pid) - busy, time.monotonic() - wall
        if standstills.count() == before:
            self.busy_seconds.append(busy_seconds)
            self.wall_seconds.append(wall_seconds)


@dataclass
class Observed:
    """Replies and their times."""

    ids: list[int] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # replies that are no IDs, and errors
    draws: Times = field(default_factory=Times)
    health: Times = field(default_factory=Times)


class Observer:
    """Draws and asks in two threads."""

    def __init__(self, pid: int, port: int, http_port: int) -> None:
        self._pid = pid
        self._port = port
        self._http_port = http_port
        self._ended = threading.Event()
        self._standstills = Standstills()
        self.observed = Observed()

    def run(self, first: bytes) -> None:
        """Sends `first` before it draws. Runs until the input ends."""
        threads = [threading.Thread(target=self._draw_all, args=[first]), threading.Thread(target=self._ask_all)]
        with self._standstills:
            for thread in threads:
                thread.start()
            sys.stdin.read()
            self._ended.set()
            for thread in threads:
                thread.join()

    def _draw_all(self, first: bytes) -> None:
        with self._noting_errors(), RawClient(self._port) as client:
            client.send(first)
            client.receive_lines(first.count(b"*"))
            for _ in range(FIRST_DRAWS):
                self._draw(client)
            print("ready", flush=True)  # noqa: T201 - the starter waits for it
            while not self._ended.wait(DRAW_SECONDS) or len(self.observed.draws.wall_seconds) < LEAST_DRAWS:
                self.observed.draws.measure(self._pid, self._standstills, lambda: self._draw(client))

    def _draw(self, client: RawClient) -> None:
        client.send(INCR)
        reply = client.receive_reply().decode().strip()
        if reply.startswith(":"):
            self.observed.ids.append(int(reply[1:]))
        else:
            self.observed.others.append(reply)

    def _ask_all(self) -> None:
        with self._noting_errors():
            while not self._ended.wait(HEALTH_SECONDS) or len(self.observed.health.wall_seconds) < LEAST_ASKED:
                self.observed.health.measure(self._pid, self._standstills, self._ask)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._http_port, timeout=WAIT_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
        if status != http.HTTPStatus.OK:
            self.observed.others.append(f"/healthz: {status}")

    @contextlib.contextmanager
    def _noting_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError, http.client.HTTPException) as error:
            self.observed.others.append(repr(error))


def cpu_seconds(pid: int) -> float:
    """The CPU time of the main thread of a process."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextlib.contextmanager
def observing(server: RunningServer, first: bytes) -> Iterator[Callable[[], Observed]]:
    """Runs the program meanwhile. Yields what ends it and returns what it saw."""
    arguments = [server.process.pid, server.port, server.http_port, first.hex()]
    program = [sys.executable, "-m", __name__, *map(str, arguments)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        try:
            yield lambda: _read(process.communicate()[0])
        finally:
            process.kill()


def _read(output: str) -> Observed:
    seen = json.loads(output)
    return Observed(seen["ids"], seen["others"], Times(**seen["draws"]), Times(**seen["health"]))


def percentile_99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]


if __name__ == "__main__":
    observer = Observer(*map(int, sys.argv[1:4]))
    observer.run(bytes.fromhex(sys.argv[4]))
    print(json.dumps(asdict(observer.observed)))  # noqa: T201
