"""`respid check`: the verifier, with its options, its progress bar and its exit code."""

import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respid.cli.connection_options import connection_options, find_password, make_tls_context, parse_address
from respid.cli.options import Integer, Seconds

if TYPE_CHECKING:
    from respid.check import Check, Report

MAX_ID = (1 << 63) - 1


@click.command("check", short_help="Draw IDs from all workers, and verify the guarantees.")
@click.argument("addresses", nargs=-1, required=True, type=parse_address, metavar="HOST:PORT...")
@click.option("--seconds", type=Seconds(min_open=True), default=10, show_default=True, help="Seconds to draw IDs for.")
@click.option(
    "--connections",
    type=Integer(1),
    metavar="N",
    default=10,
    show_default=True,
    help="Connections to each address.",
)
@click.option(
    "--max-clock-difference",
    type=Seconds(),
    default=1,
    show_default=True,
    help="Seconds by which the workers' clocks may differ.",
)
@click.option(
    "--rate",
    type=Integer(1),
    metavar="N",
    show_default="no limit",
    help="Draw at most this many IDs per second in total, to check workers in production gently.",
)
@click.option(
    "--above",
    type=Integer(0, MAX_ID),
    metavar="ID",
    show_default="none",
    help="Fail if any ID is not greater than this one, such as the result of SELECT max(id).",
)
@connection_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def check(
    addresses: tuple[tuple[str, int], ...],
    *,
    seconds: float,
    connections: int,
    max_clock_difference: float,
    rate: int | None,
    above: int | None,
    password_file: Path | None,
    as_json: bool,
    **tls_options: Any,
) -> None:
    """Draw IDs from all workers at once and verify respid's guarantees.

    Name every worker. Each ID must be unique, carry the worker ID of its worker, and be greater than the IDs received
    before it. All workers must have the same layout, different worker IDs, and clocks that agree.

    Exits 0 if every check passes, otherwise 1 with one line per failure. Ctrl-C ends the check early, with a summary.
    The password can also be set in RESPID_PASSWORD.
    """
    from respid.check import Address, Check, Plan, Report  # noqa: PLC0415 - asyncio, which only this command needs

    distinct = tuple(Address(*address) for address in dict.fromkeys(addresses))
    password, tls = find_password(password_file), make_tls_context(**tls_options)
    run = Check(Plan(distinct, seconds, connections, password, tls, rate or math.inf, above))
    _run_or_stop(run)
    report = Report(run, max_clock_difference)
    _print_report(report, as_json=as_json)
    sys.exit(1 if report.failures else 0)


def _run_or_stop(run: "Check") -> None:
    """Runs the check until its time is over or Ctrl-C stops it."""
    import asyncio  # noqa: PLC0415
    import signal  # noqa: PLC0415

    async def run_with_signal(on_progress: Callable[[float], None]) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_signal_handler(signal.SIGINT)  # a second Ctrl-C ends it without a summary
            run.stop()

        loop.add_signal_handler(signal.SIGINT, stop)
        await run.run(on_progress)

    with _progress_bar(run.plan.seconds) as on_progress:
        asyncio.run(run_with_signal(on_progress))


def _print_report(report: "Report", *, as_json: bool) -> None:
    for line in [json.dumps(report.as_json())] if as_json else [*report.table(), *report.notes()]:
        click.echo(line)
    for failure in report.failures:
        click.echo(f"respid: {failure}", err=True)
    if not as_json:
        click.echo(report.verdict())


@contextlib.contextmanager
def _progress_bar(seconds: float) -> Iterator[Callable[[float], None]]:
    """Shows a bar if standard error is a terminal. Yields a function that takes the seconds that have passed."""
    if not sys.stderr.isatty():
        yield lambda _passed: None
        return
    steps = 1000
    with click.progressbar(length=steps, label="drawing IDs", show_eta=False, file=sys.stderr) as bar:
        yield lambda passed: bar.update(round(steps * passed / seconds) - bar.pos)
