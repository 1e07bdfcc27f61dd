"""Measures the same pipelines sent whole, and cut into pieces of 1,448 bytes as networks deliver them.

redis-benchmark cannot cut requests, so a sender in Python does.
"""

import contextlib
import itertools
import random

from benchmarks.load import RANDOM_KEYS
from benchmarks.plan import Plan
from benchmarks.results import RATIO, Measured, Row, Table
from benchmarks.rounds import Cost, median, ratio, taking_turns
from benchmarks.sender import Batch, sending
from benchmarks.servers import running_redis, running_respid

SEGMENT_BYTES = 1448  # payload of a TCP segment in an Ethernet frame
ROUND_SECONDS = 0.2
DEPTHS = (100, 500)
BATCHES = 64  # different batches, sent in rotation


def measure(plan: Plan) -> Measured:
    table = Table(
        f"Requests cut at {SEGMENT_BYTES:,} bytes",
        "INCR with random keys on 50 connections. A sender in Python writes each batch whole, or in pieces as a "
        "network would deliver it. Thousand replies per second; in brackets, CPU microseconds per request.",
        ("server", "depth", "whole", "cut", "CPU, cut / whole"),
        RATIO,
    )
    with running_respid(plan.cores.server) as respid, running_redis(plan.cores.server) as redis:
        for depth in DEPTHS:
            whole = batches(depth)
            cut = [[piece for batch in sent for piece in pieces(batch)] for sent in whole]
            for server in (respid, redis):
                with contextlib.ExitStack() as stack:
                    prepared = [[Batch(each, depth, depth) for each in sent] for sent in (whole, cut)]
                    senders = [stack.enter_context(sending(server, each)) for each in prepared]
                    costs = taking_turns(senders, plan.rounds, ROUND_SECONDS * plan.scale)
                shown = tuple(_shown(median(each)) for each in costs)
                table.rows.append(Row((server.name, str(depth)), shown, ratio(costs[1], costs[0], "server_cpu_us")))
                plan.say(f"  depth {depth}, {server.name}: whole {shown[0]}, cut {shown[1]}")
    return Measured((table,))


def batches(depth: int) -> list[list[bytes]]:
    """Returns batches of INCRs with the keys that redis-benchmark uses. Each batch is a list of one piece."""
    keys = random.Random(depth)  # noqa: S311 - no secret
    frames = (b"*2\r\n$4\r\nINCR\r\n$16\r\nkey:%012d\r\n" % keys.randrange(RANDOM_KEYS) for _ in itertools.count())
    return [[b"".join(itertools.islice(frames, depth))] for _ in range(BATCHES)]


def pieces(batch: bytes) -> list[bytes]:
    return [batch[start : start + SEGMENT_BYTES] for start in range(0, len(batch), SEGMENT_BYTES)]


def _shown(cost: Cost) -> str:
    return f"{cost.requests_per_second / 1000:,.0f} ({cost.server_cpu_us:.2f})"
