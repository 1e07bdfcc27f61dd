"""The simulation can fail: each of these bugs, planted, is found by it."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from respid.highwater.keeper import Keeper
from respid.highwater.stores import HolderLostError, Survey
from respid.highwater.stores.file import FileStore
from respid.highwater.stores.lease import Lease, LeaseStore
from respid.ids.generator import Generator
from respid.ids.reservation import Reservation
from tests.simulation.simulated_disk import SimulatedDisk, SimulatedLock
from tests.simulation.world import (
    FILE_PLACES,
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
    """The ceiling in memory rises when the store has failed."""
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
    """The state file is written over, instead of replaced by one that is complete."""
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
    """The successor starts where its wall clock is, not at the stored ceiling."""
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
    """What is to be released is noted before a first reservation that is still being taken."""

    async def end(keeper: Keeper) -> None:
        keeper._ending = True
        mark_ms = keeper._worker.generator.seal()
        async with keeper._storing:
            if keeper._is_holder:
                await keeper._store.release(mark_ms)
            await keeper._store.close()

    patch.setattr(Keeper, "end", end)


def takeover_without_reading(patch: Patch) -> None:
    """A mark is read, and another one used: as if it were the last that this process has seen."""

    async def load(store: LeaseStore) -> Survey:
        store._current = await store._api.get(store._own.name)
        return Survey(None)

    patch.setattr(LeaseStore, "load", load)


def conflict_ignored(patch: Patch) -> None:
    """After a conflict the Lease is written over, whoever has it."""

    async def read_again(store: LeaseStore, wanted: Lease) -> None:
        store._current = await store._api.get(wanted.name)
        await store._compare_and_set(wanted)

    patch.setattr(LeaseStore, "_read_again", read_again)


def lost_reply_taken_for_a_takeover(patch: Patch) -> None:
    """After a conflict the worker ID is given up, whoever wrote."""

    async def give_up(_store: LeaseStore, wanted: Lease) -> None:
        raise HolderLostError(wanted.name)

    patch.setattr(LeaseStore, "_read_again", give_up)


def expiry_by_the_holders_clock(patch: Patch) -> None:
    """A Lease counts as left alone when its ceiling, by the own wall clock, has passed."""

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


def is_violated(kind: str, seed: int, events: tuple[Event, ...] | list[Step]) -> bool:
    places = FILE_PLACES if kind == "file" else LEASE_PLACES
    random = Random(seed)
    world = World(places, kind, random)
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
LOCKS = (Event.DELETE_LOCK, Event.START)


# Each with the events that bring it to light, in any order, or in the one that is needed: so it takes seconds.
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
    ],
)
def test_a_planted_bug_is_found(
    kind: str, bug: Bug, events: tuple[Event, ...] | list[Step], monkeypatch: Patch
) -> None:
    assert not any(is_violated(kind, seed, events) for seed in range(10)), "without the bug all is well"
    bug(monkeypatch)
    assert any(is_violated(kind, seed, events) for seed in range(3000))
