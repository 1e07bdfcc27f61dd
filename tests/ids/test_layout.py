"""Layouts: parsing and limits, the fields of an ID, and the bounds of a range query."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respid.ids.layout import DEFAULT_EPOCH_MS, YEAR_MS, Layout

layouts = st.builds(
    Layout, st.integers(30, 41), st.integers(0, 10), st.integers(1, 12), st.integers(0, 1_800_000_000_000)
)


@given(layouts, st.data())
def test_decompose_reverses_compose(layout: Layout, data: st.DataObject) -> None:
    timestamp_ms = data.draw(st.integers(layout.epoch_ms, layout.end_ms - 1))
    worker_id = data.draw(st.integers(0, layout.workers - 1))
    sequence = data.draw(st.integers(0, layout.sequence_size - 1))
    identifier = layout.compose(timestamp_ms, worker_id, sequence)
    assert layout.decompose(identifier) == (timestamp_ms, worker_id, sequence)
    assert layout.least_id(timestamp_ms) <= identifier <= layout.greatest_id(timestamp_ms)
    assert 0 <= identifier < 1 << 63


def test_decomposes_known_id() -> None:
    assert Layout().decompose(379216510486319104) == (1_794_479_461_602, 1, 0)


@pytest.mark.parametrize(
    "widths", ["41/10", "41/10/12/1", "a/b/c", "", "41/-1/12", "41 / 10 / 12", "0/10/12", "41/10/0"]
)
def test_refuses_malformed_layout(widths: str) -> None:
    with pytest.raises(ValueError, match="layout"):
        Layout.parse(widths)


def test_refuses_more_than_63_bits() -> None:
    assert Layout.parse("41/10/12").widths == "41/10/12"
    with pytest.raises(ValueError, match="64 bits"):
        Layout.parse("41/10/13")


def test_53_bits_fit_a_double() -> None:
    layout = Layout.parse("41/4/8")
    assert layout.greatest_id(layout.end_ms - 1) == 2**53 - 1


@pytest.mark.parametrize("now_ms", [0, DEFAULT_EPOCH_MS - 1, Layout().end_ms, Layout().end_ms * 2])
def test_accepts_layout_despite_wrong_clock(now_ms: int) -> None:
    Layout().refuse_unusable(DEFAULT_EPOCH_MS, now_ms)


@pytest.mark.parametrize("identifier", [-1, 1 << 63, 1 << 70])
def test_refuses_number_out_of_range(identifier: int) -> None:
    with pytest.raises(ValueError, match="not an ID"):
        Layout().decompose(identifier)


def test_refuses_time_out_of_range() -> None:
    layout = Layout()
    for timestamp_ms in (layout.epoch_ms - 1, layout.end_ms):
        with pytest.raises(ValueError, match="outside the range"):
            layout.least_id(timestamp_ms)


def test_refuses_unusable_layout() -> None:
    layout = Layout()
    released_ms = DEFAULT_EPOCH_MS
    layout.refuse_unusable(released_ms, DEFAULT_EPOCH_MS)
    with pytest.raises(ValueError, match="in the future"):
        layout.refuse_unusable(DEFAULT_EPOCH_MS - 1, DEFAULT_EPOCH_MS)
    layout.refuse_unusable(released_ms, layout.end_ms - YEAR_MS - 1)
    for now_ms in (layout.end_ms - YEAR_MS, layout.end_ms - 1):
        with pytest.raises(ValueError, match="within a year"):
            layout.refuse_unusable(released_ms, now_ms)
    with pytest.raises(ValueError, match="within a year"):
        layout.refuse_unusable(layout.end_ms - YEAR_MS, 0)


def test_range_of_a_layout_is_named() -> None:
    layout = Layout(1, 10, 12, epoch_ms=1_704_067_200_000)
    with pytest.raises(
        ValueError, match=r"outside the range of the layout, 2024-01-01T00:00:00.000Z to 2024-01-01T00:00:00.001Z"
    ):
        layout.least_id(layout.end_ms)


def test_refuses_ids_ahead_of_the_clock_and_names_the_way_out() -> None:
    layout = Layout(epoch_ms=1_704_067_200_000)
    identifier = layout.compose(1_704_067_210_000, 0, 0)
    layout.refuse_above(identifier, now_ms=1_704_067_209_001, lead_limit_ms=1000)
    with pytest.raises(ValueError, match="greater than") as raised:
        layout.refuse_above(identifier, now_ms=1_704_067_200_001, lead_limit_ms=1500)
    assert str(raised.value).endswith(
        "and later, 10 s ahead of the clock, more than the 1.5 s of max clock lead: set the clock if it is wrong,"
        " raise --max-clock-lead, or set --epoch to 2023-12-31T23:59:50.000Z or earlier"
    )


@pytest.mark.parametrize(
    ("now_ms", "way_out"), [(10_001, "--epoch to 1970-01-01T00:00:00.000Z"), (10_000, "another layout")]
)
def test_offers_only_an_epoch_that_can_be_set(now_ms: int, way_out: str) -> None:
    layout = Layout(epoch_ms=1_704_067_200_000)
    with pytest.raises(ValueError, match=rf"or set {way_out}"):
        layout.refuse_above(10_000 << layout.timestamp_shift, now_ms, lead_limit_ms=0)


def test_epoch_that_is_offered_is_accepted() -> None:
    now_ms, identifier = 1_800_000_000_000, 10_000 << Layout().timestamp_shift
    layout = Layout(epoch_ms=now_ms - 1 - 10_000)
    layout.refuse_above(identifier, now_ms, lead_limit_ms=0)
    with pytest.raises(ValueError, match="set --epoch to"):
        Layout(epoch_ms=layout.epoch_ms + 1).refuse_above(identifier, now_ms, lead_limit_ms=0)


def test_refuses_a_number_above_all_ids() -> None:
    layout = Layout(2, 1, 1, epoch_ms=0)
    layout.refuse_no_id_above(layout.greatest_id(layout.end_ms - 2))
    with pytest.raises(ValueError, match="no ID of layout 2/1/1 is greater than 12: use more bits"):
        layout.refuse_no_id_above(layout.least_id(layout.end_ms - 1))


def test_refuses_epoch_before_1970() -> None:
    with pytest.raises(ValueError, match="before 1970"):
        Layout(epoch_ms=-1)
