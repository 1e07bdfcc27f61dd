"""`respid status`: the state of running workers as a table, with its options and its exit code."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respid.cli.connection_options import connection_options, find_password, make_tls_context, parse_address
from respid.cli.exit_codes import EXIT_FAILED
from respid.cli.options import Integer, Seconds

if TYPE_CHECKING:
    from respid.fleet import Plan, Row


@click.command("status")
@click.argument("addresses", nargs=-1, required=True, type=parse_address, metavar="HOST:PORT...")
@click.option("--watch", is_flag=True, help="Keep showing the state until Ctrl-C.")
@click.option(
    "--interval",
    type=Seconds(min_open=True),
    default=1,
    show_default=True,
    help="Seconds over which IDS/S is averaged, and between two tables of --watch.",
)
@click.option(
    "--connections",
    type=Integer(1),
    metavar="N",
    default=1,
    show_default=True,
    help="Connections to each address. Several may reach several workers behind one address.",
)
@connection_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line instead of tables.")
def status(
    addresses: tuple[tuple[str, int], ...],
    *,
    watch: bool,
    interval: float,
    connections: int,
    password_file: Path | None,
    as_json: bool,
    **tls_options: Any,
) -> None:
    """Show the state of workers, without drawing IDs.

    Takes the addresses at which Redis clients connect. Exits 0 if all workers are ready, have the same layout and
    different worker IDs, otherwise 1.

    The password can also be set in RESPID_PASSWORD.
    """
    import asyncio  # noqa: PLC0415 - decode and healthcheck start faster without these

    from respid.fleet import Address, Plan  # noqa: PLC0415

    distinct = tuple(Address(*address) for address in dict.fromkeys(addresses))
    plan = Plan(distinct, interval, connections, find_password(password_file), make_tls_context(**tls_options))
    is_ok = asyncio.run(_show(plan, watch=watch, as_json=as_json))
    sys.exit(0 if is_ok else EXIT_FAILED)


async def _show(plan: "Plan", *, watch: bool, as_json: bool) -> bool:
    """Shows one round, or round after round. Returns whether all is well."""
    import contextlib  # noqa: PLC0415

    from respid.fleet import find_conflicts, observe  # noqa: PLC0415

    async with contextlib.aclosing(observe(plan)) as rounds:
        async for rows in rounds:
            conflicts = list(find_conflicts(rows))
            if watch and not as_json:
                click.clear()  # nothing happens if standard output is not a terminal
            _print(rows, conflicts, as_json=as_json)
            if not watch:
                return not conflicts and all(row.is_ready for row in rows)
    raise AssertionError("the rounds have no end")


def _print(rows: "list[Row]", conflicts: list[str], *, as_json: bool) -> None:
    from respid.fleet import describe, render  # noqa: PLC0415

    if as_json:
        click.echo(json.dumps(describe(rows, conflicts)))
        return
    for line in render(rows):
        click.echo(line)
    for conflict in conflicts:
        click.echo(f"respid: {conflict}", err=True)
