"""Measures the gain of each optimisation of the hot path: respid as it is against respid without it."""

from benchmarks.load import Load, in_turn
from benchmarks.plan import Plan
from benchmarks.results import Measured, Row, Table
from benchmarks.rounds import median, ratio
from benchmarks.servers import running_respid
from benchmarks.without import OPTIMISATIONS

CASES = {
    "one in flight": Load("INCR", "random", 1),
    "pipelines of 16": Load("INCR", "random", 16),
    "pipelines of 100": Load("INCR", "random", 100),
}


def measure(plan: Plan) -> Measured:
    table = Table(
        "Gain of each optimisation",
        "CPU time per request of respid as it is, and without one optimisation. The two take turns. INCR, random keys, "
        "50 connections.",
        ("without", "load", "as it is, µs", "without, µs", "CPU, without / as it is"),
        "{:.2f} x",
    )
    with running_respid(plan.cores.server) as whole:
        for name in OPTIMISATIONS:
            with running_respid(plan.cores.server, "-m", "benchmarks.without", name) as lacking:
                for case, load in CASES.items():
                    rounds = in_turn(plan, [(whole, load), (lacking, load)])
                    costs = tuple(f"{median(each).server_cpu_us:.2f}" for each in rounds)
                    table.rows.append(Row((name, case), costs, ratio(rounds[1], rounds[0], "server_cpu_us")))
                    plan.say(f"  without {name}, {case}: {costs[1]} instead of {costs[0]} µs")
    return Measured((table,))
