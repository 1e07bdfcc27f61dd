"""Bugs of the lease store."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from respid.highwater.stores import HolderLostError, Mark, Survey, lease_space
from respid.highwater.stores import lease as lease_module
from respid.highwater.stores.lease import Lease, LeaseStore
from respid.highwater.stores.lease_space import Silence
from tests.simulation.changes import (
    change_layout,
    change_layout_and_space,
    freeze_beside_a_change,
    miss_the_list_after_a_change,
)
from tests.simulation.clock_events import set_clock
from tests.simulation.events import start
from tests.simulation.handovers import pause_beside_a_change
from tests.simulation.meetings import hold_up_a_start, meet_and_settle, meet_in_two_spaces, mix_layouts
from tests.simulation.plants.registry import Patch, do_nothing, in_the_lease_store
from tests.simulation.scheduler import SECOND, current_process
from tests.simulation.store_events import (
    api_fails,
    api_works,
    damage_mark,
    delete_mark_of_a_running_worker,
    outage_beside_a_rival,
)


@in_the_lease_store()
def lease_store_that_stores_nothing(patch: Patch) -> None:
    patch.setattr(LeaseStore, "extend", do_nothing)
    patch.setattr(LeaseStore, "release", do_nothing)


@in_the_lease_store()
def takeover_without_reading(patch: Patch) -> None:
    load = LeaseStore.load

    async def load_nothing(store: LeaseStore) -> Survey:
        await load(store)
        return Survey(None)

    patch.setattr(LeaseStore, "load", load_nothing)


@in_the_lease_store()
def takeover_at_once(patch: Patch) -> None:
    """A Lease counts as left alone however short it has not changed."""
    patch.setattr(Silence, "is_gone", lambda _silence, _lease: True)


@in_the_lease_store()
def conflict_ignored(patch: Patch) -> None:
    """After a conflict the Lease is written over, whoever has it."""

    async def read_again(store: LeaseStore, wanted: Lease) -> None:
        store._current = await store._api.get(wanted.name)
        await store._compare_and_set(wanted)

    patch.setattr(LeaseStore, "_read_again", read_again)


@in_the_lease_store()
def written_without_comparing(patch: Patch) -> None:
    """The Lease is read before each write, so that its version is always the right one."""
    compare = LeaseStore._compare_and_set

    async def write(store: LeaseStore, wanted: Lease) -> None:
        store._current = await store._api.get(wanted.name)
        await compare(store, wanted)

    patch.setattr(LeaseStore, "_compare_and_set", write)


@in_the_lease_store(api_fails, api_works)
def lost_reply_taken_for_a_takeover(patch: Patch) -> None:
    async def give_up(_store: LeaseStore, wanted: Lease) -> None:
        raise HolderLostError(wanted.name)

    patch.setattr(LeaseStore, "_read_again", give_up)


@in_the_lease_store()
def takeover_taken_for_a_lost_reply(patch: Patch) -> None:
    """After a conflict the write is believed to have been applied."""
    patch.setattr(LeaseStore, "_read_again", do_nothing)


@in_the_lease_store(delete_mark_of_a_running_worker, set_clock)
def deleted_lease_taken_for_written(patch: Patch) -> None:
    again = LeaseStore._read_again

    async def read_again(store: LeaseStore, wanted: Lease) -> None:
        if await store._api.get(wanted.name) is not None:
            await again(store, wanted)

    patch.setattr(LeaseStore, "_read_again", read_again)


@in_the_lease_store(hold_up_a_start)
def layout_not_confirmed(patch: Patch) -> None:
    """Two starts with two layouts may both list the space before either has written."""
    patch.setattr(LeaseStore, "_confirm", do_nothing)


@in_the_lease_store(meet_in_two_spaces)
def other_id_spaces_not_confirmed(patch: Patch) -> None:
    """Two pods of one StatefulSet may both list the Leases before either has written its own."""
    find = LeaseStore._find_objection

    def find_in_own_space(store: LeaseStore, others: Sequence[Lease]) -> tuple[str, str]:
        return find(store, [lease for lease in others if lease.space == store._own.space])

    patch.setattr(LeaseStore, "_find_objection", find_in_own_space)


@in_the_lease_store(hold_up_a_start)
def risen_mark_in_another_id_space_ignored(patch: Patch) -> None:
    """A pod of the StatefulSet may have come and gone there while this start was slow."""
    patch.setattr(LeaseStore, "_reached_elsewhere_ms", lambda _store, _others: 0)


@in_the_lease_store(hold_up_a_start)
def risen_mark_of_another_layout_ignored(patch: Patch) -> None:
    find = LeaseStore._find_objection

    def find_others(store: LeaseStore, others: Sequence[Lease]) -> tuple[str, str]:
        reason, message = find(store, others)
        return ("", "") if message.startswith("the marks of another layout") else (reason, message)

    patch.setattr(LeaseStore, "_find_objection", find_others)


@in_the_lease_store(meet_and_settle)
def objection_that_leaves_the_lease_written(patch: Patch) -> None:
    """Starts that met wait for each other until their Leases have not changed for a reservation."""
    confirm = LeaseStore._confirm

    async def confirm_and_keep(store: LeaseStore, former: Lease) -> None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(store, "_write", do_nothing)
            await confirm(store, former)

    patch.setattr(LeaseStore, "_confirm", confirm_and_keep)


@in_the_lease_store(meet_and_settle)
def lease_given_back_with_the_raised_mark(patch: Patch) -> None:
    """The next start of that worker ID begins ahead of its clock."""
    confirm = LeaseStore._confirm

    async def confirm_raised(store: LeaseStore, former: Lease) -> None:
        await confirm(store, store._current or former)

    patch.setattr(LeaseStore, "_confirm", confirm_raised)


@in_the_lease_store(meet_and_settle)
def stop_that_keeps_the_lease(patch: Patch) -> None:
    async def release(store: LeaseStore, mark_ms: int) -> None:
        await store._write(replace(store._own, ceiling_ms=mark_ms))

    patch.setattr(LeaseStore, "release", release)


@in_the_lease_store(outage_beside_a_rival)
def failed_reads_counted_as_silence(patch: Patch) -> None:
    """An outage costs holders their worker IDs."""
    patch.setattr(Silence, "interrupt", lambda _silence: None)


@in_the_lease_store()
def silence_not_ended_by_a_write(patch: Patch) -> None:
    def note(silence: Silence, leases: Sequence[Lease]) -> None:
        noted = {lease.name: (lease.version, silence._unchanged.get(lease.name, ("", 0))[1]) for lease in leases}
        silence._unchanged = noted
        note_changes(silence, leases)

    note_changes = Silence.note
    patch.setattr(Silence, "note", note)


@in_the_lease_store(change_layout_and_space, start)
def last_mark_taken_for_the_greatest(patch: Patch) -> None:
    def merge(marks: Sequence[Mark], fingerprint: str) -> list[Mark]:
        last = {mark.fingerprint: mark for mark in marks}
        return sorted(last.values(), key=lambda mark: mark.fingerprint != fingerprint)

    patch.setattr(lease_module, "_merge", merge)


@in_the_lease_store(mix_layouts, change_layout)
def other_layouts_ignored(patch: Patch) -> None:
    """Neither the holders of other layouts are seen, nor that their marks rise."""
    patch.setattr(lease_module, "find_other_layout", lambda _others, _own, _silence: None)
    patch.setattr(LeaseStore, "_find_objection", lambda _store, _others: ("", ""))


@in_the_lease_store(change_layout_and_space, hold_up_a_start)
def layouts_in_other_id_spaces_ignored(patch: Patch) -> None:
    """Pods of one StatefulSet may use two layouts, if the ID space changes as well."""

    def find_in_own_space(others: Sequence[Lease], own: Lease) -> list[Lease]:
        return [lease for lease in others if lease.space == own.space]

    patch.setattr(lease_module, "related", find_in_own_space)
    patch.setattr(lease_space, "related", find_in_own_space)


@in_the_lease_store()
def other_workers_marks_ignored(patch: Patch) -> None:
    async def list_none(_store: LeaseStore) -> Sequence[Lease]:
        return ()

    patch.setattr(LeaseStore, "_list_others", list_none)


@in_the_lease_store(damage_mark, change_layout, mix_layouts)
def damaged_lease_makes_all_unknown(patch: Patch) -> None:
    """No layout is refused any more, since one worker's cannot be read."""
    list_others = LeaseStore._list_others

    async def list_readable(store: LeaseStore) -> Sequence[Lease] | None:
        others = await list_others(store)
        return None if any(lease.is_damaged for lease in others or ()) else others

    patch.setattr(LeaseStore, "_list_others", list_readable)


@in_the_lease_store()
def released_too_low(patch: Patch) -> None:
    release = LeaseStore.release
    patch.setattr(LeaseStore, "release", lambda store, mark_ms: release(store, mark_ms - 40))


@in_the_lease_store()
def request_that_crashes(patch: Patch) -> None:
    """A defect of another kind: an exception that nothing expects."""

    async def crash(store: LeaseStore) -> Survey:
        raise KeyError(store.name)

    patch.setattr(LeaseStore, "load", crash)


@in_the_lease_store(freeze_beside_a_change)
def holder_that_does_not_look_again(patch: Patch) -> None:
    """Another layout may have come into use while others considered it gone."""
    confirm = LeaseStore._confirm

    async def confirm_start(store: LeaseStore, former: Lease) -> None:
        if not store._is_holder:
            await confirm(store, former)

    patch.setattr(LeaseStore, "_confirm", confirm_start)


@in_the_lease_store(miss_the_list_after_a_change)
def late_confirmation_that_looks_at_nobody(patch: Patch) -> None:
    """The Leases could not be listed when the holder had written its own."""
    patch.setattr(LeaseStore, "_confirm_later", do_nothing)


@in_the_lease_store(pause_beside_a_change)
def holder_that_trusts_its_clocks(patch: Patch) -> None:
    """It looks at the others only if its clocks show that it was silent for long."""
    extend, confirm = LeaseStore.extend, LeaseStore._confirm
    written_ns: dict[LeaseStore, int] = {}

    async def extend_and_note(store: LeaseStore, ceiling_ms: int) -> None:
        sent_ns = current_process().host.clock.boot_ns()
        await extend(store, ceiling_ms)
        written_ns[store] = sent_ns

    async def confirm_after_silence(store: LeaseStore, former: Lease) -> None:
        silent_ns = current_process().host.clock.boot_ns() - written_ns.get(store, 0)
        if silent_ns * 4 >= store._own.duration_seconds * 3 * SECOND:
            await confirm(store, former)

    patch.setattr(LeaseStore, "extend", extend_and_note)
    patch.setattr(LeaseStore, "_confirm", confirm_after_silence)


@in_the_lease_store()
def lease_one_write_behind(patch: Patch) -> None:
    """Each write has the mark of the one before."""
    extend = LeaseStore.extend
    marks: dict[LeaseStore, int] = {}

    async def extend_late(store: LeaseStore, ceiling_ms: int) -> None:
        former_ms = marks.get(store, ceiling_ms)
        marks[store] = ceiling_ms
        await extend(store, former_ms)

    patch.setattr(LeaseStore, "extend", extend_late)
