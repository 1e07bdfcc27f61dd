"""Compares interpreters: the CPU time that respid needs per request on each of them.

`.venv/bin/python -m benchmarks.pythons PYTHON PYTHON…` prints the table in docs/performance.md. Each PYTHON is
that of a virtual environment made by `scripts/install`. The interpreters take turns, and all run the code of this tree.
"""

import contextlib
import subprocess

import click

from benchmarks.against import COMPARED
from benchmarks.machine import Cores, pinned_to
from benchmarks.plan import Plan
from benchmarks.rounds import Cost, median, ratio
from benchmarks.servers import running_respid
from benchmarks.streams import in_turn

ROUNDS = 15
CASES = (
    ("INCR", 1),
    ("INCR", 16),
    ("INCR", 100),
    ("INCRBY 100", 16),
    ("MULTI, INCRs, EXEC", 16),
    ("PING", 16),
    ("GET", 100),
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("pythons", metavar="PYTHON...", nargs=-1, required=True)
def main(pythons: tuple[str, ...]) -> None:
    """Compare the CPU time per request of these interpreters. The first one is the base of the ratios."""
    plan = Plan(Cores.of_this_process(), ROUNDS, 1)
    click.echo(f"| stream | depth | {' | '.join(_version(python) for python in pythons)} |")
    click.echo(f"|---|---|{'---:|' * len(pythons)}")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running_respid(plan.cores.server, python=python)) for python in pythons]
        stack.enter_context(pinned_to(plan.cores.load))
        for name, depth in CASES:
            costs = in_turn(plan, COMPARED[name], depth, *servers)
            click.echo(f"| {name} | {depth} | {' | '.join(_cell(each, costs[0]) for each in costs)} |")


def _cell(costs: list[Cost], base: list[Cost]) -> str:
    return f"{median(costs).server_cpu_us:.2f} µs, {ratio(costs, base, 'server_cpu_us').middle:.2f} x"


def _version(python: str) -> str:
    code = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
