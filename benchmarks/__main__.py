"""`python -m benchmarks`, as run by scripts/bench: compares respid with Redis and writes the report."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks import (
    against,
    bulk,
    connections,
    cut,
    deceptive,
    drivers,
    idle,
    machine,
    optimisations,
    pipelines,
    plot,
    report,
    short_replies,
    streams,
    transports,
)
from benchmarks.plan import Plan
from benchmarks.results import Curve, Measured, Table

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
PARTS: dict[str, Callable[[Plan], Measured]] = {
    "pipelines": pipelines.measure,
    "streams": streams.measure,
    "short-replies": short_replies.measure,
    "drivers": drivers.measure,
    "tls": transports.measure_tls,
    "unix": transports.measure_unix,
    "connections": connections.measure,
    "cut": cut.measure,
    "bulk": bulk.measure,
    "idle": idle.measure,
    "deceptive": deceptive.measure,
    "optimisations": optimisations.measure,
}
BUSY = 0.5  # load average above which other work disturbs the run


def chosen(_context: click.Context, _option: click.Parameter, names: str | None) -> tuple[str, ...]:
    """Returns the named parts, in the order in which they run. Raises click.BadParameter for unknown names."""
    wanted = {name.strip() for name in names.split(",")} if names else set(PARTS)
    if unknown := sorted(wanted - set(PARTS)):
        raise click.BadParameter(f"unknown part {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    return tuple(name for name in PARTS if name in wanted)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--only",
    "parts",
    metavar="PARTS",
    callback=chosen,
    help=f"Run only these parts, comma-separated: {','.join(PARTS)}.",
)
@click.option("--rounds", type=click.IntRange(1), default=15, show_default=True, help="Rounds per server and case.")
@click.option(
    "--scale",
    type=click.FloatRange(0.001),
    default=1,
    show_default=True,
    help="Factor applied to all lengths and sizes.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the report; the plot is written next to it.  [default: docs/benchmarks.md for a complete run]",
)
@click.option(
    "--against",
    "revision",
    metavar="REVISION",
    help="Compare the CPU time of this tree with that of another revision instead, and print the changes.",
)
def bench(parts: tuple[str, ...], rounds: int, scale: float, output: Path | None, revision: str | None) -> None:
    """Compare respid with redis-server on this machine and print the report."""
    cores = machine.Cores.of_this_process()
    machine.need_programs()
    described = machine.describe()
    if os.getloadavg()[0] > BUSY:
        click.echo("the machine is busy: the figures will not be reliable", err=True)
    plan = Plan(cores, rounds, scale)
    if output is None and parts == tuple(PARTS) and revision is None:
        if plan.is_long_enough:
            output = PAGE
        else:
            click.echo("the run is too short for verdicts: it will not replace docs/benchmarks.md", err=True)
    try:
        with machine.pinned_to(cores.load):
            tables, curves = ([against.measure(plan, revision)], []) if revision else run(plan, parts)
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        raise click.ClickException(f"the run failed: {error}") from error
    picture = output.with_suffix(".svg") if output and curves else None
    page = report.render(described, tables, plan, picture.name if picture else None)
    if output:
        output.write_text(page, encoding="utf-8")
    if picture:
        picture.write_text(plot.render(curves), encoding="utf-8")
    click.echo(page, nl=False)


def run(plan: Plan, parts: tuple[str, ...]) -> tuple[list[Table], list[Curve]]:
    """Runs the parts one after the other and returns their tables and curves."""
    tables: list[Table] = []
    curves: list[Curve] = []
    for number, name in enumerate(parts, 1):
        plan.say(f"[{number}/{len(parts)}] {name}")
        began = time.monotonic()
        measured = PARTS[name](plan)
        tables += measured.tables
        curves += measured.curves
        plan.say(f"  {time.monotonic() - began:.0f} s")
    return tables, curves


if __name__ == "__main__":
    bench(prog_name="scripts/bench")
