"""Where a worker's IDs may begin, given the marks that its store holds. Pure.

In one layout that is the worker ID's own mark. IDs of two layouts can be equal whatever the worker IDs are, so after a
change of layout all IDs of all workers must lie above all those of the former one.
"""

from respid.highwater.stores import Mark, StoreError, Survey
from respid.ids.layout import Layout
from respid.ids.timestamp import format_timestamp


def find_floor(survey: Survey, layout: Layout, *, now_ms: int, lead_limit_ms: int, accepts_change: bool) -> int | None:
    """The first Unix millisecond in which IDs may be issued; None if no mark sets a bound.

    Raises StoreError if the layout was changed and that was not accepted, or no ID of the new layout would do.
    """
    own, former_marks = survey.own, survey.former_marks(layout)
    own_ms = own.ceiling_ms if own and own.fingerprint == layout.fingerprint and own.is_used() else None
    if former := find_changed(survey, layout):
        if not (accepts_change or survey.is_layout_in_use):
            raise StoreError(
                f"{describe_change(former, layout)}: IDs of the two could be equal; go back to that layout, or stop all"
                " workers and start them with --accept-layout-change"
            )
        if not survey.knows_all:
            former_marks.append(_furthest_possible(former, now_ms, lead_limit_ms))
    former_id = max([survey.former_id(layout), *(mark.greatest_id() for mark in former_marks)])
    if former_id < 0:
        return own_ms
    floor_ms = layout.first_above(former_id)
    reached_ms = max([now_ms, own_ms or 0, *(mark.ceiling_ms for mark in former_marks)]) + lead_limit_ms
    if former_marks and floor_ms > reached_ms + 1:
        raise StoreError(
            f"{describe_change(former_marks[0], layout)}, and IDs of that layout reach up to those that this one would"
            f" issue at {format_timestamp(floor_ms)}: go back to that layout, or use an earlier epoch"
        )
    return max(floor_ms, own_ms or 0)


def find_changed(survey: Survey, layout: Layout) -> Mark | None:
    """A mark of the former layout, if this start changes it; None if not. Raises StoreError."""
    former_marks = survey.former_marks(layout)
    return former_marks[0] if former_marks and _is_change(survey, layout) else None


def describe_change(former: Mark, layout: Layout) -> str:
    return f"a stored high-water mark has layout {former.fingerprint}, and this server is set to {layout.fingerprint}"


def _is_change(survey: Survey, layout: Layout) -> bool:
    """Whether this start changes the layout: of its own mark or, without one, of all the others."""
    if survey.own is not None and survey.own.is_used():
        return survey.own.fingerprint != layout.fingerprint
    return all(mark.fingerprint != layout.fingerprint for mark in survey.others if mark.is_used())


def _furthest_possible(former: Mark, now_ms: int, lead_limit_ms: int) -> Mark:
    """The mark of the worker that was furthest ahead, if all clocks agreed with this one."""
    return former._replace(ceiling_ms=max(former.ceiling_ms, now_ms) + lead_limit_ms)
