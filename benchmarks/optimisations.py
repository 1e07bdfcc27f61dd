"""What each optimisation of the hot path buys: respid as it is beside respid without one of them."""

from benchmarks.load import Load, median, run
from benchmarks.plan import Plan
from benchmarks.results import Measured, Row, Table
from benchmarks.servers import Server, running_respid
from benchmarks.without import OPTIMISATIONS

CASES = {
    "one in flight": Load("INCR", "random", 1),
    "pipelines of 16": Load("INCR", "random", 16),
    "pipelines of 100": Load("INCR", "random", 100),
}
REQUESTS = {1: 40_000, 16: 500_000, 100: 1_500_000}


def measure(plan: Plan) -> Measured:
    table = Table(
        "What each optimisation buys",
        "CPU time a request of a respid without one of them, and how many times that is of respid as it is; "
        "the two take turns. INCR, random keys, 50 connections.",
        ("without", "load", "as it is, µs", "without, µs", "CPU, without / as it is"),
        "{:.2f} x",
    )
    with running_respid(plan.cores.server) as whole:
        for name in OPTIMISATIONS:
            with running_respid(plan.cores.server, "-m", "benchmarks.without", name) as lacking:
                for case, load in CASES.items():
                    costs = _costs(plan, whole, lacking, load)
                    table.rows.append(Row((name, case), tuple(f"{cost:.2f}" for cost in costs), costs[1] / costs[0]))
                    plan.say(f"  without {name}, {case}: {costs[1]:.2f} instead of {costs[0]:.2f} µs")
    return Measured((table,))


def _costs(plan: Plan, whole: Server, lacking: Server, load: Load) -> tuple[float, float]:
    requests = max(load.connections * load.depth * 4, round(REQUESTS[load.depth] * plan.scale))
    rounds = [(run(whole, load, requests), run(lacking, load, requests)) for _ in range(plan.rounds)]
    return median([pair[0] for pair in rounds], "server_cpu_us"), median([pair[1] for pair in rounds], "server_cpu_us")
