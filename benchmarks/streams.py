"""Compares respid with Redis for the requests other than INCR that drivers send, whole and as networks cut them."""

import contextlib
import itertools
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.cut import pieces
from benchmarks.load import frame
from benchmarks.plan import LIMIT_PER_SECOND, LONG_PIPELINE, Plan
from benchmarks.results import RATIO, Measured, Row, Table, Target, at_least, at_most
from benchmarks.rounds import CORES, Cost, estimate, median, ratio, server_core, taking_turns, throughput
from benchmarks.sender import Batches, sending
from benchmarks.servers import Server, running_redis, running_respid

CONNECTIONS = 8
DEPTHS = (1, 16, 100, 500)
BLOCK_IDS = 100


class Stream(NamedTuple):
    """Requests that repeat. `redis` is the nearest command that Redis has, if it lacks this one."""

    requests: tuple[str, ...]
    redis: tuple[str, ...] = ()
    reply_lines: int = 1  # of a reply of respid
    ids: int = 1  # that a request draws
    in_multi: bool = False
    cut: bool = False
    fails: bool = False  # whether some of its requests get errors
    target: Target | None = at_least(1)

    def target_at(self, depth: int) -> Target | None:
        """A short transaction costs two more requests, MULTI and EXEC."""
        return at_least(0.8) if self.in_multi and self.target and depth < LONG_PIPELINE else self.target

    def batches(self, depth: int, server: Server) -> Batches:
        is_redis = server.name == "Redis"
        words = self.redis if is_redis and self.redis else self.requests
        sent = b"".join(frame(words[place % len(words)]) for place in range(depth))
        lines = depth * (1 if is_redis and self.redis else self.reply_lines)
        if self.in_multi:
            sent, lines = frame("MULTI") + sent + frame("EXEC"), depth + lines + 2
        return Batches(itertools.repeat(pieces(sent) if self.cut else [sent]), depth, lines, self.fails)

    def cpu_target_at(self, depth: int) -> Target | None:
        """Returns the target in microseconds per block."""
        return at_most(2) if self.ids > 1 and depth >= LONG_PIPELINE else None

    @property
    def limit(self) -> float:
        """The most requests per second that the layout has IDs for."""
        return LIMIT_PER_SECOND / 4096 * (4096 // self.ids) if self.ids else float("inf")


LIMITER = ("INCR orders", "EXPIRE orders 60")

# The last ones deceive the fast path: each request promises a run that is none.
STREAMS = {
    "INCR": Stream(("INCR orders",)),
    "ID.NEXT": Stream(("ID.NEXT",), ("INCR orders",)),
    "ID.NEXT AS STRING": Stream(("ID.NEXT AS STRING",), ("INCR orders",), reply_lines=2),
    "INCRBYFLOAT": Stream(("INCRBYFLOAT orders 1",), reply_lines=2),
    "HINCRBY": Stream(("HINCRBY counters orders 1",)),
    f"INCRBY {BLOCK_IDS}": Stream((f"INCRBY orders {BLOCK_IDS}",), ids=BLOCK_IDS),
    "INCR, keys of any length": Stream(tuple(f"INCR {'k' * (1 + place * 7 % 23)}" for place in range(23))),
    "MULTI, INCRs, EXEC": Stream(("INCR orders",), in_multi=True),
    "the same, cut": Stream(("INCR orders",), in_multi=True, cut=True),
    "INCR and EXPIRE in turn": Stream(LIMITER, target=None),
    "MULTI, these, EXEC": Stream(LIMITER, in_multi=True, target=None),
    "INCRBY, increments differ": Stream(
        tuple(f"INCRBY orders {ids}" for less in range(1, 20) for ids in (20 - less, 20 + less)), ids=20, target=None
    ),
    "INCR twice, then PING": Stream(("INCR orders", "INCR orders", "PING"), target=None),
}


def measure(plan: Plan) -> Measured:
    rates_table = Table(
        "What drivers send",
        f"{CONNECTIONS} connections; the depth is the number of requests that are sent at once. Thousand requests per "
        f"second, and {CORES}",
        ("stream", "depth", "respid", "Redis", "core, respid", "core, Redis", "respid / Redis"),
        RATIO,
    )
    cpu = Table(
        "CPU time of what drivers send",
        "User and system time of the server process in microseconds per request.",
        ("stream", "depth", "respid", "Redis", "respid / Redis"),
        RATIO,
    )
    blocks = Table(
        "CPU time of blocks",
        "The same for blocks of IDs alone. Redis only counts, so the target is an amount of time. Blocks of "
        f"{BLOCK_IDS} are requested at the limit of the layout, so the server mostly waits if pipelines are long. "
        "Short ones have no target. A round may use IDs of the milliseconds in which it begins and ends, so it may get "
        "those of one millisecond more than the limit.",
        ("stream", "depth", "of the limit", "CPU time per block"),
        "{:.2f} µs",
    )
    with running_respid(plan.cores.server) as respid, running_redis(plan.cores.server) as redis:
        for name, depth in cases(STREAMS):
            stream = STREAMS[name]
            ours, theirs = in_turn(plan, stream, depth, respid, redis)
            target = stream.target_at(depth)
            costs = median(ours), median(theirs)
            rates = tuple(f"{cost.requests_per_second / 1000:,.0f}" for cost in costs)
            rated = throughput(ours, theirs, target, stream.limit)
            loads = server_core(ours), server_core(theirs)
            rates_table.rows.append(Row((name, str(depth)), (*rates, *loads), rated, target))
            shown = tuple(f"{cost.server_cpu_us:.2f}" for cost in costs)
            cpu.rows.append(Row((name, str(depth)), shown, ratio(ours, theirs, "server_cpu_us")))
            if stream.ids > 1:
                share = f"{costs[0].requests_per_second / stream.limit * 100:.1f} %"
                cost = estimate([each.server_cpu_us for each in ours])
                blocks.rows.append(Row((name, str(depth)), (share,), cost, stream.cpu_target_at(depth)))
            plan.say(f"  {name}, depth {depth}: {rates[0]},000/s, Redis {rates[1]},000/s; CPU {' and '.join(shown)} us")
    return Measured((rates_table, cpu, blocks))


def cases(streams: Mapping[str, Stream]) -> list[tuple[str, int]]:
    """Returns each stream with each depth that it can have."""
    return [(name, depth) for name, stream in streams.items() for depth in DEPTHS if depth > 1 or not stream.in_multi]


def in_turn(plan: Plan, stream: Stream, depth: int, *servers: Server) -> list[list[Cost]]:
    """Sends the stream to the servers in turn. Returns the costs of each."""
    with contextlib.ExitStack() as stack:
        senders = [
            stack.enter_context(sending(server, stream.batches(depth, server), CONNECTIONS)) for server in servers
        ]
        return taking_turns(senders, *plan.rounds_of(depth))
