"""Times in the notations that options and commands accept."""

import pytest

from respid.ids.timestamp import format_timestamp, parse_timestamp_ms


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1704067200000", 1704067200000),
        ("2024-01-01T00:00:00Z", 1704067200000),
        ("2024-01-01", 1704067200000),
        ("2024-01-01T01:00:00+01:00", 1704067200000),
        ("2024-01-01 00:00:00.123", 1704067200123),
        ("20240101t000000Z", 1704067200000),
        ("2024-W01T00:00", 1704067200000),
        ("2024-01-01T00:00:00.123999Z", 1704067200123),
        ("1969-12-31T23:59:59.999Z", -1),
        ("-1", -1),
    ],
)
def test_parses_milliseconds_and_iso_8601(text: str, milliseconds: int) -> None:
    assert parse_timestamp_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-13-01", "²", "1e5", "1.5", "--1", "2024-01-01T00:00:00Zjunk", "9" * 5_000]
)
def test_refuses_malformed_time(text: str) -> None:
    with pytest.raises(ValueError, match="neither Unix milliseconds nor") as raised:
        parse_timestamp_ms(text)
    assert len(str(raised.value)) < 150


@pytest.mark.parametrize("text", ["2024-01-01+02:00", "2024-01-01-05:00", "2024-01-01x10:00", "2024-01-01110"])
def test_zone_of_a_date_is_not_taken_for_a_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match="neither Unix milliseconds nor"):
        parse_timestamp_ms(text)


def test_formats_year_beyond_calendar() -> None:
    assert format_timestamp(10**18) == "out of range"


def test_formats_utc_as_z() -> None:
    assert format_timestamp(1704067200123) == "2024-01-01T00:00:00.123Z"


def test_parses_time_of_the_greatest_length() -> None:
    assert parse_timestamp_ms("1704067200123".zfill(64)) == 1704067200123
