"""Points in time as people write them: Unix milliseconds or ISO 8601. Never reads a clock."""

from datetime import UTC, datetime, timedelta

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LONGEST_TIME = 64  # no time is that long; what is longer could only cost time


def parse_timestamp_ms(text: str) -> int:
    """The Unix milliseconds that `text` names: digits are milliseconds, all else is ISO 8601 (UTC unless it says).

    >>> parse_timestamp_ms("1704067200000") == parse_timestamp_ms("2024-01-01T00:00:00Z")
    True

    Raises ValueError when `text` is neither.
    """
    if len(text) > _LONGEST_TIME:
        raise ValueError(f"{text[:_LONGEST_TIME]!r}... is neither Unix milliseconds nor an ISO 8601 time")
    if text.isascii() and text.removeprefix("-").isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither Unix milliseconds nor an ISO 8601 time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _UNIX_EPOCH) // _MILLISECOND


def format_timestamp(timestamp_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds, "out of range" for years that a calendar date cannot hold.

    >>> format_timestamp(1704067200123)
    '2024-01-01T00:00:00.123Z'
    """
    try:
        moment = _UNIX_EPOCH + timestamp_ms * _MILLISECOND
    except OverflowError:
        return "out of range"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
