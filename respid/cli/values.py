"""The values that a command converts: its arguments, or those on standard input. A bad one does not stop the rest."""

import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from typing import NamedTuple

import click

from respid.cli.exit_codes import EXIT_FAILED, EXIT_WRONG_USE

_OPTION = re.compile(r"--?[A-Za-z]")
_QUOTES = "\"'"
_MOST_DIGITS = 9  # of the number of a column; Python converts no text of thousands of digits


class Value(NamedTuple):
    text: str
    place: str  # in front of an error: "" for an argument, "line 3: " for standard input


class BadColumnError(ValueError):
    """The CSV has no such column."""


column_option = click.option(
    "--column",
    metavar="NAME|N",
    help="Read this column of the CSV on standard input, by its heading or its number.",
    show_default="words or lines",
)
values_context = {"ignore_unknown_options": True}  # so that a negative number is a value, and no option


def convert_values(
    arguments: tuple[str, ...], column: str | None, convert: Callable[[str], None], *, whole_lines: bool = False
) -> None:
    """Converts each value. Reports those for which `convert` raises ValueError, and then exits with an error.

    Without arguments, the values are read from standard input: words, or whole lines. Raises click.UsageError.
    """
    for argument in arguments:
        if _OPTION.match(argument):
            raise click.NoSuchOption(argument)
    try:
        failed = _convert(_values(arguments, column, whole_lines=whole_lines), convert)
    except BadColumnError as error:
        raise click.UsageError(str(error)) from None
    if failed:
        raise click.exceptions.Exit(EXIT_WRONG_USE if arguments else EXIT_FAILED)


def _convert(values: Iterable[Value], convert: Callable[[str], None]) -> bool:
    """Returns whether a value was bad."""
    failed = False
    for value in values:
        try:
            convert(value.text)
        except ValueError as error:
            click.echo(f"respid: {value.place}{error}", err=True)
            failed = True
    return failed


def _values(arguments: tuple[str, ...], column: str | None, *, whole_lines: bool) -> Iterator[Value]:
    if arguments:
        yield from (Value(argument, "") for argument in arguments)
        return
    lines = _open_standard_input()
    if column is not None:
        yield from _column_values(lines, column)
        return
    for number, line in enumerate(lines, 1):
        for word in [line] if whole_lines else line.split():
            if text := word.strip().strip(",;").strip(_QUOTES).strip():
                yield Value(text, f"line {number}: ")


def _open_standard_input() -> Iterable[str]:
    """The lines of standard input, without a spreadsheet's byte order mark. A line that is not UTF-8 stops no other.

    A carriage return ends a line, too: `csv` raises an error for one within a field.
    """
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="surrogateescape", newline=None)
    if sys.stdin and sys.stdin.isatty():
        click.echo("reading standard input; end it with Ctrl-D", err=True)
    return sys.stdin or ()


def _column_values(lines: Iterable[str], column: str) -> Iterator[Value]:
    """The values of one column. A heading is not a value: the first line has one if the column is given by name."""
    import csv  # noqa: PLC0415 - only --column needs it

    csv.field_size_limit(sys.maxsize)  # of the other columns, too: they may hold whole documents
    rows = csv.reader(lines)
    first = next(rows, [])
    is_number = column.isdecimal() and len(column) <= _MOST_DIGITS
    index = int(column) - 1 if is_number else _find_heading(first, column)
    if index < 0:
        raise BadColumnError("--column starts at 1")
    if index >= len(first) > 0:
        raise BadColumnError(f"no column {column} in the first line of standard input, which has {len(first)}")
    for row in itertools.chain([first] if is_number else [], rows):
        place = f"line {rows.line_num}: "
        text = row[index].strip().strip("'") if index < len(row) else ""
        if text:
            yield Value(text, place)


def _find_heading(headings: list[str], name: str) -> int:
    if name not in headings:
        raise BadColumnError(
            f"no column {name!r} in the first line of standard input: {', '.join(headings) or 'empty'}"
        )
    return headings.index(name)
