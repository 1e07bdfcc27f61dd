"""Compares respid with Redis for INCR and INCRBY at pipeline depths from 1 to 500."""

import contextlib
from collections import defaultdict
from typing import NamedTuple

from benchmarks.load import Load, fill, in_turn
from benchmarks.plan import LIMIT_PER_SECOND, Plan
from benchmarks.results import PERCENT, RATIO, Curve, Measured, Row, Table, Target, at_least, at_most
from benchmarks.rounds import CORES, Cost, estimate, median, ratio, server_core, taking_turns, throughput
from benchmarks.servers import Server, running_redis, running_respid
from benchmarks.steady import sending_steadily

STEADY_SHARE = 0.5  # of what the slower server can answer: at a low rate, a request takes both of them more CPU time
LATENCY_SECONDS = 0.06  # about 2,500 requests, of which two are above p99.9
LATENCY_ROUNDS = 6  # for each of the plan


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
        fill(redis)
        for load, targets in CASES:
            plan.say(f"  {load.command}, {load.keys} keys, depth {load.depth}: ", ends=False)
            ours, theirs = in_turn(plan, [(respid, load), (redis, load)])
            tables.add(load, targets, ours, theirs)
            if load.depth == 1:
                rate = STEADY_SHARE * min(median(each).requests_per_second for each in (ours, theirs))
                tables.add_latency(load, targets, rate, *_latencies(plan, load, rate, respid, redis))
            plan.say(f"{_thousands(ours)},000/s, Redis {_thousands(theirs)},000/s")
            if load.command == "INCR":
                for server, rounds in (("respid", ours), ("Redis", theirs)):
                    points[server, load.keys].append((load.depth, median(rounds).requests_per_second))
    return Measured(tables.all(), tuple(Curve(*key, tuple(value)) for key, value in points.items()))


def _latencies(plan: Plan, load: Load, per_second: float, *servers: Server) -> list[list[Cost]]:
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(sending_steadily(server, load.batches(), per_second)) for server in servers]
        return taking_turns(senders, LATENCY_ROUNDS * plan.rounds, LATENCY_SECONDS * plan.scale)


class Tables:
    """The four tables that are filled from one set of rounds."""

    def __init__(self) -> None:
        self.throughput = Table(
            "Throughput",
            f"Thousand replies per second, and {CORES}",
            (*CASE_COLUMNS, "respid", "Redis", "core, respid", "core, Redis", "respid / Redis"),
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
            "p50, p99 and p99.9 in milliseconds of single requests on 50 connections in turn, at a fixed rate: half of "
            "what the slower server answers in the table of throughput. The sender does not wait for replies. Figures "
            f"are medians of rounds of {LATENCY_SECONDS * 1000:g} ms, so pauses that are rarer do not show.",
            ("command", "keys", "requests per second", "respid", "Redis", "p99.9, respid / Redis"),
            RATIO,
        )

    def all(self) -> tuple[Table, ...]:
        return self.throughput, self.limit, self.cpu, self.latency

    def add(self, load: Load, targets: Targets, ours: list[Cost], theirs: list[Cost]) -> None:
        labels = load.command, load.keys, str(load.depth)

        both = _thousands(ours), _thousands(theirs), server_core(ours), server_core(theirs)
        rated = throughput(ours, theirs, targets.throughput)
        self.throughput.rows.append(Row(labels, both, rated, targets.throughput))
        costs = tuple(f"{median(rounds).server_cpu_us:.2f}" for rounds in (ours, theirs))
        self.cpu.rows.append(Row(labels, costs, ratio(ours, theirs, "server_cpu_us"), targets.cpu))
        if targets.limit:
            share = estimate([each.requests_per_second / LIMIT_PER_SECOND * 100 for each in ours])
            rate = f"{median(ours).requests_per_second:,.0f}"
            self.limit.rows.append(Row(labels, (rate,), share, targets.limit))

    def add_latency(self, load: Load, targets: Targets, rate: float, ours: list[Cost], theirs: list[Cost]) -> None:
        shown = f"{rate:,.0f}", _percentiles(ours), _percentiles(theirs)
        self.latency.rows.append(Row((load.command, load.keys), shown, ratio(ours, theirs, "p999_ms"), targets.p999))


def _thousands(rounds: list[Cost]) -> str:
    return f"{median(rounds).requests_per_second / 1000:,.0f}"


def _percentiles(rounds: list[Cost]) -> str:
    medians = median(rounds)
    return f"{medians.p50_ms:.2f}, {medians.p99_ms:.2f}, {medians.p999_ms:.2f}"
