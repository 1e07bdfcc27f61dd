"""Bugs of the file store."""

import asyncio
import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from respid.highwater.keeper import Keeper
from respid.highwater.stores import Mark, StoreError, Survey
from respid.highwater.stores import disk as disk_module
from respid.highwater.stores import file as file_module
from respid.highwater.stores.disk import FileLock, LocalDisk, Lock
from respid.highwater.stores.file import FileStore
from respid.highwater.stores.mark_file import write_mark
from tests.simulation.changes import change_layout, join_after_a_change
from tests.simulation.clock_events import set_clock
from tests.simulation.events import in_a_call, lose_power, start
from tests.simulation.handovers import meet_in_a_write, return_by_hand, stop_in_a_first_write
from tests.simulation.meetings import (
    hold_up_a_start,
    interlude_of_another_layout,
    mix_layouts,
    start_together,
)
from tests.simulation.plants.registry import Patch, do_nothing, in_the_file_store
from tests.simulation.store_events import (
    damage_mark,
    delete_lock,
    delete_lock_and_start,
    delete_mark_of_a_running_worker,
    disk_fails,
    disk_works,
    interlude,
)
from tests.simulation.system_calls import SYSTEM, SimulatedFile, SimulatedOs


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


@in_the_file_store(set_clock, lose_power)
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


@in_the_file_store(disk_fails, disk_works, lose_power, in_a_call(lose_power))
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

        def make_room(self) -> None:
            pass

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
    """Nor is the mark that it guards, between two writes."""
    patch.setattr(FileLock, "stands", lambda _lock: True)
    patch.setattr(FileStore, "stands", lambda _store: True)


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


@in_the_file_store(meet_in_a_write)
def no_holder_check_after_the_rename(patch: Patch) -> None:
    """The third one: a new holder has read the former mark, so the one that is in place now is void."""
    _skip_check(patch, 3)


@in_the_file_store()
def no_holder_check(patch: Patch) -> None:
    _skip_check(patch, 1, 2, 3)


@in_the_file_store(start_together)
def starts_in_one_directory_not_serialized(patch: Patch) -> None:
    """One looks at another one's lock just when that one takes it, which is refused."""
    patch.setattr(FileStore, "_directory_locked", lambda _store: contextlib.nullcontext())


@in_the_file_store(hold_up_a_start)
def locks_looked_at_after_the_marks(patch: Patch) -> None:
    """A worker of another layout may have raised its mark and ended in between."""

    def survey(store: FileStore) -> Survey:
        own = store._read_own()
        others, knows_all = store._read_others()
        is_layout_in_use = store._refuse_other_layouts()
        return Survey(own.mark if own else None, tuple(others.values()), is_layout_in_use, knows_all)

    patch.setattr(FileStore, "_survey", survey)


@in_the_file_store(interlude, delete_lock_and_start)
def foreign_nonce_ignored(patch: Patch) -> None:
    patch.setattr(FileStore, "_refuse_foreign_mark", lambda _store: None)


@in_the_file_store(damage_mark)
def damaged_mark_taken_for_none(patch: Patch) -> None:
    read = FileStore._read_own

    def read_or_none(store: FileStore) -> Any:
        with contextlib.suppress(StoreError):
            return read(store)

    patch.setattr(FileStore, "_read_own", read_or_none)


@in_the_file_store(delete_mark_of_a_running_worker, set_clock)
def deleted_mark_noticed_late(patch: Patch) -> None:
    """At the next extension. A worker that is killed before that leaves none."""
    patch.setattr(FileStore, "stands", lambda store: store._lock is None or store._lock.stands())


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
    patch.setattr(FileStore, "_read_others", lambda _store: ({}, True))


@in_the_file_store(change_layout, mix_layouts)
def running_layout_ignored(patch: Patch) -> None:
    patch.setattr(FileStore, "_refuse_other_layouts", lambda _store: False)


@in_the_file_store(mix_layouts)
def lock_does_not_name_the_layout(patch: Patch) -> None:
    """The layout of a worker that has no mark yet is unknown."""
    patch.setattr(FileStore, "_describe", lambda _store: "pid 1")


@in_the_file_store()
def nonce_not_checked_when_the_lock_is_taken_again(patch: Patch) -> None:
    retake = FileStore._retake_lock

    def retake_unchecked(store: FileStore) -> Lock:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(store, "_refuse_foreign_mark", lambda: None)
            return retake(store)

    patch.setattr(FileStore, "_retake_lock", retake_unchecked)


@in_the_file_store(interlude_of_another_layout)
def layout_that_came_and_went_ignored(patch: Patch) -> None:
    """While the lock was gone."""
    patch.setattr(FileStore, "_refuse_layouts_that_came", lambda _store: None)


@in_the_file_store(join_after_a_change)
def former_layouts_forgotten(patch: Patch) -> None:
    """A mark no longer says how far other layouts have reached."""
    patch.setattr(
        file_module,
        "write_mark",
        lambda worker_id, mark, nonce: write_mark(worker_id, Mark(mark.ceiling_ms, mark.fingerprint), nonce),
    )


@in_the_file_store(return_by_hand)
def former_mark_removed_while_it_is_used(patch: Patch) -> None:
    """A worker that somebody has started meanwhile loses its mark and its lock."""
    remove = FileStore._remove_obsolete

    def remove_all(store: FileStore) -> None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(store._disk, "holder", lambda _path: None)
            remove(store)

    patch.setattr(FileStore, "_remove_obsolete", remove_all)


@in_the_file_store(stop_in_a_first_write)
def lock_released_during_a_write(patch: Patch) -> None:
    """An end waits for the write in progress twice: the keeper does, and so does the store."""

    async def end(keeper: Keeper) -> None:
        keeper._ending = True
        keeper._worker.generator.seal()
        if keeper._is_holder:
            await keeper._store.release(keeper._worker.generator.seal())
        await keeper._store.close()

    def release(store: FileStore) -> None:
        for lock in (store._lock, store._claim):
            if lock is not None:
                lock.release()
        store._lock = store._claim = None

    patch.setattr(Keeper, "end", end)
    patch.setattr(FileStore, "_release", release)
