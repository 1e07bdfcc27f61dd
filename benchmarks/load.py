"""Runs redis-benchmark against a server and reads its output. It runs on the same core as this process."""

import contextlib
import re
import resource
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.machine import at_real_time_priority
from benchmarks.servers import Server

TIMEOUT_SECONDS = 120  # redis-benchmark waits forever for a server that has died
PROBE_REQUESTS = 10_000  # to find out how many requests make a round of the wanted length
# A round is at most this many times as long as the probe. Fifty TLS handshakes take longer than 10,000 requests at a
# depth of 16, so a round as fast as that probe would be much shorter than wanted, and handshakes would take much of it.
MOST_PROBES = 2
FULL_CORE = 0.95  # share of a core from which the load generator may be the bottleneck, not the server
RANDOM_KEYS = 1_000_000
KEYS = {"random": ["-r", str(RANDOM_KEYS), "{command}", "key:__rand_int__"], "fixed": ["{command}", "k"]}


@dataclass(frozen=True)
class Load:
    """The requests that redis-benchmark sends."""

    command: str  # INCR, or INCRBY by 1 as redis-py and redis-rs send it
    keys: str  # of KEYS
    depth: int
    connections: int = 50

    def arguments(self) -> list[str]:
        options = ["-c", str(self.connections), "-P", str(self.depth)]
        command = [word.format(command=self.command) for word in KEYS[self.keys]]
        return [*options, *command, *(["1"] if self.command == "INCRBY" else [])]


@dataclass(frozen=True)
class Round:
    """The result of one run of redis-benchmark."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    server_cpu_us: float = 0  # per request
    load_core: float = 0  # the share of a core that redis-benchmark used


THROUGHPUT = re.compile(r"throughput summary: ([\d.]+) requests per second")
SUMMARY = re.compile(r"^ +avg +min +p50 +p95 +p99 +max *\n(.*)$", re.MULTILINE)
PERCENTILE = re.compile(r"^([\d.]+)% <= ([\d.]+) milliseconds", re.MULTILINE)


def parse(output: str) -> Round:
    """Reads the report of redis-benchmark 7. Raises ValueError if it is not one.

    Its summary has no p99.9. This takes the first line of the percentile distribution at or above it: 99.902 %.
    """
    output = output.replace("\r", "\n")
    throughput, summary = THROUGHPUT.search(output), SUMMARY.search(output)
    distribution, _, _ = output.partition("Cumulative distribution")
    p999 = [float(value) for percent, value in PERCENTILE.findall(distribution) if float(percent) >= 99.9]
    if throughput is None or summary is None or not p999:
        raise ValueError(f"not a report of redis-benchmark: {output[-500:]!r}")
    _, _, p50, _, p99, _ = (float(word) for word in summary[1].split())
    return Round(float(throughput[1]), p50, p99, p999[0])


def run(server: Server, load: Load, requests: int) -> Round:
    """Runs redis-benchmark once and also measures the server's CPU time per request.

    With one request in flight on each connection, latency matters: an interruption by another program delays all of
    these requests.
    """
    command = ["redis-benchmark", *server.client_options, "-n", str(requests), *load.arguments()]
    cpu_before, children_before, began = server.cpu_seconds(), _children_seconds(), time.monotonic()
    with at_real_time_priority(server.process.pid) if load.depth == 1 else contextlib.nullcontext():
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    elapsed = time.monotonic() - began
    cpu, children = server.cpu_seconds() - cpu_before, _children_seconds() - children_before
    read = parse(done.stdout)
    return Round(
        read.requests_per_second, read.p50_ms, read.p99_ms, read.p999_ms, cpu / requests * 1e6, children / elapsed
    )


def _children_seconds() -> float:
    """Returns the CPU time of exited child processes, which is that of redis-benchmark: the servers still run."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def interleaved(loads: Sequence[tuple[Server, Load]], rounds: int, seconds: float) -> list[list[Round]]:
    """Runs rounds of all loads in turn (A B A B …), each about `seconds` long. Returns the rounds of each load.

    A short run before them determines the number of requests and warms up the server.
    """
    requests = [_requests(server, load, seconds) for server, load in loads]
    results: list[list[Round]] = [[] for _ in loads]
    for _ in range(rounds):
        for (server, load), number, result in zip(loads, requests, results, strict=True):
            result.append(run(server, load, number))
    return results


def _requests(server: Server, load: Load, seconds: float) -> int:
    least = load.connections * load.depth * 4
    requests, probed = max(least, PROBE_REQUESTS), 0
    while requests > MOST_PROBES * probed:
        probed = requests
        requests = max(least, round(run(server, load, probed).requests_per_second * seconds))
    return requests


def fill(server: Server, share: float) -> None:
    """Creates this share of the random keys beforehand: most INCRs in practice increment an existing counter."""
    run(server, Load("INCR", "random", 100), max(50_000, round(3 * RANDOM_KEYS * share)))


def median(rounds: Sequence[Round], name: str) -> float:
    """Returns the median of one field."""
    values: list[float] = [getattr(each, name) for each in rounds]
    return statistics.median(values)


def ratio(ours: Sequence[object], theirs: Sequence[object], name: str) -> float:
    """Returns one field of ours divided by that of theirs: the median of the ratios of consecutive rounds.

    This is not the ratio of the medians. A machine that is slower for a while slows both rounds of a pair, but perhaps
    only one of the medians.
    """
    ratios: list[float] = [getattr(our, name) / getattr(their, name) for our, their in zip(ours, theirs, strict=True)]
    return statistics.median(ratios)


def load_core(rounds: Sequence[Round]) -> str:
    """Returns the share of its core that redis-benchmark used, marked as full if it may have been the bottleneck."""
    share = median(rounds, "load_core")
    return f"{share:.0%}{' (full)' if share >= FULL_CORE else ''}".replace("%", " %")
