"""Compares respid with Redis for INCR and INCRBY at pipeline depths from 1 to 500."""

import random
from collections import defaultdict
from typing import NamedTuple

from benchmarks.load import RANDOM_KEYS, Load, fill, in_turn
from benchmarks.plan import LIMIT_PER_SECOND, Plan
from benchmarks.results import PERCENT, RATIO, Curve, Measured, Row, Table, Target, at_least, at_most
from benchmarks.rounds import Cost, estimate, load_core, median, ratio, taking_turns, throughput
from benchmarks.sender import Batch, sending
from benchmarks.servers import Server, running_redis, running_respid
from benchmarks.streams import frame

ROUND_SECONDS = 0.3
LATENCY_SECONDS = 0.4  # about 25,000 requests, of which 25 are above p99.9
SINGLE = 10_000  # different requests, sent in rotation


class Targets(NamedTuple):
    """Targets for respid relative to Redis, and for its share of the limit in percent."""

    throughput: Target | None = None
    cpu: Target | None = None
    p999: Target | None = None
    limit: Target | None = None


TARGETS = {
    ("random", 1): Targets(at_least(1), cpu=at_most(1.05), p999=at_most(1)),
    ("random", 16): Targets(at_least(1.3)),
    ("random", 100): Targets(at_least(3)),
    ("random", 500): Targets(at_least(3.5), limit=at_least(98)),
    ("fixed", 1): Targets(at_least(0.95), cpu=at_most(1.1)),
    ("fixed", 16): Targets(at_least(1.1)),
    ("fixed", 100): Targets(at_least(1.1)),
    ("fixed", 500): Targets(limit=at_least(98)),
}
CASES = [(Load(command, *case), targets) for command in ("INCR", "INCRBY") for case, targets in TARGETS.items()]
CASE_COLUMNS = ("command", "keys", "depth")


def measure(plan: Plan) -> Measured:
    tables = Tables()
    points: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    with running_respid(plan.cores.server) as respid, running_redis(plan.cores.server) as redis:
        fill(redis, min(1, plan.scale))
        for load, targets in CASES:
            plan.say(f"  {load.command}, {load.keys} keys, depth {load.depth}: ", ends=False)
            ours, theirs = in_turn([(respid, load), (redis, load)], plan.rounds, ROUND_SECONDS * plan.scale)
            tables.add(load, targets, ours, theirs)
            if load.depth == 1:
                tables.add_latency(load, targets, *_latencies(plan, respid, redis, load))
            plan.say(f"{_thousands(ours)},000/s, Redis {_thousands(theirs)},000/s")
            if load.command == "INCR":
                for server, rounds in (("respid", ours), ("Redis", theirs)):
                    points[server, load.keys].append((load.depth, median(rounds).requests_per_second))
    return Measured(tables.all(), tuple(Curve(*key, tuple(value)) for key, value in points.items()))


def _latencies(plan: Plan, respid: Server, redis: Server, load: Load) -> list[list[Cost]]:
    """Sends from Python: redis-benchmark reports one p99.9 for all of its rounds, and its start shows in it."""
    keys = random.Random(1)  # noqa: S311 - no secret
    requests = [Batch([frame(load.request(keys.randrange(RANDOM_KEYS)))], 1, 1) for _ in range(SINGLE)]
    with sending(respid, requests) as to_respid, sending(redis, requests) as to_redis:
        return taking_turns((to_respid, to_redis), plan.rounds, LATENCY_SECONDS * plan.scale)


class Tables:
    """The four tables that are filled from one set of rounds."""

    def __init__(self) -> None:
        self.throughput = Table(
            "Throughput",
            "Thousand replies per second, and how much of its core redis-benchmark used for each server. If that core "
            "is full, the server may be faster than shown.",
            (*CASE_COLUMNS, "respid", "Redis", "load, respid", "load, Redis", "respid / Redis"),
            RATIO,
        )
        self.limit = Table(
            "Share of the limit",
            f"The limit of the layout is {LIMIT_PER_SECOND:,} IDs per second and worker.",
            (*CASE_COLUMNS, "IDs per second", "share of the limit"),
            PERCENT,
        )
        self.cpu = Table(
            "CPU time per request",
            "User and system time of the server process in microseconds. It varies far less than throughput.",
            (*CASE_COLUMNS, "respid", "Redis", "respid / Redis"),
            RATIO,
        )
        self.latency = Table(
            "Latency",
            "p50, p99 and p99.9 in milliseconds, as a sender in Python measures them, with one request in flight on "
            "each of 50 open connections. If its core is full, replies also wait for the sender, which brings "
            "the ratio closer to 1.",
            (*CASE_COLUMNS, "respid", "Redis", "load, respid", "load, Redis", "p99.9, respid / Redis"),
            RATIO,
        )

    def all(self) -> tuple[Table, ...]:
        return self.throughput, self.limit, self.cpu, self.latency

    def add(self, load: Load, targets: Targets, ours: list[Cost], theirs: list[Cost]) -> None:
        labels = load.command, load.keys, str(load.depth)

        both = _thousands(ours), _thousands(theirs), load_core(ours), load_core(theirs)
        rated = throughput(ours, theirs, targets.throughput)
        self.throughput.rows.append(Row(labels, both, rated, targets.throughput))
        costs = tuple(f"{median(rounds).server_cpu_us:.2f}" for rounds in (ours, theirs))
        self.cpu.rows.append(Row(labels, costs, ratio(ours, theirs, "server_cpu_us"), targets.cpu))
        if targets.limit:
            share = estimate([each.requests_per_second / LIMIT_PER_SECOND * 100 for each in ours])
            rate = f"{median(ours).requests_per_second:,.0f}"
            self.limit.rows.append(Row(labels, (rate,), share, targets.limit))

    def add_latency(self, load: Load, targets: Targets, ours: list[Cost], theirs: list[Cost]) -> None:
        labels = load.command, load.keys, str(load.depth)
        both = _percentiles(ours), _percentiles(theirs), load_core(ours), load_core(theirs)
        self.latency.rows.append(Row(labels, both, ratio(ours, theirs, "p999_ms"), targets.p999))


def _thousands(rounds: list[Cost]) -> str:
    return f"{median(rounds).requests_per_second / 1000:,.0f}"


def _percentiles(rounds: list[Cost]) -> str:
    medians = median(rounds)
    return f"{medians.p50_ms:.2f}, {medians.p99_ms:.2f}, {medians.p999_ms:.2f}"
