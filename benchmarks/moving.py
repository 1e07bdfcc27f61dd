"""How the traffic of real drivers follows the workers: recordings of a cluster, their tables and pictures.

    python -m benchmarks.moving docs/scale-out.csv docs/scale-out.svg

`python -m tests.cluster.moving` makes the recordings.
"""

import argparse
import csv
import io
import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.plot import INK, SETTINGS

WINDOW_SECONDS = 5  # over which shares are taken
ENOUGH = 0.8  # of the fair share
MIX = "all that move"
COLOURS = ("#2f81d6", "#d6533c", "#3da35d", "#b07fd6", "#c9a227", "#4fb3bf")  # visible on white and on black
Counts = Sequence[Sequence[int]]  # for each second, a number for each pod


@dataclass(frozen=True)
class Recording:
    """Columns with a value for each second.

    They are `ready N` and `connections N` of pod N, and of each driver `NAME N`, the IDs that pod N issued to it, and
    `NAME errors`.
    """

    columns: dict[str, list[int]]

    @property
    def pods(self) -> int:
        return sum(name.startswith("ready ") for name in self.columns)

    @property
    def seconds(self) -> int:
        return len(self.columns["seconds"])

    @property
    def drivers(self) -> list[str]:
        return [name.removesuffix(" errors") for name in self.columns if name.endswith(" errors")]

    def counts(self, series: str) -> list[tuple[int, ...]]:
        return list(zip(*(self.columns[f"{series} {pod}"] for pod in range(self.pods)), strict=True))

    def total(self, drivers: Iterable[str]) -> list[tuple[int, ...]]:
        """The IDs of several drivers together."""
        counts = [self.counts(driver) for driver in drivers]
        return [tuple(map(sum, zip(*each, strict=True))) for each in zip(*counts, strict=True)]

    def ready_at(self) -> dict[int, int]:
        """The last second in which each pod became ready, of those that were not ready all the time."""
        ready = list(enumerate(itertools.pairwise(self.counts("ready")), 1))
        became = {pod: [second for second, (was, now) in ready if now[pod] > was[pod]] for pod in range(self.pods)}
        return {pod: seconds[-1] for pod, seconds in became.items() if seconds}


def seconds_to_share(counts: Counts, ready: Counts, pods: Collection[int], since: int) -> int | None:
    """Seconds until the pods together have issued 80 % of their fair share in a window; None if they never do.

    The fair share is their part of the pods that are ready at that time.
    """
    for second in range(since, len(counts)):
        window = counts[max(0, second + 1 - WINDOW_SECONDS) : second + 1]
        of_pods, of_all = sum(each[pod] for each in window for pod in pods), sum(map(sum, window))
        if of_all and of_pods / of_all >= ENOUGH * len(pods) / max(1, sum(ready[second])):
            return second + 1 - since
    return None


def table(recording: Recording, moving: Collection[str]) -> str:
    """Returns a table of the seconds to 80 % of the fair share, for each new pod, and for all since the last one.

    It has a row for each driver, and one for all drivers that move.
    """
    ready, ready_at = recording.counts("ready"), recording.ready_at()
    new = {f"pod {pod}, ready at {at} s": ({pod}, at) for pod, at in ready_at.items()}
    if 0 < len(ready_at) < recording.pods:
        new["new pods"] = set(ready_at), max(ready_at.values())
    header = ["driver", *new, "errors", "shares at the end"]
    lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * (len(new) + 1)}---|"]
    for name, drivers in ({driver: [driver] for driver in recording.drivers} | {MIX: list(moving)}).items():
        counts = recording.total(drivers)
        found = [seconds_to_share(counts, ready, pods, since) for pods, since in new.values()]
        texts = [name, *("never" if each is None else f"{each} s" for each in found)]
        texts.append(str(sum(sum(recording.columns[f"{driver} errors"]) for driver in drivers)))
        texts.append(_shares(counts[-2 * WINDOW_SECONDS :]))
        lines.append(f"| {' | '.join(texts)} |")
    return "\n".join(lines)


def _shares(counts: Counts) -> str:
    """The shares of the pods in percent."""
    sums = [sum(each) for each in zip(*counts, strict=True)]
    return ", ".join(f"{100 * each / max(1, sum(sums)):.0f} %" for each in sums)


def read(path: Path) -> Recording:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return Recording({name: [int(row[at]) for row in rows] for at, name in enumerate(header)})


def write(path: Path, recording: Recording) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(recording.columns)
        writer.writerows(zip(*recording.columns.values(), strict=True))


def smooth(counts: Counts) -> list[tuple[float, ...]]:
    """The means of the windows that end with each second."""
    windows = (counts[max(0, end - WINDOW_SECONDS) : end] for end in range(1, len(counts) + 1))
    return [tuple(sum(each) / len(window) for each in zip(*window, strict=True)) for window in windows]


def render(recording: Recording) -> str:
    """Returns the time line as SVG: connections of each pod above, IDs per second below."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        panels: list[tuple[Axes, Sequence[Sequence[float]], str]] = [
            (upper, recording.counts("connections"), "connections"),
            (lower, smooth(recording.total(recording.drivers)), "IDs per second"),
        ]
        for axes, counts, label in panels:
            for pod, colour in zip(range(recording.pods), itertools.cycle(COLOURS), strict=False):
                axes.plot([each[pod] for each in counts], color=colour, label=f"pod {pod}")
                if at := recording.ready_at().get(pod):
                    axes.axvline(at, color=colour, linestyle=":")
            axes.set_ylim(bottom=0)
            axes.set_ylabel(label)
            axes.grid(visible=True, color=INK, alpha=0.25)
        figure.legend(
            *upper.get_legend_handles_labels(), loc="outside upper center", ncols=recording.pods, frameon=False
        )
        lower.set_xlabel("seconds; dotted: the pod is ready")
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    options.picture.write_text(render(read(options.data)))


if __name__ == "__main__":
    main()
