"""`respid decode`: splits IDs into their fields, without a server."""

import json
import re
from datetime import UTC, datetime

import click

from respid.cli.options import layout_settings, parse_layout
from respid.cli.values import column_option, convert_values, values_context
from respid.ids.layout import IdParts
from respid.ids.timestamp import format_timestamp


@click.command("decode", context_settings=values_context)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@column_option
@layout_settings
def decode(ids: tuple[str, ...], *, as_json: bool, column: str | None, layout: str, epoch: str) -> None:
    """Show the time, worker ID and sequence of IDs. Without arguments, read the IDs from standard input.

    IDs may be quoted. Values that are not IDs are reported, and the others are shown.
    """
    parsed_layout = parse_layout(layout, epoch)

    def show(text: str) -> None:
        identifier = _parse_id(text)
        parts = parsed_layout.decompose(identifier)
        click.echo(_as_json(identifier, parts) if as_json else _as_text(identifier, parts))

    convert_values(ids, column, show)


def _as_json(identifier: int, parts: IdParts) -> str:
    """The fields as JSON. The ID is also there as a string, since many JSON parsers round integers above 2^53."""
    time = format_timestamp(parts.timestamp_ms)
    return json.dumps({"id": identifier, "id_string": str(identifier), "time": time, **parts._asdict()})


def _as_text(identifier: int, parts: IdParts) -> str:
    return (
        f"{identifier}\n"
        f"  time       {format_timestamp(parts.timestamp_ms)}  (local {_local_time(parts.timestamp_ms)})\n"
        f"  worker ID  {parts.worker_id}\n"
        f"  sequence   {parts.sequence}"
    )


def _local_time(timestamp_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC).astimezone()
    except (ValueError, OverflowError, OSError):  # a year that datetime does not support
        return "out of range"
    return moment.isoformat(sep=" ", timespec="milliseconds")


def _parse_id(word: str) -> int:
    word = word.strip("\"'")
    if not re.fullmatch("[0-9]{1,20}", word):  # int() takes 1_0 as well
        raise ValueError(f"{word[:64]!r} is not an ID: a number of 1 to 20 digits")
    return int(word)
