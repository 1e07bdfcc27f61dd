"""The IDs of a stretch of time, for range queries. Never reads a clock."""

import re
from typing import NamedTuple

from respid.ids.layout import Layout
from respid.ids.timestamp import format_timestamp, parse_timestamp_ms

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_DATE = re.compile(r"\d{4}-?\d\d-?\d\d|\d{4}-?W\d\d-?\d", re.ASCII)
_WEEK = re.compile(r"\d{4}-?W\d\d", re.ASCII)
_TIME_OF_DAY = re.compile(r"(\d\d)(?::?(\d\d))?(?::?(\d\d))?([.,]\d+)?(?:[Zz]|[+-].*)?", re.ASCII)


class Period(NamedTuple):
    """Unix milliseconds, the last of them included."""

    first_ms: int
    last_ms: int


def parse_period(text: str) -> Period:
    """The millisecond, second, minute, hour, day or week that a time names by how precisely it is written.

    >>> parse_period("2024-01-01T00:00")
    Period(first_ms=1704067200000, last_ms=1704067259999)

    Digits are Unix milliseconds; everything else is ISO 8601, in UTC unless it names a zone. Raises ValueError for
    anything else.
    """
    first_ms = parse_timestamp_ms(text)
    return Period(first_ms, first_ms + _length_ms(text) - 1)


def least_id_in(layout: Layout, text: str) -> int:
    """The smallest possible ID of the period that a time names. Raises ValueError for a time that has no IDs."""
    return layout.least_id(_check(layout, text, parse_period(text).first_ms))


def greatest_id_in(layout: Layout, text: str) -> int:
    """The greatest possible ID of the period that a time names. Raises ValueError as `least_id_in` does."""
    return layout.greatest_id(_check(layout, text, parse_period(text).last_ms))


def _check(layout: Layout, text: str, timestamp_ms: int) -> int:
    if layout.epoch_ms <= timestamp_ms < layout.end_ms:
        return timestamp_ms
    span = f"{format_timestamp(layout.epoch_ms)} to {format_timestamp(layout.end_ms - 1)}"
    raise ValueError(f"{text!r} is {format_timestamp(timestamp_ms)}; the layout's IDs are from {span}")


def _length_ms(text: str) -> int:
    """How long the period is that a valid time names."""
    if _WEEK.fullmatch(text):
        return 7 * _DAY_MS
    date = _DATE.match(text)
    if date is None or text.isdigit():
        return 1
    if date.end() == len(text):
        return _DAY_MS
    time_of_day = _TIME_OF_DAY.match(text, date.end() + 1)
    if time_of_day is None:
        return 1
    _, minute, second, fraction = time_of_day.groups()
    if fraction:
        return 1
    return 1000 if second else 60_000 if minute else _HOUR_MS
