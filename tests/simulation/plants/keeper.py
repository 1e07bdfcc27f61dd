"""Bugs of the reservation and its keeper."""

from typing import Any

from respid.highwater import keeper as keeper_module
from respid.highwater.clock_watch import ClockWatch
from respid.highwater.floor import find_floor
from respid.highwater.keeper import Keeper
from respid.highwater.stores import HolderLostError, Survey
from respid.highwater.stores.file import FileStore
from respid.highwater.stores.lease import LeaseStore
from respid.ids.generator import Generator
from respid.ids.layout import Layout
from respid.ids.reservation import Reservation
from tests.simulation.changes import (
    change_layout,
    change_layout_of_all,
    change_layout_without_sight,
    join_after_a_change,
)
from tests.simulation.clock_events import (
    clock_ahead_for_a_while,
    correct_clock,
    jump,
    lose_clock,
    lower_the_ceiling,
    reach_the_ceiling,
    set_clock,
)
from tests.simulation.events import replace_after_stop, restart, start, stop
from tests.simulation.meetings import hold_up_a_start, mix_layouts
from tests.simulation.plants.registry import Patch, do_nothing, in_any_store, in_the_lease_store
from tests.simulation.store_events import hear_late_beside_a_rival, interlude


@in_any_store(reach_the_ceiling)
def ceiling_used_before_it_is_stored(patch: Patch) -> None:
    plan = Reservation.due_ceiling_ms

    def plan_and_use(reservation: Reservation, wall_ms: int, age_ms: int) -> int | None:
        ceiling_ms = plan(reservation, wall_ms, age_ms)
        if ceiling_ms is not None:
            reservation.extended(ceiling_ms)
        return ceiling_ms

    patch.setattr(Reservation, "due_ceiling_ms", plan_and_use)


@in_any_store(reach_the_ceiling)
def failed_write_taken_for_confirmed(patch: Patch) -> None:
    fail = Reservation.extension_failed

    def fail_and_use(reservation: Reservation, error: str) -> None:
        fail(reservation, error)
        reservation.extended(reservation._generator.ceiling_ms + 3000)

    patch.setattr(Reservation, "extension_failed", fail_and_use)


@in_any_store()
def reservation_never_extended(patch: Patch) -> None:
    patch.setattr(Reservation, "due_ceiling_ms", lambda _reservation, _wall_ms, _age_ms: None)


@in_any_store(clock_ahead_for_a_while, restart)
def first_ceiling_from_the_clock_only(patch: Patch) -> None:
    """A start in a lead lowers the mark that it has found."""

    def first(reservation: Reservation, mark_ms: int | None, wall_ms: int, above_ms: int = 0) -> int:
        reservation._begin_ms = max(mark_ms or 0, above_ms)
        reservation._sent_ns = reservation._generator.boot_ns
        return wall_ms + reservation._spans.wall_ms

    patch.setattr(Reservation, "first_ceiling_ms", first)


@in_any_store(reach_the_ceiling)
def more_used_than_stored(patch: Patch) -> None:
    extended = Reservation.extended
    patch.setattr(Reservation, "extended", lambda reservation, ceiling_ms: extended(reservation, ceiling_ms + 500))


@in_any_store()
def release_before_the_seal(patch: Patch) -> None:
    async def end(keeper: Keeper) -> None:
        mark_ms = keeper._worker.generator.timestamp_ms + 1
        if keeper._is_holder:
            await keeper._store.release(mark_ms)
        keeper._worker.generator.seal()
        await keeper._store.close()
        keeper._ending = True

    patch.setattr(Keeper, "end", end)


@in_any_store(set_clock, replace_after_stop, start, stop)
def release_of_a_mark_from_before_the_start(patch: Patch) -> None:
    """The mark is noted before a first reservation that is still being taken."""

    async def end(keeper: Keeper) -> None:
        keeper._ending = True
        mark_ms = keeper._worker.generator.seal()
        async with keeper._storing:
            if keeper._is_holder:
                await keeper._store.release(mark_ms)
            await keeper._store.close()

    patch.setattr(Keeper, "end", end)


@in_any_store(set_clock, replace_after_stop)
def release_skipped(patch: Patch) -> None:
    for store in (FileStore, LeaseStore):
        patch.setattr(store, "release", do_nothing)


@in_any_store()
def refused_start_that_releases(patch: Patch) -> None:
    init = Keeper.__init__

    def hold_at_once(keeper: Keeper, *arguments: Any) -> None:
        init(keeper, *arguments)
        keeper._is_holder = True

    patch.setattr(Keeper, "__init__", hold_at_once)


@in_any_store()
def no_seal_when_the_holder_is_lost(patch: Patch) -> None:
    """Issuing goes on until the server ends."""
    extend = Keeper._extend_if_due

    async def extend_unsealed(keeper: Keeper) -> bool:
        generator = keeper._worker.generator
        ceiling_ms = generator._ceiling_ms
        try:
            return await extend(keeper)
        except HolderLostError:
            generator._sealed = False
            generator._ceiling_ms = generator._limit_ms = ceiling_ms + 5000
            generator._end_id = 0
            raise

    patch.setattr(Keeper, "_extend_if_due", extend_unsealed)


@in_any_store(start, interlude)
def lost_holder_tries_again(patch: Patch) -> None:
    """For ever, so that nothing restarts it."""

    class NeverRaisedError(Exception):
        pass

    patch.setattr(keeper_module, "HolderLostError", NeverRaisedError)


@in_any_store(change_layout_without_sight)
def unknown_marks_taken_for_none(patch: Patch) -> None:
    def find(survey: Survey, layout: Layout, **options: Any) -> int | None:
        return find_floor(survey._replace(knows_all=True), layout, **options)

    patch.setattr(keeper_module, "find_floor", find)


@in_any_store(change_layout)
def layout_change_accepted_by_itself(patch: Patch) -> None:
    def find(survey: Survey, layout: Layout, **options: Any) -> int | None:
        return find_floor(survey, layout, **options | {"accepts_change": True})

    patch.setattr(keeper_module, "find_floor", find)


@in_any_store()
def own_mark_ignored_beside_another_layout(patch: Patch) -> None:
    def find(survey: Survey, layout: Layout, **options: Any) -> int | None:
        floor_ms, former_id = find_floor(survey, layout, **options), survey.former_id(layout)
        return floor_ms if floor_ms is None or former_id < 0 else layout.first_above(former_id)

    patch.setattr(keeper_module, "find_floor", find)


@in_any_store(hold_up_a_start)
def former_marks_of_neighbours_ignored(patch: Patch) -> None:
    find = Survey.former_marks
    patch.setattr(Survey, "former_marks", lambda survey, layout: find(survey, layout)[:1])


@in_any_store(join_after_a_change)
def former_ids_of_neighbours_ignored(patch: Patch) -> None:
    def former_id(survey: Survey, layout: Layout) -> int:
        former = [mark.greatest_id() for mark in survey.former_marks(layout)]
        return max([*former, *([survey.own.former_id] if survey.own else [])], default=-1)

    patch.setattr(Survey, "former_id", former_id)


@in_the_lease_store(hear_late_beside_a_rival)
def reservation_counted_from_the_reply(patch: Patch) -> None:
    """Others count from the write, and a reply can take long."""
    extended = Reservation.extended

    def extended_late(reservation: Reservation, ceiling_ms: int) -> None:
        reservation._sent_ns = reservation._generator.boot_ns
        extended(reservation, ceiling_ms)

    patch.setattr(Reservation, "extended", extended_late)


@in_the_lease_store(lose_clock, start, correct_clock)
def no_renewal_while_the_clock_is_wrong(patch: Patch) -> None:
    patch.setattr(Reservation, "renewal_ms", lambda _reservation, _age_ms: None)


@in_any_store()
def clock_that_was_set_back_not_followed(patch: Patch) -> None:
    follow = ClockWatch._follow
    patch.setattr(ClockWatch, "_follow", lambda watch, offset_ns: follow(watch, max(offset_ns, watch._followed_ns)))


@in_any_store(jump, correct_clock)
def jump_followed_at_once(patch: Patch) -> None:
    init = ClockWatch.__init__

    def believe(watch: ClockWatch, *arguments: Any, **options: Any) -> None:
        init(watch, *arguments, **options)
        watch._limit_ms = 1 << 60

    patch.setattr(ClockWatch, "__init__", believe)


@in_any_store(jump, correct_clock)
def clock_never_followed_again(patch: Patch) -> None:
    """After a jump the boot-time clock is used for good."""
    note = ClockWatch._note_step

    def note_and_stay(watch: ClockWatch, step_ms: int, offset_ns: int) -> None:
        since_ns = watch._since_ns
        note(watch, step_ms, offset_ns)
        watch._since_ns = watch._since_ns or since_ns
        watch._confirm_ms = 1 << 40

    patch.setattr(ClockWatch, "_note_step", note_and_stay)


@in_any_store(set_clock, change_layout_of_all, mix_layouts)
def another_layout_not_noticed(patch: Patch) -> None:
    """All marks are taken for marks of the own layout."""

    def find(survey: Survey, *_: Any, **__: Any) -> int | None:
        return survey.own.ceiling_ms if survey.own else None

    patch.setattr(keeper_module, "find_floor", find)


@in_any_store(change_layout_without_sight)
def former_layout_compared_by_time(patch: Patch) -> None:
    """Its IDs can be above those of this layout at the same time: it may have another epoch."""

    def find_time(survey: Survey, layout: Layout, **options: Any) -> int | None:
        marks = [mark.ceiling_ms for mark in (survey.own, *survey.others) if mark]
        return find_floor(survey, layout, **options) and max(marks)

    patch.setattr(keeper_module, "find_floor", find_time)


@in_any_store()
def later_ceiling_from_the_clock_only(patch: Patch) -> None:
    """An extension in a lead lowers the mark below IDs that were issued."""

    def target(reservation: Reservation, wall_ms: int) -> int:
        return min(wall_ms + reservation._spans.wall_ms, reservation._generator.layout.end_ms)

    patch.setattr(Reservation, "_target_ms", target)


@in_the_lease_store(lower_the_ceiling)
def ceiling_lowered_only_when_that_is_confirmed(patch: Patch) -> None:
    """The store may have it without a confirmation."""
    lower, extended = Generator.lower_ceiling, Reservation.extended

    def confirm(reservation: Reservation, ceiling_ms: int) -> None:
        lower(reservation._generator, ceiling_ms)
        extended(reservation, ceiling_ms)

    patch.setattr(Generator, "lower_ceiling", lambda _generator, _ceiling_ms: None)
    patch.setattr(Reservation, "extended", confirm)
