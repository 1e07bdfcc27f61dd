"""Real servers in processes of their own, as tests see them."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Looks again and again until it holds. Fails when that takes longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s it does not hold"
        time.sleep(0.01)


@dataclass
class RunningServer:
    """A respid in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    http_port: int
    log_path: Path

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def client(self, **options: object) -> "redis.Redis":
        return redis.Redis(port=self.port, **options)  # type: ignore[arg-type]

    def get(self, path: str, accept: str = "*/*") -> tuple[int, str]:
        """Status and body of an HTTP GET."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """The value of one sample, named with its labels as it is exposed."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise KeyError(name)

    def resident_bytes(self) -> int:
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
        """Waits for its end and returns the exit code."""
        return self.process.wait(timeout=20)


StartServer = Callable[..., RunningServer]
