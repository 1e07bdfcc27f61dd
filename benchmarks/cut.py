"""Measures the same pipelines sent whole, and cut into pieces of 1,448 bytes as networks deliver them.

redis-benchmark cannot cut requests, so this module sends prepared frames itself. It counts the replies without parsing
them.
"""

import itertools
import random
import selectors
import socket
import statistics
import time
from typing import NamedTuple

from benchmarks.plan import Plan
from benchmarks.results import RATIO, Measured, Row, Table
from benchmarks.servers import Server, running_redis, running_respid

SEGMENT_BYTES = 1448  # payload of a TCP segment in an Ethernet frame
ROUND_SECONDS = 1.0
CONNECTIONS = 50
DEPTHS = (100, 500)
BATCHES = 64  # different batches, sent in rotation
RANDOM_KEYS = 1_000_000


class Cost(NamedTuple):
    """The result of one round."""

    requests_per_second: float
    server_cpu_us: float


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
            costs: dict[tuple[str, str], list[Cost]] = {}
            for _ in range(plan.rounds):
                for server, (name, sent) in itertools.product((respid, redis), (("whole", whole), ("cut", cut))):
                    cost = _round(server, sent, depth, ROUND_SECONDS * plan.scale)
                    costs.setdefault((server.name, name), []).append(cost)
            for server in (respid, redis):
                uncut, pieced = (_medians(costs[server.name, name]) for name in ("whole", "cut"))
                ratio = pieced.server_cpu_us / uncut.server_cpu_us
                table.rows.append(Row((server.name, str(depth)), (_shown(uncut), _shown(pieced)), ratio))
                plan.say(f"  depth {depth}, {server.name}: whole {_shown(uncut)}, cut {_shown(pieced)}")
    return Measured((table,))


def batches(depth: int) -> list[list[bytes]]:
    """Returns batches of INCRs with the keys that redis-benchmark uses. Each batch is a list of one piece."""
    keys = random.Random(depth)  # noqa: S311 - no secret
    frames = (b"*2\r\n$4\r\nINCR\r\n$16\r\nkey:%012d\r\n" % keys.randrange(RANDOM_KEYS) for _ in itertools.count())
    return [[b"".join(itertools.islice(frames, depth))] for _ in range(BATCHES)]


def pieces(batch: bytes) -> list[bytes]:
    return [batch[start : start + SEGMENT_BYTES] for start in range(0, len(batch), SEGMENT_BYTES)]


def _round(server: Server, sent: list[list[bytes]], depth: int, seconds: float) -> Cost:
    """Keeps one batch in flight on each connection until the time is up and all batches are answered."""
    turns = itertools.cycle(sent)
    missing: dict[socket.socket, int] = {}
    with selectors.DefaultSelector() as selector:
        connections = [server.connect() for _ in range(CONNECTIONS)]
        cpu, began, answered = server.cpu_seconds(), time.monotonic(), 0
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ, connection)
            _send(connection, next(turns))
            missing[connection] = depth
        while missing:
            for key, _ in selector.select(10):
                connection = key.data
                missing[connection] -= _replies(connection)
                if missing[connection] == 0:
                    answered += depth
                    del missing[connection]
                    if time.monotonic() < began + seconds:
                        _send(connection, next(turns))
                        missing[connection] = depth
        elapsed, used = time.monotonic() - began, server.cpu_seconds() - cpu
    for connection in connections:
        connection.close()
    return Cost(answered / elapsed, used / answered * 1e6)


def _send(connection: socket.socket, batch: list[bytes]) -> None:
    for piece in batch:
        connection.sendall(piece)


def _replies(connection: socket.socket) -> int:
    """Returns the number of lines received. Each reply to INCR is one line. Raises RuntimeError for an error."""
    read = connection.recv(1 << 18)
    if not read or b"-" in read:
        raise RuntimeError(f"INCR was answered with {read[:100]!r}")
    return read.count(b"\n")


def _medians(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def _shown(cost: Cost) -> str:
    return f"{cost.requests_per_second / 1000:,.0f} ({cost.server_cpu_us:.2f})"
