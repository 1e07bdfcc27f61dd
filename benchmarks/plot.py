"""The plot: replies per second by pipeline depth. The same curves always give the same SVG text."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.plan import LIMIT_PER_SECOND
from benchmarks.results import Curve

# These colours are visible on white and on black, because the plot has a transparent background.
COLOURS = {"respid": "#2f81d6", "Redis": "#d6533c"}
INK = "#808080"
KEYS = {"random": "random keys", "fixed": "fixed key"}
STYLES = {"random": "-", "fixed": "--"}
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # keep text as text: smaller, and shown in the reader's font
    "svg.hashsalt": "respid",  # otherwise the IDs of elements differ between runs
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # included in matplotlib, so that the layout is the same everywhere
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def render(curves: Sequence[Curve]) -> str:
    """Returns the curves as SVG."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, 4), layout="constrained")
        axes = figure.add_subplot()
        for curve in curves:
            depths, rates = zip(*curve.points, strict=True)
            label = f"{curve.server}, {KEYS[curve.keys]}"
            millions = [rate / 1e6 for rate in rates]
            axes.plot(depths, millions, STYLES[curve.keys], color=COLOURS[curve.server], marker="o", label=label)
        axes.axhline(LIMIT_PER_SECOND / 1e6, color=INK, linestyle=":", label="limit of the layout")
        axes.set_xscale("log")
        shown = sorted({depth for curve in curves for depth, _ in curve.points})
        axes.set_xticks(shown, labels=[str(depth) for depth in shown])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylim(bottom=0)
        axes.set_xlabel("requests in a pipeline, 50 connections")
        axes.set_ylabel("million replies per second")
        axes.grid(visible=True, color=INK, alpha=0.25)
        axes.legend(loc="upper left", frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
