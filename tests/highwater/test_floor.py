"""IDs begin above the own mark and, after a change of layout, above the marks of all workers."""

import pytest

from respid.highwater.floor import find_floor
from respid.highwater.stores import NO_ID, Mark, StoreError, Survey
from respid.ids.layout import Layout

NOW_MS = 1_767_225_600_000  # 2026-01-01
LEAD_MS = 600_000
LAYOUT = Layout()
FORMER = Layout.parse("41/11/11")  # its timestamps are as wide as those of LAYOUT: equal milliseconds, equal IDs


def mark(ceiling_ms: int, layout: Layout = LAYOUT, former_id: int = NO_ID) -> Mark:
    return Mark(ceiling_ms, layout.fingerprint, former_id)


def floor(survey: Survey, layout: Layout = LAYOUT, *, accepts: bool = False) -> int | None:
    return find_floor(survey, layout, now_ms=NOW_MS, lead_limit_ms=LEAD_MS, accepts_change=accepts)


@pytest.mark.parametrize(
    ("survey", "expected_ms"),
    [
        (Survey(None), None),
        (Survey(None, knows_all=False), None),
        (Survey(mark(NOW_MS)), NOW_MS),
        (Survey(mark(LAYOUT.epoch_ms)), None),  # a start that issued nothing
        (Survey(None, (mark(NOW_MS + 5),)), None),  # another worker ID of the same layout
        (Survey(mark(NOW_MS), (mark(NOW_MS + 5),)), NOW_MS),
        (Survey(mark(FORMER.epoch_ms, FORMER)), None),
    ],
)
def test_begins_at_own_mark_in_one_layout(survey: Survey, expected_ms: int | None) -> None:
    assert floor(survey) == expected_ms


@pytest.mark.parametrize(
    "survey",
    [
        Survey(mark(NOW_MS, FORMER)),
        Survey(mark(NOW_MS, FORMER), knows_all=False),
        Survey(mark(NOW_MS, FORMER), (mark(NOW_MS),)),
        Survey(None, (mark(NOW_MS, FORMER),)),
        Survey(mark(LAYOUT.epoch_ms), (mark(NOW_MS, FORMER),)),
    ],
)
def test_refuses_layout_change_without_acceptance(survey: Survey) -> None:
    with pytest.raises(
        StoreError, match=r"has layout 41/11/11@.* stop all workers and start them with --accept-layout"
    ):
        floor(survey)


@pytest.mark.parametrize(
    ("survey", "reached_ms"),
    [
        (Survey(mark(NOW_MS, FORMER)), NOW_MS),
        (Survey(mark(NOW_MS, FORMER), (mark(NOW_MS + 3_600_000, FORMER),)), NOW_MS + 3_600_000),
        (Survey(mark(NOW_MS - 9, FORMER), (mark(NOW_MS - 5, FORMER), mark(NOW_MS + 9))), NOW_MS - 5),
        (Survey(None, (mark(NOW_MS - 5, FORMER), mark(NOW_MS - 7, FORMER))), NOW_MS - 5),
        (Survey(None, (mark(FORMER.end_ms + 5, Layout.parse("35/10/12")),)), None),
    ],
)
def test_begins_above_all_marks_of_former_layout(survey: Survey, reached_ms: int | None) -> None:
    floor_ms = floor(survey, accepts=True)
    assert floor_ms is not None
    if reached_ms is None:
        ended = Layout.parse("35/10/12")
        assert LAYOUT.least_id(floor_ms) > ended.greatest_id(ended.end_ms - 1)
    else:
        assert floor_ms == reached_ms, "no lead: the clock need not be right"
        assert LAYOUT.least_id(floor_ms) > FORMER.greatest_id(reached_ms - 1)


def test_new_worker_id_begins_above_former_layouts() -> None:
    former_id = FORMER.greatest_id(NOW_MS + 5000)
    assert floor(Survey(None, (mark(NOW_MS, former_id=former_id),))) == NOW_MS + 5001
    assert floor(Survey(mark(NOW_MS, former_id=former_id))) == NOW_MS + 5001
    assert floor(Survey(mark(NOW_MS + 9000, former_id=former_id))) == NOW_MS + 9000
    assert floor(Survey(mark(LAYOUT.epoch_ms, former_id=0))) == LAYOUT.epoch_ms + 1


def test_needs_no_acceptance_if_layout_is_running() -> None:
    survey = Survey(mark(NOW_MS, FORMER), (mark(NOW_MS),), is_layout_in_use=True)
    assert floor(survey) == NOW_MS


def test_old_marks_of_others_need_no_acceptance() -> None:
    assert floor(Survey(mark(NOW_MS), (mark(NOW_MS + 7, FORMER),))) == NOW_MS + 7


def test_begins_beyond_the_lead_if_other_marks_are_unknown() -> None:
    assert floor(Survey(mark(NOW_MS - 5, FORMER), knows_all=False), accepts=True) == NOW_MS + LEAD_MS


@pytest.mark.parametrize("former", [Layout.parse("40/11/12"), Layout(epoch_ms=1_672_531_200_000)])
def test_refuses_layout_with_only_lower_ids(former: Layout) -> None:
    with pytest.raises(
        StoreError, match=r"IDs of that layout reach up to those that this one would issue at 20\d\d-.*:"
    ):
        floor(Survey(mark(NOW_MS, former)), accepts=True)


def test_begins_as_far_ahead_as_lead_permits() -> None:
    former = Layout(epoch_ms=LAYOUT.epoch_ms - LEAD_MS - 1)
    assert floor(Survey(mark(NOW_MS, former)), accepts=True) == NOW_MS + LEAD_MS + 1
    with pytest.raises(StoreError, match="IDs of that layout reach up to"):
        floor(Survey(mark(NOW_MS + 1, Layout(epoch_ms=former.epoch_ms - 1))), accepts=True)


def test_refuses_mark_of_unknown_layout() -> None:
    with pytest.raises(StoreError, match="'paper' is not the fingerprint of a layout"):
        floor(Survey(Mark(NOW_MS, "paper")), accepts=True)
