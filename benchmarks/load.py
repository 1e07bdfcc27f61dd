"""Runs redis-benchmark against a server. It runs on the same core as this process."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.rounds import Cost, taking_turns
from benchmarks.servers import Server, cpu_seconds

TIMEOUT_SECONDS = 120  # redis-benchmark waits forever for a server that has died
ENDLESS = 2_000_000_000  # requests: far more than a run answers, and redis-benchmark reads the number as an int
SETTLE_SECONDS = 0.01  # until requests are in flight on all connections again
RANDOM_KEYS = 1_000_000
KEYS = {"random": "key:__rand_int__", "fixed": "k"}
PROCESSED = re.compile(rb"total_commands_processed:(\d+)")


@dataclass(frozen=True)
class Load:
    """The requests that redis-benchmark sends."""

    command: str  # INCR, or INCRBY by 1 as redis-py and redis-rs send it
    keys: str  # of KEYS
    depth: int
    connections: int = 50

    def arguments(self) -> list[str]:
        random = ["-r", str(RANDOM_KEYS)] if self.keys == "random" else []
        return ["-c", str(self.connections), "-P", str(self.depth), *random, *self._words()]

    def request(self, number: int) -> str:
        """Returns one of the requests as an inline command."""
        return " ".join(self._words()).replace("__rand_int__", f"{number:012}")

    def _words(self) -> list[str]:
        return [self.command, KEYS[self.keys], *(["1"] if self.command == "INCRBY" else [])]


class Reading(NamedTuple):
    """What the clocks and the server's counter show at one moment."""

    seconds: float
    requests: int
    server_cpu: float
    load_cpu: float


class RedisBenchmark:
    """A redis-benchmark that is stopped between rounds, so that it connects only once.

    Fifty connections take some milliseconds of the server's time, and with TLS some tens. A run of its own for each
    round would count them as requests. Its report covers all rounds and the time between them, so the server counts
    the requests instead.
    """

    def __init__(self, server: Server, process: subprocess.Popen[bytes], asking: socket.socket) -> None:
        self.server = server
        self.process = process
        self.processes = server.process.pid, process.pid
        self._asking = asking

    def send_for(self, seconds: float) -> Cost:
        """Lets it send until the time is up. Raises RuntimeError if it has ended."""
        self.process.send_signal(signal.SIGCONT)
        time.sleep(SETTLE_SECONDS)
        before = self._reading()
        time.sleep(seconds)
        after = self._reading()
        used = self.server.cpu_seconds_since(before.server_cpu)
        self.stop()
        elapsed = after.seconds - before.seconds
        requests = max(1, after.requests - before.requests - 1)  # one was the question for their number
        return Cost(requests / elapsed, used / requests * 1e6, (after.load_cpu - before.load_cpu) / elapsed)

    def _reading(self) -> Reading:
        if self.process.poll() is not None:
            raise RuntimeError(f"redis-benchmark has ended (exit code: {self.process.returncode})")
        return Reading(
            requests=self.answered(),
            seconds=time.monotonic(),
            server_cpu=self.server.cpu_seconds(),
            load_cpu=cpu_seconds(self.process.pid),
        )

    def stop(self) -> None:
        """Returns when it stands still, or has ended."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def answered(self) -> int:
        """Returns how many requests of all clients the server has answered. Raises RuntimeError if it has ended."""
        self._asking.sendall(b"INFO stats\r\n")
        read = b""
        while (found := PROCESSED.search(read)) is None or not read.endswith(b"\r\n"):
            if not (received := self._asking.recv(1 << 16)):
                raise RuntimeError(f"{self.server.name} has ended")
            read += received
        return int(found[1])


@contextlib.contextmanager
def stopped_redis_benchmark(server: Server, load: Load) -> Iterator[RedisBenchmark]:
    """Provides a redis-benchmark that has connected and sent its first requests."""
    command = ["redis-benchmark", *server.client_options, "-n", str(ENDLESS), *load.arguments()]
    with server.connect() as asking, subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        running = RedisBenchmark(server, process, asking)
        try:
            wanted = running.answered() + 4 * load.connections * load.depth
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while running.answered() < wanted:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"redis-benchmark does not reach {server.name}")
                time.sleep(SETTLE_SECONDS)
            running.stop()
            yield running
        finally:
            process.kill()


def in_turn(loads: Sequence[tuple[Server, Load]], rounds: int, seconds: float) -> list[list[Cost]]:
    """Lets redis-benchmark send these loads in turn. Returns the costs of each."""
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(stopped_redis_benchmark(server, load)) for server, load in loads]
        return taking_turns(running, rounds, seconds)


def fill(server: Server, share: float) -> None:
    """Creates this share of the random keys beforehand: most INCRs in practice increment an existing counter."""
    requests = max(50_000, round(3 * RANDOM_KEYS * share))
    command = ["redis-benchmark", *server.client_options, "-n", str(requests), "-q"]
    subprocess.run(
        [*command, *Load("INCR", "random", 100).arguments()], check=True, capture_output=True, timeout=TIMEOUT_SECONDS
    )
