"""Parses and formats points in time: Unix milliseconds or ISO 8601. It reads no clock."""

import re
from datetime import UTC, date, datetime, timedelta

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LONGEST_TIME = 64  # characters; no valid time is longer, and parsing a long text takes long
_SEPARATOR = re.compile("[Tt ]")  # between the date and the time of day
_NO_TIME = "neither Unix milliseconds nor an ISO 8601 time, such as 2026-01-31T12:00Z"


def parse_timestamp_ms(text: str) -> int:
    """The Unix milliseconds of a text: a number is milliseconds, anything else ISO 8601, in UTC by default.

    >>> parse_timestamp_ms("1704067200000") == parse_timestamp_ms("2024-01-01T00:00:00Z")
    True

    Raises ValueError if it is neither.
    """
    if len(text) > _LONGEST_TIME:
        raise ValueError(f"{text[:_LONGEST_TIME]!r}... is {_NO_TIME}")
    if text.isascii() and text.removeprefix("-").isdigit():
        return int(text)
    try:
        # datetime takes any character as the separator, even the sign of a zone: 2024-01-01+02:00 would be two o'clock.
        date.fromisoformat(_SEPARATOR.split(text, maxsplit=1)[0])
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is {_NO_TIME}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _UNIX_EPOCH) // _MILLISECOND


def format_timestamp(timestamp_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds; "out of range" for a year that datetime does not support.

    >>> format_timestamp(1704067200123)
    '2024-01-01T00:00:00.123Z'
    """
    try:
        moment = _UNIX_EPOCH + timestamp_ms * _MILLISECOND
    except OverflowError:
        return "out of range"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
