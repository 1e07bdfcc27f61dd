"""`respid min` and `respid max`: the first and last possible IDs of a time, without a server."""

import json
from collections.abc import Callable

import click

from respid.cli.options import layout_settings, parse_layout
from respid.cli.values import column_option, convert_values, values_context
from respid.ids.layout import Layout
from respid.ids.time_range import greatest_id_in, least_id_in


def _bound_command(name: str, summary: str, description: str, find: Callable[[Layout, str], int]) -> click.Command:
    @click.command(name, short_help=summary, help=description, context_settings=values_context)
    @click.argument("times", nargs=-1, metavar="[TIME]...")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
    @column_option
    @layout_settings
    def bound(times: tuple[str, ...], *, as_json: bool, column: str | None, layout: str, epoch: str) -> None:
        parsed_layout = parse_layout(layout, epoch)

        def convert(text: str) -> None:
            identifier = find(parsed_layout, text)
            fields = {"time": text, "id": identifier, "id_string": str(identifier)}
            click.echo(json.dumps(fields) if as_json else str(identifier))

        convert_values(times, column, convert, whole_lines=True)

    return bound


_TIMES = """A TIME is ISO 8601, in UTC unless it has a zone, or Unix milliseconds. Without arguments, read times from
standard input, one per line."""

_LEAST, _GREATEST = "Print the smallest possible ID of a time.", "Print the greatest possible ID of a time."
min_command = _bound_command("min", _LEAST, f"{_LEAST}\n\n{_TIMES}", least_id_in)
max_command = _bound_command(
    "max",
    _GREATEST,
    f"Print the greatest possible ID of a day, hour, minute, second or millisecond.\n\n{_TIMES}",
    greatest_id_in,
)
