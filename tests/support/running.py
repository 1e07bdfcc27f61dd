"""Runs servers and other programs in processes of their own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.ports import free_port
from tests.support.environment import clean_environment

WAIT_SECONDS = 300  # for what takes a fraction of a second on an idle machine
# More than the store `file` reserves by default: a busy machine may stand still for seconds, and no test fails then.
RESERVE_SECONDS = 60


def wait_until(
    condition: Callable[[], object], seconds: float = WAIT_SECONDS, *, explain: Callable[[], str] = str
) -> None:
    """Polls until the condition is true. Raises AssertionError after this many seconds, with the explanation."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still false after {seconds} s: {explain()}"
        time.sleep(0.01)


def accepts_connections(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def running_program(*command: str | Path, log: Path) -> Iterator[None]:
    """Runs a program that serves until it is stopped; its output goes to the log."""
    with log.open("a") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.kill()


@dataclass
class RunningServer:
    """A respid server in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    http_port: int
    log_path: Path
    has_metrics: bool = False  # whether it is known to have imported them

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def client(self, **options: object) -> "redis.Redis":
        return redis.Redis(port=self.port, socket_timeout=WAIT_SECONDS, **options)  # type: ignore[arg-type]

    def get(self, path: str, accept: str = "*/*") -> tuple[int, str]:
        """Returns the status and the body of an HTTP GET."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """Returns the value of a sample, named with its labels as exposed. Raises KeyError if there is none."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise KeyError(name)

    def resident_bytes(self) -> int:
        if not self.has_metrics:  # it may still be importing them
            self.get("/metrics")
            self.has_metrics = True
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM) -> int:
        """Sends the signal and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(stop_signal)
        return self.wait()

    def stop_at_once(self) -> int:
        """Repeats SIGTERM, since one that follows the first closely does not count, and returns the exit code."""

        def has_ended() -> bool:
            self.process.send_signal(signal.SIGTERM)
            return self.process.poll() is not None

        wait_until(has_ended)
        return self.wait()

    def wait(self) -> int:
        """Waits for the process to end and returns its exit code."""
        return self.process.wait(timeout=WAIT_SECONDS)

    def wait_until_ready(self) -> None:
        """Raises AssertionError if the process exits first."""
        wait_until(self._is_ready, explain=lambda: self.log)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"respid exited with {self.process.returncode}: {self.log}"
        with contextlib.suppress(OSError):
            return self.get("/readyz")[0] == 200
        return False


def launch_server(
    directory: Path,
    *arguments: str,
    worker_id: str | None = "1",
    port: int = 0,
    measured: bool = True,
    prefix: tuple[str, ...] = (),
    **variables: str,
) -> RunningServer:
    """Starts `respid serve` with more arguments and variables.

    Where coverage is measured a server runs several times slower, except with `measured=False`. Its reservations are
    long enough for a machine that stands still, unless `--reserve` says otherwise.
    """
    server_port, http_port, log_path = port or free_port(), free_port(), directory / "log"
    command = [*prefix, sys.executable, "-m", "respid", "serve"]
    command += ["--port", str(server_port), "--http-port", str(http_port), "--state-dir", str(directory / "state")]
    command += [] if worker_id is None else ["--worker-id", worker_id]
    environment = clean_environment(measured=measured) | {"RESPID_RESERVE": str(RESERVE_SECONDS)} | variables
    with log_path.open("w") as log:
        process = subprocess.Popen([*command, *arguments], stderr=log, text=True, env=environment)
    return RunningServer(process, server_port, http_port, log_path)


StartServer = Callable[..., RunningServer]  # launch_server in a directory of its own; waits, unless wait=False
