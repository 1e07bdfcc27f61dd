"""Measures how fast respid starts, and what it uses while it is idle."""

import statistics
import time

from benchmarks.plan import Plan
from benchmarks.results import Measured, Row, Table, below
from benchmarks.servers import running_respid

STARTS = 7
IDLE_SECONDS = 10
SETTLE_SECONDS = 1.0
MIB = 1 << 20

READY = below(300)
MEMORY = below(45)
CPU = below(0.5)


def measure(plan: Plan) -> Measured:
    plan.say(f"  {STARTS} starts")
    _start(plan)  # writes the bytecode
    starts = [_start(plan) for _ in range(STARTS)]
    seconds = max(1.0, IDLE_SECONDS * plan.scale)
    plan.say(f"  idle for {seconds:.0f} s")
    with running_respid(plan.cores.server) as respid:
        time.sleep(SETTLE_SECONDS)
        before, began = respid.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        share = (respid.cpu_seconds() - before) / (time.monotonic() - began) * 100
        memory = respid.resident_bytes() / MIB
    table = Table(
        "Start and idle",
        f"With the file store. Startup time is the median of {STARTS} starts, with the bytecode that pip installs; CPU "
        f"is measured over {seconds:.0f} s without clients.",
        ("measurement", "result"),
        "{:.0f} ms",
        [
            Row(("from exec until `/readyz` returns 200",), (), statistics.median(starts) * 1000, READY),
            Row(("resident set",), (), memory, MEMORY, "{:.1f} MiB"),
            Row(("CPU, share of a core",), (), share, CPU, "{:.2f} %"),
        ],
    )
    return Measured((table,))


def _start(plan: Plan) -> float:
    with running_respid(plan.cores.server) as respid:
        return respid.start_seconds
