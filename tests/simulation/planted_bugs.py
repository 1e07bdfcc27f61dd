"""Bugs, each of which the simulation must find. A bug is a function that plants it, named for what goes wrong."""

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from respid.highwater import keeper as keeper_module
from respid.highwater.clock_watch import ClockWatch
from respid.highwater.keeper import Keeper
from respid.highwater.stores import HolderLostError, Mark, StoreError, Survey
from respid.highwater.stores import disk as disk_module
from respid.highwater.stores import file as file_module
from respid.highwater.stores import lease as lease_module
from respid.highwater.stores.disk import FileLock, LocalDisk
from respid.highwater.stores.file import FileStore
from respid.highwater.stores.lease import Lease, LeaseStore
from respid.highwater.stores.lease_space import Silence
from respid.highwater.stores.mark_file import write_mark
from respid.ids.generator import Generator
from respid.ids.layout import Layout
from respid.ids.reservation import Reservation
from tests.simulation.events import (
    FAULTS,
    Event,
    Fault,
    api_fails,
    api_works,
    change_layout_of_all,
    clock_ahead,
    clock_ahead_for_a_while,
    cut_off,
    damage_mark,
    delete_lock,
    delete_lock_and_start,
    disk_fails,
    disk_works,
    freeze_beside_a_change,
    in_a_call,
    interlude,
    lose_power,
    mix_layouts,
    restart,
    set_clock,
    start,
)
from tests.simulation.system_calls import SYSTEM, SimulatedFile, SimulatedOs

Patch = pytest.MonkeyPatch
Bug = Callable[[Patch], None]


@dataclass(frozen=True)
class PlantedBug:
    """A bug, the stores that can have it, and the faults that bring it to light soon."""

    bug: Bug
    stores: tuple[str, ...]
    faults: tuple[Fault, ...]

    @property
    def name(self) -> str:
        return self.bug.__name__


ALL: list[PlantedBug] = []


def _register(*stores: str) -> Callable[..., Callable[[Bug], Bug]]:
    """A decorator for bugs in these stores. It may be given events, where others would seldom help to find the bug."""

    def register(*events: Event) -> Callable[[Bug], Bug]:
        def add(bug: Bug) -> Bug:
            ALL.append(PlantedBug(bug, stores, (Fault(events),) if events else FAULTS))
            return bug

        return add

    return register


in_any_store = _register("file", "lease")
in_the_file_store = _register("file")
in_the_lease_store = _register("lease")


async def do_nothing(*_: Any) -> None:
    """In place of what should happen."""


# The generator


@in_any_store()
def worker_id_ignored(patch: Patch) -> None:
    init = Generator.__init__

    def ignore(generator: Generator, layout: Layout, worker_id: int, *arguments: Any, **options: Any) -> None:
        init(generator, layout, worker_id, *arguments, **options)
        generator._origin_id = layout.compose(0, 0, 0)

    patch.setattr(Generator, "__init__", ignore)


@in_any_store()
def wall_clock_followed_back(patch: Patch) -> None:
    advance = Generator._advance

    def follow(generator: Generator, now_ms: int, since_ms: int | None, count: int) -> bool:
        if now_ms < generator._timestamp_ms - 20:
            return generator._open(now_ms, count)
        return advance(generator, now_ms, since_ms, count)

    patch.setattr(Generator, "_advance", follow)


@in_any_store()
def sequence_not_advanced_at_times(patch: Patch) -> None:
    """After 1,000 IDs of one process the last one is issued again."""
    take = Generator.take

    def repeat(generator: Generator, count: int, since_ms: int | None = None) -> tuple[int, int]:
        first, taken = take(generator, count, since_ms)
        if taken and generator.ids_issued > 1000 and count == 3:
            generator._next_id -= 1
        return first, taken

    patch.setattr(Generator, "take", repeat)


@in_any_store(set_clock, disk_fails, api_fails, disk_works, api_works, restart, restart)
def ceiling_included(patch: Patch) -> None:
    """`<=` in place of `<`."""
    rise = Generator.raise_ceiling
    patch.setattr(Generator, "raise_ceiling", lambda generator, ceiling_ms: rise(generator, ceiling_ms + 1))


@in_any_store()
def ceiling_ignored(patch: Patch) -> None:
    rise = Generator.raise_ceiling
    patch.setattr(Generator, "raise_ceiling", lambda generator, ceiling_ms: rise(generator, ceiling_ms + 10_000))


@in_the_lease_store(clock_ahead_for_a_while, cut_off, clock_ahead, start)
def ceiling_lowered_only_in_the_store(patch: Patch) -> None:
    patch.setattr(Generator, "lower_ceiling", lambda _generator, _ceiling_ms: None)


@in_any_store()
def lead_not_limited(patch: Patch) -> None:
    init = Generator.__init__

    def unlimited(generator: Generator, *arguments: Any, **options: Any) -> None:
        init(generator, *arguments, **options)
        generator._lead_limit_ms = 1 << 60

    patch.setattr(Generator, "__init__", unlimited)


@in_any_store()
def layout_end_ignored(patch: Patch) -> None:
    def rise(generator: Generator, ceiling_ms: int) -> None:
        if not generator._sealed:
            generator._ceiling_ms = generator._limit_ms = max(generator._ceiling_ms, ceiling_ms)

    def target(reservation: Reservation, wall_ms: int) -> int:
        return reservation._ceiling_above(reservation._generator.timestamp_ms, wall_ms)

    patch.setattr(Generator, "raise_ceiling", rise)
    patch.setattr(Reservation, "_target_ms", target)


@in_any_store()
def seal_that_stops_nothing(patch: Patch) -> None:
    patch.setattr(Generator, "seal", lambda generator: generator._timestamp_ms + 1)


@in_any_store()
def seal_that_says_too_little(patch: Patch) -> None:
    """The last timestamp in place of the one after it."""
    seal = Generator.seal
    patch.setattr(Generator, "seal", lambda generator: seal(generator) - 1)


@in_any_store()
def start_at_the_clock(patch: Patch) -> None:
    """The successor begins at its wall clock, not at the stored mark."""
    begin = Generator.begin
    patch.setattr(Generator, "begin", lambda generator, _floor_ms, ceiling_ms: begin(generator, 0, ceiling_ms))


@in_any_store()
def start_below_the_mark(patch: Patch) -> None:
    begin = Generator.begin
    patch.setattr(
        Generator, "begin", lambda generator, floor_ms, ceiling_ms: begin(generator, floor_ms - 1, ceiling_ms)
    )


@in_any_store()
def late_waiter_served_below_the_last(patch: Patch) -> None:
    """A request that has waited gets IDs of the millisecond in which it began to, whatever was issued since."""
    advance = Generator._advance

    def go_back(generator: Generator, now_ms: int, since_ms: int | None, count: int) -> bool:
        if since_ms is not None and since_ms < generator._timestamp_ms <= now_ms and count == 7:
            return generator._open(since_ms, count)
        return advance(generator, now_ms, since_ms, count)

    patch.setattr(Generator, "_advance", go_back)


# The reservation and its keeper


@in_any_store()
def ceiling_used_before_it_is_stored(patch: Patch) -> None:
    plan = Reservation.due_ceiling_ms

    def plan_and_use(reservation: Reservation, wall_ms: int, age_ms: int) -> int | None:
        ceiling_ms = plan(reservation, wall_ms, age_ms)
        if ceiling_ms is not None:
            reservation.extended(ceiling_ms)
        return ceiling_ms

    patch.setattr(Reservation, "due_ceiling_ms", plan_and_use)


@in_any_store(disk_fails, disk_works, api_fails, api_works, restart)
def failed_write_taken_for_confirmed(patch: Patch) -> None:
    fail = Reservation.extension_failed

    def fail_and_use(reservation: Reservation, error: str) -> None:
        fail(reservation, error)
        reservation.extended(reservation._generator.ceiling_ms + 3000)

    patch.setattr(Reservation, "extension_failed", fail_and_use)


@in_any_store()
def reservation_never_extended(patch: Patch) -> None:
    patch.setattr(Reservation, "due_ceiling_ms", lambda _reservation, _wall_ms, _age_ms: None)


@in_any_store()
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


@in_any_store()
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


@in_any_store()
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


@in_any_store()
def jump_followed_at_once(patch: Patch) -> None:
    init = ClockWatch.__init__

    def believe(watch: ClockWatch, *arguments: Any, **options: Any) -> None:
        init(watch, *arguments, **options)
        watch._limit_ms = 1 << 60

    patch.setattr(ClockWatch, "__init__", believe)


@in_any_store()
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


# The file store


@in_the_file_store()
def file_store_that_stores_nothing(patch: Patch) -> None:
    patch.setattr(FileStore, "extend", do_nothing)
    patch.setattr(FileStore, "release", do_nothing)


@in_the_file_store()
def file_store_that_reads_nothing(patch: Patch) -> None:
    patch.setattr(FileStore, "_read_own", lambda _store: None)


@in_the_file_store()
def no_fsync_of_the_file(patch: Patch) -> None:
    patch.setattr(SimulatedOs, "fsync", lambda system, descriptor: system.fstat(descriptor))


@in_the_file_store()
def no_fsync_of_the_directory(patch: Patch) -> None:
    patch.setattr(LocalDisk, "sync_directory", lambda _disk, _path: None)


@in_the_file_store(in_a_call(lose_power))
def fsync_after_the_rename(patch: Patch) -> None:
    rename = LocalDisk.rename

    def rename_and_sync(disk: LocalDisk, source: Path, target: Path) -> None:
        rename(disk, source, target)
        disk.sync_directory(target.parent)
        descriptor = disk_module._open_regular(target, os.O_RDONLY)
        SYSTEM.fsync(descriptor)
        SYSTEM.close(descriptor)

    def write(_disk: LocalDisk, path: Path, content: bytes) -> None:
        path.unlink(missing_ok=True)
        descriptor = disk_module._open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with SYSTEM.fdopen(descriptor, "wb") as file:
            file.write(content)

    patch.setattr(LocalDisk, "write_synced", write)
    patch.setattr(LocalDisk, "rename", rename_and_sync)


@in_the_file_store()
def written_in_place(patch: Patch) -> None:
    """The state file is written over, instead of replaced by one that is complete."""
    write = LocalDisk.write_synced
    patch.setattr(
        LocalDisk, "write_synced", lambda disk, path, content: write(disk, path.with_suffix(".json"), content)
    )
    patch.setattr(LocalDisk, "rename", lambda _disk, _source, _target: None)


@in_the_file_store(disk_fails, disk_works, lose_power)
def failed_fsync_tried_again_on_the_same_file(patch: Patch) -> None:
    """The kernel has dropped what was written, and reports success."""
    fsync = SimulatedOs.fsync

    def try_again(system: SimulatedOs, descriptor: int) -> None:
        with contextlib.suppress(OSError):
            fsync(system, descriptor)
            return
        fsync(system, descriptor)

    patch.setattr(SimulatedOs, "fsync", try_again)


@in_the_file_store(disk_fails, disk_works)
def short_write_not_noticed(patch: Patch) -> None:
    flush = SimulatedFile.flush

    def flush_some(file: SimulatedFile) -> None:
        try:
            flush(file)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    patch.setattr(SimulatedFile, "flush", flush_some)


@in_the_file_store()
def error_of_a_write_ignored(patch: Patch) -> None:
    write = FileStore._write

    def write_if_possible(store: FileStore, ceiling_ms: int) -> None:
        with contextlib.suppress(StoreError):
            write(store, ceiling_ms)

    patch.setattr(FileStore, "_write", write_if_possible)


@in_the_file_store(lose_power, in_a_call(lose_power))
def state_directory_not_synced_into_its_parent(patch: Patch) -> None:
    def make(_disk: LocalDisk, path: Path) -> None:
        if not path.is_dir():
            path.mkdir(0o700, exist_ok=True)

    patch.setattr(LocalDisk, "make_directory", make)


@in_the_file_store()
def no_lock(patch: Patch) -> None:
    class NoLock:
        def stands(self) -> bool:
            return True

        def release(self) -> None:
            pass

    patch.setattr(LocalDisk, "lock", lambda _disk, _path, _holder: NoLock())
    patch.setattr(LocalDisk, "claim", lambda _disk, _path: NoLock())


@in_the_file_store()
def lock_on_the_renamed_file(patch: Patch) -> None:
    read = LocalDisk.read
    patch.setattr(LocalDisk, "read", lambda disk, path: read(disk, path) or None)  # locking creates it
    patch.setattr(FileStore, "_lock_path", FileStore._mark_path)
    patch.setattr(FileLock, "stands", lambda _lock: True)


@in_the_file_store(delete_lock, start, delete_lock_and_start)
def lock_not_checked_again(patch: Patch) -> None:
    patch.setattr(FileLock, "stands", lambda _lock: True)


def _skip_check(patch: Patch, *numbers: int) -> None:
    """Skips some of the holder checks of a write."""
    write, stay = FileStore._write, FileStore._stay_holder
    checks: dict[FileStore, int] = {}

    def count(store: FileStore, ceiling_ms: int) -> None:
        checks[store] = 0
        write(store, ceiling_ms)

    def check(store: FileStore) -> None:
        checks[store] += 1
        if checks[store] not in numbers:
            stay(store)

    patch.setattr(FileStore, "_write", count)
    patch.setattr(FileStore, "_stay_holder", check)


@in_the_file_store(in_a_call(interlude))
def no_holder_check_after_the_file_is_written(patch: Patch) -> None:
    """The second one: another process may have become the holder while the temporary file was written."""
    _skip_check(patch, 2)


@in_the_file_store()
def no_holder_check(patch: Patch) -> None:
    _skip_check(patch, 1, 2, 3)


@in_the_file_store()
def foreign_nonce_ignored(patch: Patch) -> None:
    patch.setattr(FileStore, "_refuse_foreign_mark", lambda _store: None)


@in_the_file_store(damage_mark)
def damaged_mark_taken_for_none(patch: Patch) -> None:
    read = FileStore._read_own

    def read_or_none(store: FileStore) -> Any:
        with contextlib.suppress(StoreError):
            return read(store)

    patch.setattr(FileStore, "_read_own", read_or_none)


@in_the_file_store()
def lock_released_before_the_end(patch: Patch) -> None:
    """The mark of the end is written without the lock."""
    write = FileStore._write

    async def release(store: FileStore, mark_ms: int) -> None:
        await store.close()
        await asyncio.sleep(0.5)
        patch.setattr(FileStore, "_stay_holder", lambda _store: None)
        await asyncio.to_thread(write, store, mark_ms)

    patch.setattr(FileStore, "release", release)


@in_the_file_store()
def neighbours_of_another_layout_ignored(patch: Patch) -> None:
    patch.setattr(FileStore, "_read_others", lambda _store: {})


@in_the_file_store()
def running_layout_ignored(patch: Patch) -> None:
    patch.setattr(FileStore, "_refuse_other_layouts", lambda _store: False)


@in_the_file_store(set_clock, change_layout_of_all, mix_layouts)
def former_layouts_forgotten(patch: Patch) -> None:
    """A mark no longer says how far other layouts have reached."""
    patch.setattr(
        file_module,
        "write_mark",
        lambda worker_id, mark, nonce: write_mark(worker_id, Mark(mark.ceiling_ms, mark.fingerprint), nonce),
    )


# The lease store


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


@in_the_lease_store()
def lost_reply_taken_for_a_takeover(patch: Patch) -> None:
    async def give_up(_store: LeaseStore, wanted: Lease) -> None:
        raise HolderLostError(wanted.name)

    patch.setattr(LeaseStore, "_read_again", give_up)


@in_the_lease_store()
def takeover_taken_for_a_lost_reply(patch: Patch) -> None:
    """After a conflict the write is believed to have been applied."""
    patch.setattr(LeaseStore, "_read_again", do_nothing)


@in_the_lease_store()
def deleted_lease_taken_for_written(patch: Patch) -> None:
    again = LeaseStore._read_again

    async def read_again(store: LeaseStore, wanted: Lease) -> None:
        if await store._api.get(wanted.name) is not None:
            await again(store, wanted)

    patch.setattr(LeaseStore, "_read_again", read_again)


@in_the_lease_store()
def layout_not_confirmed(patch: Patch) -> None:
    """Two starts with two layouts may both list the space before either has written."""
    patch.setattr(LeaseStore, "_confirm_layout", do_nothing)


@in_the_lease_store()
def other_layouts_ignored(patch: Patch) -> None:
    patch.setattr(lease_module, "find_other_layout", lambda _others, _own, _silence: None)


@in_the_lease_store()
def other_workers_marks_ignored(patch: Patch) -> None:
    async def list_none(_store: LeaseStore) -> Sequence[Lease]:
        return ()

    patch.setattr(LeaseStore, "_list_others", list_none)


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
def silent_holder_that_goes_on(patch: Patch) -> None:
    """It does not check whether another layout came into use while others may have considered it gone."""
    patch.setattr(LeaseStore, "_was_silent", lambda _store, _now_ns: False)
