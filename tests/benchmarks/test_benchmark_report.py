"""The tables, their targets, and the page made of them."""

import pytest

from benchmarks import pipelines, report
from benchmarks.load import Load
from benchmarks.machine import Cores
from benchmarks.plan import LEAST_ROUNDS, Plan
from benchmarks.results import PERCENT, RATIO, Estimate, Row, Table, Target, at_least, at_most, below
from benchmarks.rounds import Cost

PLAN = Plan(Cores(0, 1), rounds=15, scale=1)


@pytest.mark.parametrize(
    ("target", "figure", "met"),
    [
        (at_least(1), 1, True),
        (at_least(1), 0.999, False),
        (at_most(1.05), 1.05, True),
        (at_most(1.05), 1.06, False),
        (below(5), 4.99, True),
        (below(5), 5, False),
    ],
)
def test_target_is_met_on_its_side(target: Target, figure: float, *, met: bool) -> None:
    assert Row((), (), figure, target).verdict == ("yes" if met else "no")


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Estimate(1.01, 0.9, 1.2), "yes"),
        (Estimate(0.99, 0.9, 1.0), "too close"),
        (Estimate(0.98, 0.9, 0.99), "no"),
    ],
)
def test_missed_target_is_missed_by_the_whole_interval(figure: Estimate, verdict: str) -> None:
    assert Row((), (), figure, at_least(1)).verdict == verdict


def test_page_shows_figures_and_targets() -> None:
    table = Table("Speed", "How fast.", ("work", "respid", "ratio"), RATIO)
    table.rows += [
        Row(("one",), ("10",), 1.234, at_least(1)),
        Row(("two",), ("20",), 0.5, at_least(0.75)),
        Row(("three",), ("30",), 5),
        Row(("four",), ("40",), 7, below(16), "{:.1f} MiB"),
        Row(("five",), ("50",), Estimate(0.99, 0.9, 1.04), at_least(1)),
        Row(("six",), ("60",), Estimate(1, 1, 1)),
    ]
    page = report.render([("CPU", "a fast one")], [table], PLAN, "it.svg")
    assert "![Replies per second by pipeline depth, respid and Redis](it.svg)" in page
    assert "| CPU | a fast one |" in page
    assert "There are 15 rounds of\n  120 ms, or 60 of 30 ms if a batch has fewer than 100 requests" in page
    assert "Targets met in this run: 2 of 4. Missed: 1. Too close to tell: 1." in page
    assert page.endswith("""
## Speed

How fast.

| work | respid | ratio | target | met |
|---|---:|---:|---:|---:|
| one | 10 | 1.23 x | >= 1 x | yes |
| two | 20 | 0.50 x | >= 0.75 x | **no** |
| three | 30 | 5.00 x |  |  |
| four | 40 | 7.0 MiB | < 16 MiB | yes |
| five | 50 | 0.99 x (0.90 to 1.04) | >= 1 x | too close |
| six | 60 | 1.00 x |  |  |
""")


def test_table_without_targets_has_no_target_columns() -> None:
    table = Table("Cut", "", ("server", "ratio"), PERCENT, [Row(("Redis",), (), 50)])
    page = report.render([], [table], PLAN, None)
    assert page.endswith("| server | ratio |\n|---|---:|\n| Redis | 50.0 % |\n")
    assert "![" not in page
    assert "Targets met" not in page


def test_short_run_is_not_for_publication() -> None:
    for plan in (Plan(PLAN.cores, 15, 0.02), Plan(PLAN.cores, LEAST_ROUNDS - 1, 1)):
        assert "Not for publication" in report.render([], [], plan, None)
    assert "Not for publication" not in report.render([], [], Plan(PLAN.cores, LEAST_ROUNDS, 1), None)


def test_pipelines_are_compared_by_medians() -> None:
    tables = pipelines.Tables()
    ours = [Cost(rate, cost, 0.1, 0.2, 0.3) for rate, cost in ((4_000_000, 2), (1, 1), (5_000_000, 90))]
    theirs = [Cost(900_000, 4, 0.1, 0.2, 0.6)] * 3
    targets = pipelines.Targets(at_least(4), cpu=at_most(0.4), p999=at_most(1), limit=at_least(98))
    load = Load("INCR", "random", 1)
    tables.add(load, targets, ours, theirs)
    tables.add_latency(load, targets, 45_000, ours, theirs)
    assert tables.latency.rows[0].inputs == ("45,000", "0.10, 0.20, 0.30", "0.10, 0.20, 0.60")
    figures = {table.title: [(row.middle, row.verdict) for row in table.rows] for table in tables.all()}
    assert figures == {
        "Throughput": [(pytest.approx(4 / 0.9), "yes")],
        "Share of the limit": [(4_000_000 / 4_096_000 * 100, "too close")],
        "CPU time per request": [(0.5, "too close")],
        "Latency": [(0.5, "yes")],
    }


def test_every_case_has_a_target() -> None:
    assert len(pipelines.CASES) == 16
    assert all(any(targets) for _, targets in pipelines.CASES)
