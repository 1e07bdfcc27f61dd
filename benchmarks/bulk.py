"""Measures ID.NEXT COUNT and ID.RANGE with the maximum number of IDs, and their effect on another client."""

import math
import selectors
import socket
import statistics
import time
from typing import NamedTuple

from benchmarks.plan import LIMIT_PER_SECOND, Plan
from benchmarks.results import Measured, Row, Table, at_least, below
from benchmarks.rounds import percentile
from benchmarks.servers import Server, running_respid

MOST = 4_096_000
FEWER_ROUNDS = 1 / 5  # for each of the plan, because a request takes a second
PING_EVERY_SECONDS = 0.001
READ_BYTES = 1 << 20
MIB = 1 << 20

SHARE = at_least(95)
MEMORY = below(16)
PING = below(5)
RANGE_SHARE = at_least(99)
RANGE_CPU = below(10)


class Stream(NamedTuple):
    """The cost of one ID.NEXT COUNT."""

    seconds: float
    grown_bytes: int  # peak of the server's memory above its value before the request
    ping_p99_ms: float


def measure(plan: Plan) -> Measured:
    count = max(4096, round(MOST * plan.scale))
    with running_respid(plan.cores.server) as respid, respid.connect() as client, respid.connect() as pinging:
        rounds = math.ceil(plan.rounds * FEWER_ROUNDS)
        plan.say(f"  ID.NEXT COUNT {count}")
        streams = [_stream(respid, client, pinging, count) for _ in range(rounds)]
        plan.say(f"  ID.RANGE {count}")
        ranges = [_range(respid, client, count) for _ in range(rounds)]
    return Measured((_table(count, streams, ranges),))


def _table(count: int, streams: list[Stream], ranges: list[tuple[float, float]]) -> Table:
    def median(values: list[float]) -> float:
        return statistics.median(values)

    grown = median([each.grown_bytes / MIB for each in streams])
    ping = median([each.ping_p99_ms for each in streams])
    share, range_share = (
        median([count / seconds for seconds in times]) / LIMIT_PER_SECOND * 100
        for times in ([each.seconds for each in streams], [seconds for seconds, _ in ranges])
    )
    cpu = median([cpu / seconds * 100 for seconds, cpu in ranges])
    bulk, pairs = f"`ID.NEXT COUNT {count}`", f"`ID.RANGE {count}`"
    return Table(
        "Bulk requests",
        f"Medians of {len(streams)} requests. During `ID.NEXT COUNT`, another client sends a PING every millisecond. "
        "Memory is the peak of the server's resident set above its value before the request.",
        ("request", "measurement", "result"),
        "{:.1f} %",
        [
            Row((bulk, "share of the limit"), (), share, SHARE),
            Row((bulk, "additional memory"), (), grown, MEMORY, "{:.1f} MiB"),
            Row((bulk, "p99 of the other client's PING"), (), ping, PING, "{:.2f} ms"),
            Row((pairs, "share of the limit"), (), range_share, RANGE_SHARE),
            Row((pairs, "CPU, share of a core"), (), cpu, RANGE_CPU),
        ],
    )


def _stream(respid: Server, client: socket.socket, pinging: socket.socket, count: int) -> Stream:
    before = respid.resident_bytes()
    respid.reset_peak()
    began = time.monotonic()
    client.sendall(b"ID.NEXT COUNT %d\r\n" % count)
    pings = _pings_until_lines(client, pinging, count + 1)
    seconds = time.monotonic() - began
    return Stream(seconds, respid.peak_resident_bytes() - before, percentile(pings, 99) * 1000)


def _range(respid: Server, client: socket.socket, count: int) -> tuple[float, float]:
    """Returns the duration and the server's CPU time, both in seconds."""
    cpu, began = respid.cpu_seconds(), time.monotonic()
    client.sendall(b"ID.RANGE %d\r\n" % count)
    _read_range(client)
    return time.monotonic() - began, respid.cpu_seconds() - cpu


def _read_range(client: socket.socket) -> None:
    with client.makefile("rb") as replies:
        header = replies.readline()
        if not header.startswith(b"*"):
            raise RuntimeError(f"not an array: {header!r}")
        for _ in range(3 * int(header[1:])):  # "*2", first, count
            replies.readline()


def _pings_until_lines(client: socket.socket, pinging: socket.socket, lines: int) -> list[float]:
    """Reads this many lines from the client. Returns the seconds that each PING of the other client took meanwhile."""
    pings: list[float] = []
    buffer = memoryview(bytearray(READ_BYTES))
    sent = _ping(pinging)
    waiting = True
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ)
        selector.register(pinging, selectors.EVENT_READ)
        while lines > 0:
            ready = {key.fileobj for key, _ in selector.select(PING_EVERY_SECONDS)}
            if pinging in ready:
                if pinging.recv(64) != b"+PONG\r\n":
                    raise RuntimeError("PING was not answered with PONG")
                pings.append(time.monotonic() - sent)
                waiting = False
            if client in ready:
                lines -= _count_lines(client, buffer)
            if not waiting and time.monotonic() >= sent + PING_EVERY_SECONDS:
                sent, waiting = _ping(pinging), True
    if waiting:
        pinging.recv(64)
        pings.append(time.monotonic() - sent)
    return pings


def _ping(connection: socket.socket) -> float:
    sent = time.monotonic()
    connection.sendall(b"PING\r\n")
    return sent


def _count_lines(client: socket.socket, buffer: memoryview) -> int:
    read = client.recv_into(buffer)
    if read == 0:
        raise RuntimeError("respid closed the connection")
    return buffer[:read].tobytes().count(b"\n")
