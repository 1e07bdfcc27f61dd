"""Measures the same pipelines sent whole, and cut into pieces of 1,448 bytes as networks deliver them."""

import contextlib
from dataclasses import replace

from benchmarks.load import Load
from benchmarks.plan import Plan
from benchmarks.results import RATIO, Measured, Row, Table
from benchmarks.rounds import Cost, median, ratio, taking_turns
from benchmarks.sender import Batches, sending
from benchmarks.servers import running_redis, running_respid

SEGMENT_BYTES = 1448  # payload of a TCP segment in an Ethernet frame
DEPTHS = (100, 500)


def measure(plan: Plan) -> Measured:
    table = Table(
        f"Requests cut at {SEGMENT_BYTES:,} bytes",
        "INCR with random keys on 50 connections. Each batch is written whole, or in pieces as a network would deliver "
        "it. Thousand replies per second; in brackets, CPU microseconds per request.",
        ("server", "depth", "whole", "cut", "CPU, cut / whole"),
        RATIO,
    )
    with running_respid(plan.cores.server) as respid, running_redis(plan.cores.server) as redis:
        for depth in DEPTHS:
            for server in (respid, redis):
                with contextlib.ExitStack() as stack:
                    load = Load("INCR", "random", depth)
                    both = load.batches(), in_pieces(load.batches())
                    senders = [stack.enter_context(sending(server, batches)) for batches in both]
                    costs = taking_turns(senders, *plan.rounds_of(depth))
                shown = tuple(_shown(median(each)) for each in costs)
                table.rows.append(Row((server.name, str(depth)), shown, ratio(costs[1], costs[0], "server_cpu_us")))
                plan.say(f"  depth {depth}, {server.name}: whole {shown[0]}, cut {shown[1]}")
    return Measured((table,))


def in_pieces(batches: Batches) -> Batches:
    cut = ([piece for whole in batch for piece in pieces(whole)] for batch in batches.series)
    return replace(batches, series=cut)


def pieces(batch: bytes | memoryview) -> list[bytes | memoryview]:
    return [batch[start : start + SEGMENT_BYTES] for start in range(0, len(batch), SEGMENT_BYTES)]


def _shown(cost: Cost) -> str:
    return f"{cost.requests_per_second / 1000:,.0f} ({cost.server_cpu_us:.2f})"
