"""The simulation finds each of these planted bugs."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from respid.highwater.keeper import Keeper
from respid.highwater.stores import HolderLostError, Survey, lease
from respid.highwater.stores.file import FileStore
from respid.highwater.stores.lease import Lease, LeaseStore
from respid.ids.generator import Generator
from respid.ids.reservation import Reservation
from tests.simulation.simulated_disk import SimulatedDisk, SimulatedLock
from tests.simulation.world import (
    FILE_LAYOUT_PLACES,
    FILE_PLACES,
    LAYOUT_PLACES,
    LEASE_PLACES,
    Event,
    Step,
    World,
    random_history,
)

Patch = pytest.MonkeyPatch
Bug = Callable[[Patch], None]


def mark_stored_after_use(patch: Patch) -> None:
    """The ceiling in memory rises before the write is confirmed."""
    plan = Reservation.due_ceiling_ms

    def plan_and_use(reservation: Reservation, wall_ms: int, age_ms: int) -> int | None:
        ceiling_ms = plan(reservation, wall_ms, age_ms)
        if ceiling_ms is not None:
            reservation.extended(ceiling_ms)
        return ceiling_ms

    patch.setattr(Reservation, "due_ceiling_ms", plan_and_use)


def failed_write_taken_for_confirmed(patch: Patch) -> None:
    """The ceiling in memory rises although the store failed."""
    fail = Reservation.extension_failed

    def fail_and_use(reservation: Reservation, error: str) -> None:
        fail(reservation, error)
        reservation.extended(reservation._generator.ceiling_ms + 3000)

    patch.setattr(Reservation, "extension_failed", fail_and_use)


def no_fsync_of_the_file(patch: Patch) -> None:
    patch.setattr(SimulatedDisk, "sync", lambda _disk, _inode: None)


def no_fsync_of_the_directory(patch: Patch) -> None:
    patch.setattr(SimulatedDisk, "sync_directory", lambda _disk, _path: None)


def written_in_place(patch: Patch) -> None:
    """The state file is overwritten instead of replaced by a complete one."""
    write = SimulatedDisk.write_synced

    def write_in_place(disk: SimulatedDisk, path: Path, content: bytes) -> None:
        write(disk, path.with_suffix(".json"), content)
        disk.nonces.setdefault(json.loads(content)["nonce"])

    patch.setattr(SimulatedDisk, "write_synced", write_in_place)
    patch.setattr(SimulatedDisk, "rename", lambda _disk, _source, _target: None)


def ceiling_included(patch: Patch) -> None:
    """`<=` where `<` belongs."""
    rise = Generator.raise_ceiling
    patch.setattr(Generator, "raise_ceiling", lambda generator, ceiling_ms: rise(generator, ceiling_ms + 1))


def start_at_the_clock(patch: Patch) -> None:
    """The successor starts at its wall clock, not at the stored ceiling."""
    begin = Generator.begin
    patch.setattr(Generator, "begin", lambda generator, _floor_ms, ceiling_ms: begin(generator, 0, ceiling_ms))


def release_before_the_seal(patch: Patch) -> None:
    async def end(keeper: Keeper) -> None:
        mark_ms = keeper._worker.generator.timestamp_ms + 1
        if keeper._is_holder:
            await keeper._store.release(mark_ms)
        keeper._worker.generator.seal()
        await keeper._store.close()
        keeper._ending = True

    patch.setattr(Keeper, "end", end)


def release_of_a_mark_from_before_the_start(patch: Patch) -> None:
    """The mark to release is read before the first reservation is complete."""

    async def end(keeper: Keeper) -> None:
        keeper._ending = True
        mark_ms = keeper._worker.generator.seal()
        async with keeper._storing:
            if keeper._is_holder:
                await keeper._store.release(mark_ms)
            await keeper._store.close()

    patch.setattr(Keeper, "end", end)


def takeover_without_reading(patch: Patch) -> None:
    """The stored mark is ignored: the process uses the last one that it has seen."""

    async def load(store: LeaseStore) -> Survey:
        store._current = await store._api.get(store._own.name)
        return Survey(None)

    patch.setattr(LeaseStore, "load", load)


def conflict_ignored(patch: Patch) -> None:
    """After a conflict the Lease is overwritten, whoever holds it."""

    async def read_again(store: LeaseStore, wanted: Lease) -> None:
        store._current = await store._api.get(wanted.name)
        await store._compare_and_set(wanted)

    patch.setattr(LeaseStore, "_read_again", read_again)


def lost_reply_taken_for_a_takeover(patch: Patch) -> None:
    """After a conflict the worker ID is given up, whoever wrote the Lease."""

    async def give_up(_store: LeaseStore, wanted: Lease) -> None:
        raise HolderLostError(wanted.name)

    patch.setattr(LeaseStore, "_read_again", give_up)


def expiry_by_the_holders_clock(patch: Patch) -> None:
    """A Lease counts as expired when its ceiling has passed by the process's own wall clock."""

    async def load(store: LeaseStore) -> Survey:
        lease = store._current = await store._api.get(store._own.name)
        return Survey(lease.mark if lease else None)

    patch.setattr(LeaseStore, "load", load)


def lock_on_the_renamed_file(patch: Patch) -> None:
    read = SimulatedDisk.read
    patch.setattr(SimulatedDisk, "read", lambda disk, path: read(disk, path) or None)  # it is made by locking it
    patch.setattr(FileStore, "_lock_path", FileStore._mark_path)
    patch.setattr(SimulatedLock, "stands", lambda _lock: True)


def lock_not_looked_at_again(patch: Patch) -> None:
    patch.setattr(SimulatedLock, "stands", lambda _lock: True)


def layouts_not_compared(patch: Patch) -> None:
    """A start does not care which layouts are in use."""
    patch.setattr(lease, "find_other_layout", lambda _others, _own, _silence: None)
    patch.setattr(FileStore, "_refuse_other_layouts", lambda _store: False)


def space_not_listed_after_the_write(patch: Patch) -> None:
    """Two that start at once, each with its own layout, do not see each other."""

    async def believe(_store: LeaseStore, _former: Lease) -> None:
        return

    patch.setattr(LeaseStore, "_confirm_layout", believe)


def silent_holder_goes_on(patch: Patch) -> None:
    """A holder that others may consider gone does not look whether another layout came into use."""
    patch.setattr(LeaseStore, "_was_silent", lambda _store, _now_ns: False)


def is_violated(kind: str, seed: int, events: tuple[Event, ...] | list[Step]) -> bool:
    places, random = PLACES[kind], Random(seed)
    world = World(places, kind.split(maxsplit=1)[0], random)
    if isinstance(events, list):
        history = events
        world.draws_every_seconds = (0.002,)
    else:
        history = random_history(random, events, len(places))
    try:
        world.play(history)
    except AssertionError:
        return True
    return False


PLACES = {
    "file": FILE_PLACES,
    "file layouts": FILE_LAYOUT_PLACES,
    "lease": LEASE_PLACES,
    "lease layouts": LAYOUT_PLACES,
}
RESTARTS = (Event.RESTART,)
STOPS = (Event.STOP, Event.START)
OUTAGES = (Event.STORE_FAILS, Event.STORE_WORKS, Event.RESTART)
UP_TO_THE_CEILING = [
    Step(3000, Event.RESTART, 0, -50_000),
    Step(3000, Event.STORE_FAILS, 0),
    Step(6000, Event.STORE_WORKS, 0),
    Step(0, Event.RESTART, 0),
]
STOPPED_AT_THE_START = [
    Step(3000, Event.RESTART, 0),
    Step(100, Event.STOP, 0),
    Step(3000, Event.START, 0, -50_000),
]
LOST_REPLIES = (Event.STORE_FAILS, Event.STORE_WORKS)
POWER = (Event.LOSE_POWER, Event.KILL_WRITING)
TWINS = (Event.START, Event.FREEZE, Event.THAW)
FROZEN_FOR_LONG = [
    Step(3000, Event.FREEZE, 0),
    Step(0, Event.FREEZE, 2),
    Step(15_000, Event.THAW, 0),
]
LOCKS = (Event.DELETE_LOCK, Event.START)


# Each has the events that reveal it, in any order or in the necessary one, so that finding it takes seconds.
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("kind", "bug", "events"),
    [
        ("file", mark_stored_after_use, RESTARTS),
        ("lease", mark_stored_after_use, RESTARTS),
        ("file", failed_write_taken_for_confirmed, OUTAGES),
        ("file", no_fsync_of_the_file, POWER),
        ("file", no_fsync_of_the_directory, POWER),
        ("file", written_in_place, POWER),
        ("file", ceiling_included, UP_TO_THE_CEILING),
        ("file", start_at_the_clock, RESTARTS),
        ("file", release_before_the_seal, STOPS),
        ("lease", release_before_the_seal, STOPS),
        ("file", release_of_a_mark_from_before_the_start, STOPPED_AT_THE_START),
        ("lease", release_of_a_mark_from_before_the_start, STOPS),
        ("lease", takeover_without_reading, TWINS),
        ("lease", conflict_ignored, TWINS),
        ("lease", lost_reply_taken_for_a_takeover, LOST_REPLIES),
        ("lease", expiry_by_the_holders_clock, TWINS),
        ("file", lock_on_the_renamed_file, (Event.START,)),
        ("file", lock_not_looked_at_again, LOCKS),
        ("file layouts", layouts_not_compared, RESTARTS),
        ("lease layouts", layouts_not_compared, RESTARTS),
        ("lease layouts", space_not_listed_after_the_write, RESTARTS),
        ("lease layouts", silent_holder_goes_on, FROZEN_FOR_LONG),
    ],
)
def test_planted_bug_is_found(kind: str, bug: Bug, events: tuple[Event, ...] | list[Step], monkeypatch: Patch) -> None:
    assert not any(is_violated(kind, seed, events) for seed in range(10)), "without the bug all is well"
    bug(monkeypatch)
    assert any(is_violated(kind, seed, events) for seed in range(3000))
