"""Figures with their targets, and tables of them. Pure: it measures and writes nothing."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

RELATIONS: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, "<": operator.lt}


@dataclass(frozen=True)
class Target:
    """The goal for a figure, in the unit of the figure."""

    relation: str  # of RELATIONS
    bound: float

    def met_by(self, figure: float) -> bool:
        return RELATIONS[self.relation](figure, self.bound)


def at_least(bound: float) -> Target:
    return Target(">=", bound)


def at_most(bound: float) -> Target:
    return Target("<=", bound)


def below(bound: float) -> Target:
    return Target("<", bound)


class Estimate(NamedTuple):
    """The median of a figure's rounds, and the interval that very probably holds the true one."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One figure with its labels, the inputs it was computed from, and its target, if any."""

    labels: tuple[str, ...]
    inputs: tuple[str, ...]
    figure: float | Estimate  # a float has no interval
    target: Target | None = None
    unit: str | None = None  # a format; None means that of the table

    @property
    def middle(self) -> float:
        return self.figure.middle if isinstance(self.figure, Estimate) else self.figure

    @property
    def verdict(self) -> str:
        """Returns "yes" if the median meets the target, "no" if nothing in the interval does. "" without a target."""
        if self.target is None:
            return ""
        if self.target.met_by(self.middle):
            return "yes"
        return "too close" if isinstance(self.figure, Estimate) and any(map(self.target.met_by, self.figure)) else "no"


@dataclass
class Table:
    """Rows of one kind."""

    title: str
    text: str  # explains what is measured and how to read it
    columns: tuple[str, ...]  # of the labels, the inputs and the figure
    unit: str  # the format of the figures, such as "{:.2f} x"
    rows: list[Row] = field(default_factory=list)


RATIO = "{:.2f} x"
PERCENT = "{:.1f} %"


@dataclass(frozen=True)
class Curve:
    """A line of the plot."""

    server: str
    keys: str
    points: tuple[tuple[int, float], ...]  # pipeline depth, requests per second


@dataclass(frozen=True)
class Measured:
    """The results of one part of a run."""

    tables: tuple[Table, ...]
    curves: tuple[Curve, ...] = ()
