"""The first and last IDs of periods, as people write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respid.ids.layout import Layout
from respid.ids.time_range import greatest_id_in, least_id_in, parse_period

LAYOUT = Layout()
START_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
TIMES_MS = st.integers(LAYOUT.epoch_ms, LAYOUT.end_ms - 1)


@pytest.mark.parametrize(
    ("text", "first_ms", "length_ms"),
    [
        ("2024-01-01", START_MS, 86_400_000),
        ("2024-W01-1", START_MS, 86_400_000),
        ("2024-W01", START_MS, 7 * 86_400_000),
        ("2024W01", START_MS, 7 * 86_400_000),
        ("2024-01-01T00", START_MS, 3_600_000),
        ("2024-01-01T00Z", START_MS, 3_600_000),
        ("2024-01-01 00:00", START_MS, 60_000),
        ("2024-01-01T02:00+02:00", START_MS, 60_000),
        ("2024-01-01T02+02:00", START_MS, 3_600_000),
        ("20240101T0000", START_MS, 60_000),
        ("2024-01-01T00:00:00", START_MS, 1000),
        ("2024-01-01T00:00:00Z", START_MS, 1000),
        ("20240101T000000Z", START_MS, 1000),
        ("2024-01-01T00:00:00-00:30", START_MS + 1_800_000, 1000),
        ("2024-01-01T00:00:00.000", START_MS, 1),
        ("2024-01-01T00:00:00.5Z", START_MS + 500, 1),
        ("2024-01-01T00:00:00,123456+00:00", START_MS + 123, 1),
        ("1704067200000", START_MS, 1),
        ("20240101", 20_240_101, 1),
        ("-1", -1, 1),
    ],
)
def test_precision_decides_the_length(text: str, first_ms: int, length_ms: int) -> None:
    assert parse_period(text) == (first_ms, first_ms + length_ms - 1)


def test_between_min_and_max_of_a_day_is_the_day() -> None:
    first, last = least_id_in(LAYOUT, "2026-11-12"), greatest_id_in(LAYOUT, "2026-11-12")
    assert first == least_id_in(LAYOUT, "2026-11-12T00:00:00.000Z")
    assert last == greatest_id_in(LAYOUT, "2026-11-12T23:59:59.999Z")
    assert last + 1 == least_id_in(LAYOUT, "2026-11-13")


@given(TIMES_MS, st.sampled_from(["%Y-%m-%d", "%Y-%m-%dT%H", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ"]))
def test_a_time_lies_in_its_periods(timestamp_ms: int, written: str) -> None:
    period = parse_period(datetime.fromtimestamp(timestamp_ms / 1000, UTC).strftime(written))
    assert period.first_ms <= timestamp_ms <= period.last_ms


@pytest.mark.parametrize("text", ["2020-01-01", "2100-01-01T00:00", "0", "-1", str(10**30)])
def test_times_outside_the_layout_are_repeated(text: str) -> None:
    for find in (least_id_in, greatest_id_in):
        with pytest.raises(ValueError, match=f"^'{text}' is .*; the layout's IDs are from 2024-01-01T00:00:00.000Z to"):
            find(LAYOUT, text)


def test_refuses_other_text_than_times() -> None:
    with pytest.raises(ValueError, match="'yesterday' is neither"):
        least_id_in(LAYOUT, "yesterday")
