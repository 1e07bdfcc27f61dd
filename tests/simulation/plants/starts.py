"""Bugs of starts: above an ID, in an own directory, with a wrong clock, with another reservation or offset."""

from dataclasses import replace

from respid.highwater.keeper import Keeper
from respid.highwater.stores.file import FileStore
from respid.highwater.stores.lease import Lease, LeaseStore
from respid.highwater.stores.lease_space import Silence
from respid.ids.generator import Generator
from respid.ids.layout import Layout
from respid.ids.reservation import Reservation
from tests.simulation.changes import (
    change_own_worker_id,
    change_reserve,
    move_above,
    roll_offset,
    start_above,
    turn_own_worker_id,
    use_own_directory,
)
from tests.simulation.clock_events import boot_without_clock, correct_clock, lose_clock, set_clock
from tests.simulation.events import restart
from tests.simulation.plants.registry import Patch, in_any_store, in_the_file_store, in_the_lease_store
from tests.simulation.store_events import cut_off_beside_a_rival


@in_any_store(start_above, move_above, set_clock)
def start_above_ignored(patch: Patch) -> None:
    patch.setattr(Keeper, "_above_ms", lambda _keeper, _floor_ms, _now_ms: 0)


@in_any_store(start_above, move_above, set_clock)
def start_above_reached_but_not_passed(patch: Patch) -> None:
    """IDs begin in the millisecond of that ID, where some are smaller."""
    above = Keeper._above_ms
    patch.setattr(Keeper, "_above_ms", lambda keeper, floor_ms, now_ms: max(0, above(keeper, floor_ms, now_ms) - 1))


@in_any_store(start_above, move_above, set_clock)
def start_above_compared_with_the_wrong_field(patch: Patch) -> None:
    """The worker ID is taken for a part of the timestamp."""

    def first_above(layout: Layout, identifier: int) -> int:
        return layout.epoch_ms + (identifier >> layout.sequence_bits) + 1 >> layout.worker_bits

    patch.setattr(Layout, "first_above", first_above)


@in_any_store(start_above, restart)
def start_above_not_refused(patch: Patch) -> None:
    """The mark of such a start lies too far ahead for every later one."""
    patch.setattr(Layout, "refuse_above", lambda _layout, _identifier, _now_ms, _limit_ms: None)


@in_any_store(start_above, set_clock, restart)
def start_above_in_place_of_the_mark(patch: Patch) -> None:
    begin = Reservation.begin

    def begin_above(reservation: Reservation, mark_ms: int | None, ceiling_ms: int) -> None:
        begin(reservation, mark_ms if reservation._begin_ms == (mark_ms or 0) else 0, ceiling_ms)

    def first(reservation: Reservation, mark_ms: int | None, wall_ms: int, above_ms: int = 0) -> int:
        reservation._begin_ms = above_ms or mark_ms or 0
        reservation._sent_ns = reservation._generator.boot_ns
        return reservation._ceiling_above(reservation._begin_ms, wall_ms)

    patch.setattr(Reservation, "begin", begin_above)
    patch.setattr(Reservation, "first_ceiling_ms", first)


@in_the_file_store(use_own_directory, change_own_worker_id)
def own_directory_ignored(patch: Patch) -> None:
    patch.setattr(FileStore, "_take_over", lambda _store, others: others)


@in_the_file_store(use_own_directory, change_own_worker_id)
def own_directory_taken_over_by_any_start_above(patch: Patch) -> None:
    """Whether it lies above the mark is not compared."""
    patch.setattr(FileStore, "_starts_above", lambda store, _mark: store._start_above is not None)


@in_the_file_store(turn_own_worker_id)
def former_mark_removed_before_the_own_is_stored(patch: Patch) -> None:
    replace_mark = FileStore._replace_mark

    def remove_and_replace(store: FileStore, content: bytes) -> None:
        store._remove_obsolete()
        replace_mark(store, content)

    patch.setattr(FileStore, "_replace_mark", remove_and_replace)


@in_any_store(boot_without_clock, lose_clock)
def build_date_ignored(patch: Patch) -> None:
    init = Generator.__init__

    def believe(generator: Generator, *arguments: object, **options: object) -> None:
        init(generator, *arguments, **{**options, "earliest_ms": 0})  # type: ignore[arg-type]

    patch.setattr(Generator, "__init__", believe)


@in_any_store(boot_without_clock, lose_clock, correct_clock)
def mark_stored_from_a_clock_past_the_end(patch: Patch) -> None:
    patch.setattr(Generator, "is_plausible", lambda generator, wall_ms: generator._earliest_ms <= wall_ms)


@in_any_store(boot_without_clock, lose_clock, correct_clock)
def start_that_gives_up_without_a_clock(patch: Patch) -> None:
    """It never looks at the wall clock again."""
    look = Keeper._look

    def look_once(keeper: Keeper) -> None:
        if not keeper._is_clock_wrong:
            look(keeper)

    patch.setattr(Keeper, "_look", look_once)


@in_the_lease_store(change_reserve, cut_off_beside_a_rival)
def silence_judged_by_the_own_reservation(patch: Patch) -> None:
    """A holder with a longer reservation seems to be gone while it may still issue IDs."""
    load = LeaseStore._read

    async def read(store: LeaseStore) -> tuple[Lease | None, object]:
        lease, others = await load(store)
        if lease is not None:
            lease = replace(lease, duration_seconds=store._own.duration_seconds)
        return lease, others

    patch.setattr(LeaseStore, "_read", read)


@in_the_lease_store(roll_offset)
def worker_id_taken_from_a_pod_of_the_same_set(patch: Patch) -> None:
    """A rollout that waits goes on, and the former holder still runs."""
    is_gone = Silence.is_gone
    own_sets: list[str] = []
    load = LeaseStore.load

    async def load_of_set(store: LeaseStore) -> object:
        own_sets[:] = [store._own.holder.partition("-")[0]]
        return await load(store)

    def is_gone_or_of_the_set(silence: Silence, lease: Lease) -> bool:
        return is_gone(silence, lease) or lease.holder.partition("-")[0] in own_sets

    patch.setattr(LeaseStore, "load", load_of_set)
    patch.setattr(Silence, "is_gone", is_gone_or_of_the_set)
