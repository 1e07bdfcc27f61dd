"""A client that draws IDs while hostile clients attack the server, and must not notice them."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.observer import cpu_seconds as cpu_seconds_of
from tests.support.byte_streams import request
from tests.support.raw_client import RawClient, are_rising, integers
from tests.support.running import RunningServer, wait_until
from tests.support.standstill import Standstills

MIB = 1 << 20
INCR = request("INCR", "orders")
# How long the server may be busy with others before it answers: the median, and the maximum. This is CPU time of the
# server, because the machine may be busy with other tests.
USUAL_BUSY_SECONDS = 0.1
LONGEST_BUSY_SECONDS = 0.5


class Bystander(threading.Thread):
    """Draws one ID at a time. Keeps the replies, and the CPU time that the server used before each.

    The time before a reply is left out if this process stood still meanwhile.
    """

    def __init__(self, server: RunningServer, *, period_seconds: float = 0.002, first: bytes = b"") -> None:
        """Sends `first` before it draws."""
        super().__init__()
        self._period_seconds = period_seconds
        self._first = first
        self._server = server
        self._client = RawClient(server.port)
        self._ended = threading.Event()
        self.lines: list[bytes] = []
        self.busy_seconds: list[float] = []
        self.error: OSError | EOFError | None = None

    def run(self) -> None:
        try:
            self._draw()
        except (OSError, EOFError) as error:
            self.error = error

    def _draw(self) -> None:
        with self._client, Standstills() as standstills:
            if self._first:
                self._client.send(self._first)
                self._client.receive_lines(1)
            while not self._ended.wait(self._period_seconds):
                stood_still, before = standstills.count(), cpu_seconds(self._server)
                self._client.send(INCR)
                self.lines += self._client.receive_lines(1)
                busy_seconds = cpu_seconds(self._server) - before
                if standstills.count() == stood_still:
                    self.busy_seconds.append(busy_seconds)

    def wait_for_ids(self, count: int) -> None:
        """Waits until it has drawn this many more."""
        wanted = len(self.busy_seconds) + count
        wait_until(lambda: len(self.busy_seconds) >= wanted or not self.is_alive())

    def end(self) -> None:
        self._ended.set()
        self.join()


def cpu_seconds(server: RunningServer) -> float:
    """The CPU time of the server's event loop thread."""
    return cpu_seconds_of(server.process.pid)


@contextlib.contextmanager
def unnoticed(server: RunningServer, growth_mib: int = 8) -> Iterator[None]:
    """Asserts that another client draws rising IDs without delay meanwhile, and that nothing is left afterwards.

    Memory may grow by `growth_mib` meanwhile. No file stays open, and nothing is logged but rejected clients.
    """
    log, files, resident = relevant_log(server), server.open_files(), server.resident_bytes()
    bystander = Bystander(server)
    bystander.start()
    try:
        bystander.wait_for_ids(1)
        yield
        bystander.wait_for_ids(2)
        grown_mib = (server.resident_bytes() - resident) / MIB
        assert bystander.is_alive()
    finally:
        bystander.end()
    assert grown_mib < growth_mib
    assert are_rising(integers(bystander.lines))
    seconds = sorted(bystander.busy_seconds)
    assert seconds[len(seconds) // 2] < USUAL_BUSY_SECONDS, seconds
    assert seconds[-1] < LONGEST_BUSY_SECONDS, seconds
    wait_until(lambda: server.open_files() <= files)
    assert relevant_log(server) == log


def relevant_log(server: RunningServer) -> list[str]:
    """The lines of the log that do not report a rejected client."""
    return [line for line in server.log.splitlines() if " warning rejected" not in line]


def is_kept_alive(server: RunningServer) -> bool:
    """Whether the kernel has a keepalive timer for each connection to the port of the server."""
    timers = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, _, timer, *_ = line.split()
        if int(local.partition(":")[2], 16) == server.port and state == "01":
            timers.append(timer.partition(":")[0])
    return bool(timers) and set(timers) == {"02"}
