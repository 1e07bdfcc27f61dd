"""Compares interpreters: the CPU time that respid needs per request on each of them.

`.venv/bin/python -m benchmarks.pythons PYTHON PYTHON…` prints the table in docs/performance.md. Each PYTHON is
that of a virtual environment made by `scripts/install`. The interpreters take turns, and all run the code of this tree.
"""

import contextlib
import statistics
import subprocess

import click

from benchmarks.against import COMPARED
from benchmarks.machine import Cores, pinned_to
from benchmarks.sender import send_for
from benchmarks.servers import running_respid
from benchmarks.streams import CONNECTIONS

ROUNDS = 5
ROUND_SECONDS = 0.4
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
    cores = Cores.of_this_process()
    click.echo(f"| stream | depth | {' | '.join(_version(python) for python in pythons)} |")
    click.echo(f"|---|---|{'---:|' * len(pythons)}")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running_respid(cores.server, python=python)) for python in pythons]
        stack.enter_context(pinned_to(cores.load))
        for name, depth in CASES:
            batch = COMPARED[name].batch(depth, servers[0])
            rounds = [
                [send_for(server, [batch], ROUND_SECONDS, CONNECTIONS).server_cpu_us for server in servers]
                for _ in range(ROUNDS)
            ]
            cells = [
                _cell([each[place] for each in rounds], [each[0] for each in rounds]) for place in range(len(servers))
            ]
            click.echo(f"| {name} | {depth} | {' | '.join(cells)} |")


def _cell(costs: list[float], base: list[float]) -> str:
    """The median, and the median of the ratios of each round to the base in that round."""
    ratio = statistics.median(cost / one for cost, one in zip(costs, base, strict=True))
    return f"{statistics.median(costs):.2f} µs, {ratio:.2f} x"


def _version(python: str) -> str:
    code = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
