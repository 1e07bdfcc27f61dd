"""Measures the memory of idle connections, and the throughput of 500 busy ones among 10,000."""

import contextlib
from collections.abc import Iterator

from benchmarks.load import Load, in_turn
from benchmarks.plan import Plan
from benchmarks.results import RATIO, Measured, Row, Table, Target, at_least, below
from benchmarks.rounds import median, ratio
from benchmarks.servers import Server, raise_open_file_limit, running_redis, running_respid

MOST = 10_000  # connections; the default maximum of both servers
FEW, MANY = 50, 500  # busy connections
DEPTHS = (1, 16)
SPARE_FILES = 100  # open files other than connections
KIB = 1024

MEMORY = below(12)
KEPT = at_least(0.85)


def measure(plan: Plan) -> Measured:
    limit = raise_open_file_limit() - SPARE_FILES
    idle = max(10, round(min(MOST - MANY, limit) * min(1, plan.scale)))
    memory = Table(
        "Memory of an idle connection",
        f"{idle:,} connections, each after one INCR.",
        ("server", "resident set before, MiB", "with connections, MiB", "per connection"),
        "{:.1f} KiB",
    )
    kept = Table(
        "Many connections",
        f"Thousand replies per second with {FEW} connections only, and with {MANY} busy connections next to "
        f"{idle:,} idle ones. Fixed key.",
        ("server", "depth", f"{FEW} busy", f"{MANY} busy", f"{MANY} / {FEW}"),
        RATIO,
    )
    for start in (running_respid, running_redis):
        with start(plan.cores.server) as calm, start(plan.cores.server) as crowded:
            ours = calm.name == "respid"
            before = crowded.resident_bytes()
            plan.say(f"  {calm.name}: {idle:,} idle connections")
            with _idle_connections(crowded, idle):
                after = crowded.resident_bytes()
                sizes = f"{before / KIB**2:.1f}", f"{after / KIB**2:.1f}"
                memory.rows.append(Row((calm.name,), sizes, (after - before) / idle / KIB, MEMORY if ours else None))
                kept.rows += [_kept(plan, calm, crowded, depth, KEPT if ours else None) for depth in DEPTHS]
    return Measured((memory, kept))


def _kept(plan: Plan, calm: Server, crowded: Server, depth: int, target: Target | None) -> Row:
    plan.say(f"  {calm.name}: depth {depth}, {FEW} and {MANY} busy connections")
    loads = [(calm, Load("INCR", "fixed", depth, FEW)), (crowded, Load("INCR", "fixed", depth, MANY))]
    rounds = in_turn(plan, loads)
    few, many = rounds
    figures = tuple(f"{median(each).requests_per_second / 1000:,.0f}" for each in rounds)
    return Row((calm.name, str(depth)), figures, ratio(many, few, "requests_per_second"), target)


@contextlib.contextmanager
def _idle_connections(server: Server, number: int) -> Iterator[None]:
    with contextlib.ExitStack() as opened:
        connections = [opened.enter_context(server.connect()) for _ in range(number)]
        for connection in connections:
            connection.sendall(b"*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n")
            if not connection.recv(64).startswith(b":"):
                raise RuntimeError("INCR was not answered with a number")
        yield
