"""Measures how long one client takes to draw a million IDs in each of the ways that docs/bulk.md compares.

Run it with `.venv/bin/python -m benchmarks.million`. Not part of `scripts/bench`: the client costs most of the time.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import click
import redis

from benchmarks.machine import Cores, pinned_to
from benchmarks.servers import Server, running_respid

IDS = 1_000_000
PIPELINED = 1_000
ROUNDS = 3


class Way(NamedTuple):
    """One way to draw IDs. `draw` draws a number of IDs and returns how many it got."""

    name: str
    draw: Callable[[redis.Redis, int], int]
    ids: int = IDS  # fewer for a slow way, whose time is scaled


def incr(client: redis.Redis, count: int) -> int:
    return len([client.incr("orders") for _ in range(count)])


def pipelines(client: redis.Redis, count: int) -> int:
    drawn = 0
    for _ in range(count // PIPELINED):
        pipeline = client.pipeline(transaction=False)
        for _ in range(PIPELINED):
            pipeline.incr("orders")
        drawn += len(pipeline.execute())
    return drawn


def blocks(size: int) -> Callable[[redis.Redis, int], int]:
    def draw(client: redis.Redis, count: int) -> int:
        drawn = 0
        while drawn < count:
            last = client.incrby("orders", size)
            drawn += len(range(last - size + 1, last + 1))
        return drawn

    return draw


def count_ids(client: redis.Redis, count: int) -> int:
    return len(_ask(client, "ID.NEXT", "COUNT", count))


def ranges(client: redis.Redis, count: int) -> int:
    return sum(length for _, length in _ask(client, "ID.RANGE", count))


def _ask(client: redis.Redis, *arguments: str | int) -> Any:
    return client.execute_command(*arguments)  # type: ignore[no-untyped-call]


WAYS = (
    Way("`INCR`, one at a time", incr, IDS // 50),
    Way(f"`INCR` in pipelines of {PIPELINED:,}", pipelines),
    Way("`INCRBY` blocks of 100", blocks(100)),
    Way("`INCRBY` blocks of 1,000", blocks(1_000)),
    Way("`INCRBY` blocks of 4,096", blocks(4_096)),
    Way("`ID.NEXT COUNT`", count_ids),
    Way("`ID.RANGE`", ranges),
)


class Cost(NamedTuple):
    """The cost of a million IDs. CPU time hardly depends on what else the machine does; the elapsed time does."""

    seconds: float
    client_cpu_seconds: float
    server_cpu_seconds: float


def measure(server: Server, way: Way) -> Cost:
    """The medians of some rounds."""
    rounds = [_draw(server, way) for _ in range(ROUNDS)]
    return Cost(*(statistics.median(values) for values in zip(*rounds, strict=True)))


def _draw(server: Server, way: Way) -> Cost:
    with redis.Redis(port=server.port, socket_timeout=600) as client:
        client.ping()
        before = Cost(time.perf_counter(), time.process_time(), server.cpu_seconds())
        drawn = way.draw(client, way.ids)
        after = Cost(time.perf_counter(), time.process_time(), server.cpu_seconds())
    return Cost(*((end - start) * IDS / drawn for start, end in zip(before, after, strict=True)))


def main() -> None:
    cores = Cores.of_this_process()
    click.echo("| a million IDs by | seconds | CPU seconds of the client | CPU seconds of the server |")
    click.echo("|---|---:|---:|---:|")
    with running_respid(cores.server) as server, pinned_to(cores.load):
        for way in WAYS:
            cost = measure(server, way)
            shown = " | ".join(f"{value:.2f}" for value in cost)
            click.echo(f"| {way.name} | {shown} |")


if __name__ == "__main__":
    main()
