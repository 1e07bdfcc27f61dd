"""`respid decode`: splits IDs into their fields, without a server."""

import json
import re
import sys
from datetime import UTC, datetime

import click

from respid.cli.options import layout_settings, parse_layout
from respid.ids.timestamp import format_timestamp


@click.command("decode")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@layout_settings
def decode(ids: tuple[str, ...], *, as_json: bool, layout: str, epoch: str) -> None:
    """Show the time, worker ID and sequence of IDs. Without arguments, read the IDs from standard input."""
    parsed_layout = parse_layout(layout, epoch)
    for word in ids or (word for line in sys.stdin or () for word in line.split()):
        try:
            parts = parsed_layout.decompose(_parse_id(word))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        if as_json:
            fields = {"id": int(word), "time": format_timestamp(parts.timestamp_ms), **parts._asdict()}
            click.echo(json.dumps(fields))
        else:
            click.echo(f"{word}")
            click.echo(
                f"  time       {format_timestamp(parts.timestamp_ms)}  (local {_local_time(parts.timestamp_ms)})"
            )
            click.echo(f"  worker ID  {parts.worker_id}")
            click.echo(f"  sequence   {parts.sequence}")


def _local_time(timestamp_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC).astimezone()
    except (ValueError, OverflowError, OSError):  # a year that datetime does not support
        return "out of range"
    return moment.isoformat(sep=" ", timespec="milliseconds")


def _parse_id(word: str) -> int:
    if not re.fullmatch("[0-9]{1,20}", word):  # int() takes 1_0 as well
        raise ValueError(f"{word[:64]!r} is not an ID: a number of 1 to 20 digits")
    return int(word)
