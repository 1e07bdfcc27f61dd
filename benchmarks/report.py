"""The report of a run as Markdown. Pure: measures nothing."""

from collections.abc import Iterable, Sequence

from benchmarks.results import Row, Table

METHOD = """\
The servers are pinned to one core; redis-benchmark, or the few lines of Python that do what it cannot, has another.
respid and Redis take turns (A B A B …), {rounds} rounds each. A figure is the median of its rounds, and a ratio is the
median of the ratios of two rounds that followed each other: not that of the two figures beside it, which may be of
different moments of the machine. There are 50 connections where nothing else is said, and a million random keys. Redis
keeps nothing on disk and has its keys before it is measured; respid has its default settings, with the file store. CPU
time is that of the server's process. Ratios are what counts: absolute figures are the machine's. A target is what the
project asks of itself."""


def render(
    machine: Sequence[tuple[str, str]], tables: Sequence[Table], rounds: int, scale: float, plot: str | None
) -> str:
    """The page; `plot` is the file name of the picture beside it."""
    lines = ["# Benchmarks", "", "Written by `scripts/bench`, which measures it all again on your machine.", ""]
    if plot:
        lines += [f"![Replies a second against pipeline depth, respid and Redis]({plot})", ""]
    lines += ["## Method", "", METHOD.format(rounds=rounds), ""]
    if scale != 1:
        lines += [f"**Not for publication**: every round was {scale:g} times as long as it should be.", ""]
    lines += [_line(("", "")), "|---|---|", *map(_line, machine), "", *_missed(tables)]
    for table in tables:
        lines += ["", f"## {table.title}", "", table.text, "", *_rows(table)]
    return "\n".join(lines) + "\n"


def _missed(tables: Sequence[Table]) -> Iterable[str]:
    rows = [row for table in tables for row in table.rows if row.target]
    yield f"Targets met in this run: {sum(row.met is True for row in rows)} of {len(rows)}."


def _rows(table: Table) -> Iterable[str]:
    with_targets = any(row.target for row in table.rows)
    columns = [*table.columns, *(("target", "met") if with_targets else ())]
    labels = len(table.rows[0].labels) if table.rows else 0
    yield _line(columns)
    yield "|" + "---|" * labels + "---:|" * (len(columns) - labels)
    for row in table.rows:
        yield _line([*row.labels, *row.inputs, shown(row, table), *(_target(row, table) if with_targets else ())])


def shown(row: Row, table: Table) -> str:
    """The figure in its unit."""
    return (row.unit or table.unit).format(row.figure)


def _target(row: Row, table: Table) -> tuple[str, str]:
    if row.target is None:
        return "", ""
    unit = (row.unit or table.unit).rpartition("}")[2]
    return f"{row.target.relation} {row.target.bound:g}{unit}", "yes" if row.met else "**no**"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
