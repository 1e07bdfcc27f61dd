"""Compares what pipelines and transactions of real drivers cost respid and Redis: the programs of tests/clients."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from benchmarks.plan import Plan
from benchmarks.results import RATIO, Measured, Row, Table
from benchmarks.rounds import Cost, median, ratio, taking_turns
from benchmarks.servers import Server, running_redis, running_respid
from tests.clients.drivers import Program, StepError, all_drivers

STEPS = {"pipelines": "pipeline", "transactions": "transaction"}
SIZES = (10, 100, 1_000)
ROUND_SECONDS = 0.1
DRIVERS = (
    "redis-py",
    "redis-py-asyncio",
    "jedis",
    "lettuce",
    "node-redis-6",
    "ioredis-6",
    "go-redis-9",
    "redis-rs",
)


def measure(plan: Plan) -> Measured:
    seconds = ROUND_SECONDS * plan.scale
    table = Table(
        "Pipelines and transactions of drivers",
        "INCRs of one client on one connection: CPU microseconds of the server process per INCR, in "
        f"{plan.rounds} rounds of {seconds * 1000:g} ms. The versions of the drivers are those that `tests/clients` "
        "pins. Drivers that are not installed are left out.",
        ("driver", "sends", "INCRs", "respid", "Redis", "respid / Redis"),
        RATIO,
    )
    with running_respid(plan.cores.server) as respid, running_redis(plan.cores.server) as redis:
        for name in DRIVERS:
            with contextlib.ExitStack() as started:
                try:
                    senders = [started.enter_context(driving(name, server)) for server in (respid, redis)]
                except LookupError as error:
                    plan.say(f"  {error}")
                    continue
                for sent, step in STEPS.items():
                    for size in SIZES:
                        for sender in senders:
                            sender.sends(step, size)
                        ours, theirs = taking_turns(senders, plan.rounds, seconds)
                        shown = tuple(f"{median(costs).server_cpu_us:.2f}" for costs in (ours, theirs))
                        compared = ratio(ours, theirs, "server_cpu_us")
                        table.rows.append(Row((name, sent, f"{size:,}"), shown, compared))
                        plan.say(f"  {name}, {sent} of {size}: CPU {' and '.join(shown)} us")
    return Measured((table,))


class DriverSender:
    """Lets a driver's program send batches, one after the other."""

    def __init__(self, server: Server, program: Program) -> None:
        self.processes = (server.process.pid,)
        self._server = server
        self._program = program
        self._step = ""
        self._size = 0

    def sends(self, step: str, size: int) -> None:
        """Chooses what it sends from now on, and warms it up."""
        self._step, self._size = f"{step} {size}", size
        self.send_for(0)

    def send_for(self, seconds: float) -> Cost:
        cpu, began = self._server.cpu_seconds(), time.perf_counter()
        requests = 0
        while not requests or time.perf_counter() < began + seconds:
            if len(self._program.step(self._step)) != self._size:
                raise RuntimeError(f"not all requests of {self._step} were answered")
            requests += self._size
        elapsed = time.perf_counter() - began
        return Cost(requests / elapsed, self._server.cpu_seconds_since(cpu) / requests * 1e6)


@contextlib.contextmanager
def driving(name: str, server: Server) -> Iterator[DriverSender]:
    """Provides a running program of a driver.

    Raises LookupError if it cannot run here, and RuntimeError if it fails.
    """
    [driver] = [each for each in all_drivers() if each.name == name]
    try:
        program = driver.start(host="127.0.0.1", port=str(server.port))
    except (pytest.skip.Exception, pytest.fail.Exception) as error:
        raise LookupError(f"{name} is left out: {str(error).removeprefix(f'{name} is left out: ')}") from None
    try:
        with program:
            program.step("connect")
            yield DriverSender(server, program)
    except (StepError, AssertionError) as error:
        raise RuntimeError(f"{name}: {error}") from error
