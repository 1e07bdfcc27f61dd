"""Compares respid with Redis and with a stripped server for commands that have constant or short replies.

Streams of a single command are runs. Those of several commands in turn take the general path.
"""

from benchmarks.plan import Plan
from benchmarks.results import RATIO, Measured, Row, Table, at_least, at_most
from benchmarks.rounds import CORES, Cost, estimate, median, ratio, server_core
from benchmarks.servers import running_redis, running_respid, running_stripped
from benchmarks.streams import CONNECTIONS, STREAMS, Stream, in_turn

DEPTHS = (1, 16, 100)

FOUR = ("PING", "GET missing", "EXISTS missing", "TTL missing")
SHORT_REPLIES = {
    **{words.split()[0]: Stream((words,), ids=0, target=None) for words in FOUR},
    "these four in turn": Stream(FOUR, ids=0, target=None),
    "INCR and PING in turn": Stream(("INCR orders", "PING"), target=None),
    "HINCRBY": STREAMS["HINCRBY"],
}

THROUGHPUT = at_least(0.95)  # of Redis, at depth 1
CPU = at_most(1.5)  # of the stripped server, at depth 16
LONG_CPU = at_most(1.5)  # microseconds, at depth 100


def measure(plan: Plan) -> Measured:
    tables = Tables()
    core = plan.cores.server
    with running_respid(core) as respid, running_stripped(core) as stripped, running_redis(core) as redis:
        for name, stream in SHORT_REPLIES.items():
            for depth in DEPTHS:
                costs = in_turn(plan, stream, depth, respid, stripped, redis)
                tables.add(name, depth, *costs)
                shown = ", ".join(f"{median(each).server_cpu_us:.2f}" for each in costs)
                plan.say(f"  {name}, depth {depth}: CPU {shown} us (respid, stripped, Redis)")
    return Measured((tables.throughput, tables.cpu, tables.long))


class Tables:
    """The three tables that are filled from one set of rounds."""

    def __init__(self) -> None:
        self.throughput = Table(
            "Short replies, one request in flight",
            f"{CONNECTIONS} connections. Thousand requests per second, and {CORES}",
            ("stream", "respid", "Redis", "core, respid", "core, Redis", "respid / Redis"),
            RATIO,
        )
        self.cpu = Table(
            "CPU time of short replies",
            "User and system time of the server process in microseconds per request. The stripped server consists of "
            "uvloop, hiredis and a table of constant replies.",
            ("stream", "depth", "respid", "stripped", "Redis", "respid / stripped"),
            RATIO,
        )
        self.long = Table(
            "CPU time of short replies in pipelines of 100",
            "The same figures of respid, with another target.",
            ("stream", "respid"),
            "{:.2f} µs",
        )

    def add(self, name: str, depth: int, ours: list[Cost], stripped: list[Cost], redis: list[Cost]) -> None:
        our, least, their = (median(each) for each in (ours, stripped, redis))
        if depth == 1:
            rates = tuple(f"{cost.requests_per_second / 1000:,.0f}" for cost in (our, their))
            loads = server_core(ours), server_core(redis)
            rated = ratio(ours, redis, "requests_per_second")  # far below the limit of the layout
            self.throughput.rows.append(Row((name,), (*rates, *loads), rated, THROUGHPUT))
        shown = tuple(f"{cost.server_cpu_us:.2f}" for cost in (our, least, their))
        target = CPU if depth == 16 else None
        self.cpu.rows.append(Row((name, str(depth)), shown, ratio(ours, stripped, "server_cpu_us"), target))
        if depth == DEPTHS[-1]:
            self.long.rows.append(Row((name,), (), estimate([each.server_cpu_us for each in ours]), LONG_CPU))
