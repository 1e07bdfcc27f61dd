"""Compares the CPU time per request of this tree with that of another revision, in paired rounds."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.plan import Plan
from benchmarks.results import RATIO, Estimate, Row, Table
from benchmarks.rounds import median, ratio
from benchmarks.servers import running_respid
from benchmarks.short_replies import SHORT_REPLIES
from benchmarks.streams import STREAMS, cases, in_turn

ROOT = Path(__file__).parent.parent
COMPARED = STREAMS | SHORT_REPLIES
DOUBT = 0.001  # that a range misses the true ratio: there are about 70 of them
MARGIN = 0.02  # processes of the same code differ by this much
LEAST_ROUNDS = 11  # with fewer, not even a range over all rounds is so certain


def measure(plan: Plan, revision: str) -> Table:
    """Raises subprocess.CalledProcessError if there is no such revision."""
    table = Table(
        f"This tree against {revision}",
        "CPU time of the server process in microseconds per request. A figure has changed if the whole range in "
        f"brackets is more than {MARGIN * 100:g} % away from 1. This range holds the true ratio of the two processes "
        f"with a confidence of {100 - DOUBT * 100:g} %.",
        ("stream", "depth", revision, "this tree", "changed", "this tree / before"),
        RATIO,
    )
    longer = replace(plan, rounds=max(plan.rounds, LEAST_ROUNDS))
    with (
        checked_out(revision) as tree,
        running_respid(plan.cores.server) as now,
        running_respid(plan.cores.server, tree=tree) as before,
    ):
        for name, depth in cases(COMPARED):
            ours, theirs = in_turn(longer, COMPARED[name], depth, now, before)
            compared = ratio(ours, theirs, "server_cpu_us", DOUBT)
            change = _describe(compared)
            costs = tuple(f"{median(each).server_cpu_us:.2f}" for each in (theirs, ours))
            table.rows.append(Row((name, str(depth)), (*costs, change), compared))
            plan.say(f"  {name}, depth {depth}: {costs[1]} instead of {costs[0]} us {change}")
    return table


@contextlib.contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """Provides the files of a revision."""
    with TemporaryDirectory() as directory:
        packed = subprocess.run(["git", "archive", revision, "respid"], cwd=ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", directory], input=packed.stdout, check=True)
        yield Path(directory)


def has_changed(compared: Estimate) -> bool:
    return compared.low > 1 + MARGIN or compared.high < 1 / (1 + MARGIN)


def _describe(compared: Estimate) -> str:
    if not has_changed(compared):
        return ""
    return "**slower**" if compared.middle > 1 else "faster"
