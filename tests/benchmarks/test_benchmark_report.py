"""The tables, their targets, and the page made of them."""

import pytest

from benchmarks import pipelines, report
from benchmarks.load import Load, Round
from benchmarks.results import PERCENT, RATIO, Row, Table, Target, at_least, at_most, below


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
    assert Row((), (), figure, target).met is met


def test_page_shows_figures_and_targets() -> None:
    table = Table("Speed", "How fast.", ("work", "respid", "ratio"), RATIO)
    table.rows += [
        Row(("one",), ("10",), 1.234, at_least(1)),
        Row(("two",), ("20",), 0.5, at_least(0.75)),
        Row(("three",), ("30",), 5),
        Row(("four",), ("40",), 7, below(16), "{:.1f} MiB"),
    ]
    page = report.render([("CPU", "a fast one")], [table], 5, 1, "it.svg")
    assert "![Replies per second by pipeline depth, respid and Redis](it.svg)" in page
    assert "| CPU | a fast one |" in page
    assert "5 rounds each" in page
    assert "Targets met in this run: 2 of 3." in page
    assert page.endswith("""
## Speed

How fast.

| work | respid | ratio | target | met |
|---|---:|---:|---:|---:|
| one | 10 | 1.23 x | >= 1 x | yes |
| two | 20 | 0.50 x | >= 0.75 x | **no** |
| three | 30 | 5.00 x |  |  |
| four | 40 | 7.0 MiB | < 16 MiB | yes |
""")


def test_table_without_targets_has_no_target_columns() -> None:
    table = Table("Cut", "", ("server", "ratio"), PERCENT, [Row(("Redis",), (), 50)])
    page = report.render([], [table], 1, 1, None)
    assert page.endswith("| server | ratio |\n|---|---:|\n| Redis | 50.0 % |\n")
    assert "![" not in page


def test_short_run_is_not_for_publication() -> None:
    assert "Not for publication" in report.render([], [], 1, 0.02, None)
    assert "Not for publication" not in report.render([], [], 5, 1, None)


def test_pipelines_are_compared_by_medians() -> None:
    tables = pipelines.Tables()
    ours = [Round(rate, 0.1, 0.2, 0.3, cost) for rate, cost in ((4_000_000, 2), (1, 1), (5_000_000, 90))]
    theirs = [Round(1_000_000, 0.1, 0.2, 0.6, 4)] * 3
    targets = pipelines.Targets(at_least(4), cpu=at_most(0.4), p999=at_most(1), limit=at_least(98))
    tables.add(Load("INCR", "random", 1), targets, ours, theirs)
    figures = {table.title: [(row.figure, row.met) for row in table.rows] for table in tables.all()}
    assert figures == {
        "Throughput": [(4, True)],
        "Share of the limit": [(4_000_000 / 4_096_000 * 100, False)],
        "CPU time per request": [(0.5, False)],
        "Latency": [(0.5, True)],
    }


def test_every_case_has_a_target() -> None:
    assert len(pipelines.CASES) == 16
    assert all(any(targets) for _, targets in pipelines.CASES)
