"""Compares the CPU time per request of this tree with that of another revision, in paired rounds."""

import contextlib
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.plan import Plan
from benchmarks.results import RATIO, Row, Table
from benchmarks.sender import median
from benchmarks.servers import running_respid
from benchmarks.short_replies import SHORT_REPLIES
from benchmarks.streams import STREAMS, cases, in_turn

ROOT = Path(__file__).parent.parent
COMPARED = STREAMS | SHORT_REPLIES


def measure(plan: Plan, revision: str) -> Table:
    """Raises subprocess.CalledProcessError if there is no such revision."""
    table = Table(
        f"This tree against {revision}",
        "CPU time of the server process in microseconds per request. The two take turns, and the ratio is the median "
        "of those of two consecutive rounds. A figure has changed if its ratio differs from 1 by more than the ratios "
        "of its rounds differ from each other.",
        ("stream", "depth", revision, "this tree", "changed", "this tree / before"),
        RATIO,
    )
    with (
        checked_out(revision) as tree,
        running_respid(plan.cores.server) as now,
        running_respid(plan.cores.server, tree=tree) as before,
    ):
        for name, depth in cases(COMPARED):
            ours, theirs = in_turn(plan, COMPARED[name], depth, now, before)
            ratios = [our.server_cpu_us / their.server_cpu_us for our, their in zip(ours, theirs, strict=True)]
            change = _describe(ratios)
            costs = tuple(f"{median(each).server_cpu_us:.2f}" for each in (theirs, ours))
            table.rows.append(Row((name, str(depth)), (*costs, change), statistics.median(ratios)))
            plan.say(f"  {name}, depth {depth}: {costs[1]} instead of {costs[0]} us {change}")
    return table


@contextlib.contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """Provides the files of a revision."""
    with TemporaryDirectory() as directory:
        packed = subprocess.run(["git", "archive", revision, "respid"], cwd=ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", directory], input=packed.stdout, check=True)
        yield Path(directory)


def noise(ratios: Sequence[float]) -> float:
    """Returns how far the ratios of the rounds are from their median. The farthest one of five is ignored."""
    middle = statistics.median(ratios)
    distances = sorted(abs(ratio / middle - 1) for ratio in ratios)
    return distances[-1 - len(ratios) // 5]


def has_changed(ratios: Sequence[float]) -> bool:
    return abs(statistics.median(ratios) - 1) > noise(ratios)


def _describe(ratios: Sequence[float]) -> str:
    if not has_changed(ratios):
        return ""
    return "**slower**" if statistics.median(ratios) > 1 else "faster"
