"""`python -m benchmarks.costs`: the CPU time of the server per byte that a client sends, by command, for SECURITY.md.

Each case is sent as long pipelines on one connection. The figures are those of the server's process, the kernel's part
of it included.
"""

import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.load import request
from benchmarks.servers import Server, running_respid

PAGE = Path(__file__).parent.parent / "SECURITY.md"
OPENING, CLOSING = "<!-- costs -->\n", "<!-- /costs -->\n"
LEAST_CPU_SECONDS = 0.2  # of a case
MOST_PIPELINED = 100
OTHER_CLIENTS = 1_000  # for CLIENT LIST
END, ENDING = b"ECHO the-end\r\n", b"$7\r\nthe-end\r\n"


@dataclass(frozen=True)
class Case:
    """A request."""

    name: str
    sent: bytes


@dataclass(frozen=True)
class Cost:
    """What one request takes."""

    name: str
    sent_bytes: int
    received_bytes: int
    cpu_us: float

    @property
    def row(self) -> str:
        per_byte = self.cpu_us * 1000 / self.sent_bytes
        return f"| {self.name} | {self.sent_bytes:,} | {self.received_bytes:,} | {self.cpu_us:,.1f} | {per_byte:,.0f} |"


CASES = [
    Case("`INCR key`", request("INCR", "key")),
    Case("`PING`", request("PING")),
    Case("`PING`, inline", b"PING\r\n"),
    Case("50 blank lines and `PING`", b"\r\n" * 50 + b"PING\r\n"),
    Case("an unknown command", request("x")),
    Case("`ECHO`, 10 KB", request("ECHO", "x" * 10_000)),
    Case("`ECHO`, inline with 450 escapes", b'ECHO "' + b"\\x41" * 450 + b'"\r\n'),
    Case("`ID.NEXT`", request("ID.NEXT")),
    Case("`ID.NEXT COUNT 4096`", request("ID.NEXT", "COUNT", "4096")),
    Case("`ID.RANGE 4096000`", request("ID.RANGE", "4096000")),
    Case("`ID.DECODE`, 1,000 IDs", request("ID.DECODE", *["123456789012345"] * 1000)),
    Case("`INFO`", request("INFO")),
    Case("`COMMAND`", request("COMMAND")),
    Case("`COMMAND DOCS`", request("COMMAND", "DOCS")),
    Case("`CONFIG GET`, 1,000 patterns", request("CONFIG", "GET", *["*a*b"] * 1000)),
    Case(f"`CLIENT LIST`, {OTHER_CLIENTS:,} clients", request("CLIENT", "LIST")),
]


def measure(server: Server, case: Case) -> Cost:
    with server.connect() as client:
        client.sendall(case.sent + END)
        reply_bytes = _receive_to_end(client)
        count = max(1, min(MOST_PIPELINED, (1 << 16) // len(case.sent), (1 << 20) // reply_bytes))
        requests, before = 0, server.cpu_seconds()
        while server.cpu_seconds() - before < LEAST_CPU_SECONDS:
            client.sendall(case.sent * count + END)
            _receive_to_end(client)
            requests += count
        cpu_us = (server.cpu_seconds() - before) / requests * 1e6
    return Cost(case.name, len(case.sent), reply_bytes, cpu_us)


def _receive_to_end(client: socket.socket) -> int:
    """Reads until the reply to END; returns how many bytes came before it."""
    size, tail = 0, b""
    while not tail.endswith(ENDING):
        received = client.recv(1 << 20)
        if not received:
            raise EOFError("the server closed the connection")
        size += len(received)
        tail = (tail + received)[-len(ENDING) :]
    return size - len(ENDING)


def main() -> None:
    cores = machine.Cores.of_this_process()
    with running_respid(cores.server) as server:
        others = [server.connect() for _ in range(OTHER_CLIENTS)]
        for other in others:
            other.sendall(request("PING"))
            other.recv(100)
        rows = [measure(server, case).row for case in CASES]
        for other in others:
            other.close()
    table = "\n".join(
        [
            "| request | bytes sent | bytes of the reply | CPU time, µs | CPU time per byte sent, ns |",
            "|---|--:|--:|--:|--:|",
            *rows,
        ]
    )
    shown = dict(machine.describe())
    conditions = ("CPU", "Python", "uvloop", "Load average at the start")
    table = "; ".join(f"{name}: {shown[name]}" for name in conditions) + ".\n\n" + table
    if "--write" in sys.argv:
        before, _, rest = PAGE.read_text().partition(OPENING)
        PAGE.write_text(before + OPENING + table + "\n" + CLOSING + rest.partition(CLOSING)[2])
    print(table)  # noqa: T201 - a program


if __name__ == "__main__":
    main()
