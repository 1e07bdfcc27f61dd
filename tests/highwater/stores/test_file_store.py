"""The file store: one holder at a time, a mark that survives, and never a silent reset."""

import asyncio
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from respid.highwater.stores import HolderLostError, Mark, StoreError, Survey, disk, file
from respid.highwater.stores.disk import Claim, Disk, LocalDisk, LockedError
from respid.highwater.stores.file import FileStore
from respid.ids.layout import Layout
from respid.ids.reservation import ReserveSpans
from tests.support.running import WAIT_SECONDS

LAYOUT = Layout()
MARK_MS = 1_800_000_000_000
MARK = Mark(MARK_MS, LAYOUT.fingerprint)


class NoClaim:
    def make_room(self) -> None:
        pass

    def release(self) -> None:
        pass


class ClaimlessDisk(LocalDisk):
    """The disk as seen by two containers that share a directory, but not their network namespace."""

    def claim(self, _path: Path) -> Claim:
        return NoClaim()


def make_store(
    directory: Path, worker_id: int = 3, *, layout: Layout = LAYOUT, disk: Disk | None = None, **options: Any
) -> FileStore:
    return FileStore(directory, worker_id, layout, disk, **options)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return make_store(tmp_path)


@pytest.fixture
def state_path(tmp_path: Path) -> Path:
    return tmp_path / "worker-3.json"


async def test_first_start_creates_directory_without_mark(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a" / "b")
    assert (await store.load()).own is None
    await store.extend(MARK_MS)
    await store.release(MARK_MS)
    await store.close()
    assert (await make_store(tmp_path / "a" / "b").load()).own == MARK


async def test_loads_last_stored_mark(store: FileStore, tmp_path: Path) -> None:
    await store.load()
    await store.extend(MARK_MS + 3000)
    await store.extend(MARK_MS + 6000)
    await store.release(MARK_MS)
    await store.close()
    assert (await make_store(tmp_path).load()).own == MARK


async def test_worker_ids_have_own_marks_and_locks(store: FileStore, tmp_path: Path) -> None:
    await store.load()
    await store.extend(MARK_MS)
    assert (await make_store(tmp_path, worker_id=4).load()).own is None


HOLD = """
import asyncio, sys
from pathlib import Path
from typing import Any
from respid.ids.layout import Layout
from respid.ids.reservation import ReserveSpans
from respid.highwater.stores.file import FileStore
store = FileStore(Path(sys.argv[1]), 3, Layout())
asyncio.run(store.load())
asyncio.run(store.extend(int(sys.argv[2])))
print("holds", flush=True)
sys.stdin.read()
"""


async def test_refuses_second_process_until_first_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path), str(MARK_MS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds\n"
        with pytest.raises(StoreError, match=f"worker ID 3 is in use by pid {holder.pid} .*--worker-id"):
            await make_store(tmp_path).load()
        holder.send_signal(signal.SIGKILL)
    assert (await make_store(tmp_path).load()).own == MARK


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\0" * 512, "it is not JSON"),
        (b'{"format": "respid high-wat', "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[]", "it is not a high-water mark of respid"),
        (b'{"ceiling_ms": 5}', "it is not a high-water mark of respid"),
        ({"version": "2"}, "it has version '2'; this respid reads 1"),
        ({"version": 0}, "it has version 0; this respid reads 1"),
        ({"version": 10**26}, "it has version 1000"),
        ({"ceiling_ms": -1}, "its ceiling_ms is -1"),
        ({"ceiling_ms": True}, "its ceiling_ms is True"),
        ({"ceiling_ms": "5"}, "its ceiling_ms is '5'"),
        ({"worker_id": 4}, "it belongs to worker ID 4"),
        ({"layout": None}, "its layout is None"),
        ({"layout": "paper"}, "its layout is 'paper'"),
        ({"former_id": -2}, "its former_id is -2"),
        ({"nonce": [1]}, "its nonce is [1]"),
        ({"ceiling_ms": 10**26}, "its ceiling_ms is 1000"),
        (b"[" * 100_000, "it is not JSON"),
    ],
)
async def test_refuses_and_keeps_damaged_file(
    store: FileStore, state_path: Path, content: bytes | dict[str, object], reason: str
) -> None:
    if isinstance(content, dict):
        good = {"format": "respid high-water mark", "version": 1, "worker_id": 3, "ceiling_ms": MARK_MS, "nonce": ""}
        content = json.dumps(good | {"layout": LAYOUT.fingerprint} | content).encode()
    state_path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        await store.load()
    assert str(caught.value).startswith(f"{state_path} is damaged: {reason}")
    assert "\n" not in str(caught.value)
    assert state_path.read_bytes() == content


async def test_mark_of_a_newer_release_is_not_to_be_removed(store: FileStore, state_path: Path) -> None:
    state_path.write_text('{"format": "respid high-water mark", "version": 2}')
    with pytest.raises(
        StoreError, match=r"was written by a newer release of respid: it has version 2.*do not remove it"
    ):
        await store.load()


async def test_loads_layout_of_mark(store: FileStore, tmp_path: Path) -> None:
    await store.load()
    await store.extend(MARK_MS)
    await store.release(MARK_MS)
    await store.close()
    other = FileStore(tmp_path, 3, Layout.parse("41/4/8"))
    assert (await other.load()).own == MARK


@pytest.mark.parametrize("name", ["directory", "worker-3.lock"])
async def test_error_names_path_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "directory"
    path = directory if name == "directory" else directory / name
    if path == directory:
        path.write_text("a file where the directory should be")
    else:
        path.mkdir(parents=True)
    with pytest.raises(StoreError, match=f"cannot use {path}: .*; make {directory} a local directory that this user"):
        await make_store(directory).load()


class RecordingDisk(LocalDisk):
    """The local disk, which can fail, and records the order of its operations."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails_at = ""

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call == self.fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write_synced(self, path: Path, content: bytes) -> None:
        self._note("write")
        super().write_synced(path, content)

    def rename(self, source: Path, target: Path) -> None:
        self._note("rename")
        super().rename(source, target)

    def sync_directory(self, path: Path) -> None:
        self._note("sync directory")
        super().sync_directory(path)


async def test_syncs_mark_then_renames_then_syncs_directory(tmp_path: Path) -> None:
    disk = RecordingDisk()
    store = FileStore(tmp_path, 3, LAYOUT, disk)
    await store.load()
    await store.extend(MARK_MS)
    assert disk.calls == ["write", "rename", "sync directory"]


@pytest.mark.parametrize("step", ["write", "rename", "sync directory"])
async def test_full_disk_keeps_stored_mark(tmp_path: Path, step: str) -> None:
    disk = RecordingDisk()
    store = FileStore(tmp_path, 3, LAYOUT, disk)
    await store.load()
    await store.extend(MARK_MS)
    disk.fails_at = step
    with pytest.raises(
        StoreError, match=r"cannot write .*: No space left on device; make room there, or set --state-dir"
    ):
        await store.extend(MARK_MS + 3000)
    stored = json.loads((tmp_path / "worker-3.json").read_bytes())["ceiling_ms"]
    assert stored == (MARK_MS + 3000 if step == "sync directory" else MARK_MS)
    disk.fails_at = ""
    await store.extend(MARK_MS + 6000)
    await store.release(MARK_MS + 6000)
    await store.close()


def test_flushes_file_before_write_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append((tmp_path / "file").read_bytes()))
    LocalDisk().write_synced(tmp_path / "file", b"content")
    LocalDisk().sync_directory(tmp_path)
    assert synced == [b"content", b"content"]


def test_file_that_is_missing_is_removed(tmp_path: Path) -> None:
    LocalDisk().remove(tmp_path / "missing")


def test_lock_does_not_stand_behind_a_link(tmp_path: Path) -> None:
    path = tmp_path / "worker-3.lock"
    lock = LocalDisk().lock(path, "pid 7")
    assert lock.stands()
    path.rename(tmp_path / "moved.lock")
    path.symlink_to(tmp_path / "moved.lock")
    assert not lock.stands()
    lock.release()


async def test_syncs_parents_of_new_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(LocalDisk, "sync_directory", lambda _disk, path: synced.append(path))
    await make_store(tmp_path / "a" / "b").load()
    assert synced == [tmp_path, tmp_path / "a"]


@pytest.mark.parametrize("when", ["before the first write", "later"])
async def test_detects_foreign_mark_while_holding_lock(
    store: FileStore, tmp_path: Path, state_path: Path, when: str
) -> None:
    """As on a file system whose locks do not work across machines."""
    former = make_store(tmp_path)
    await former.load()
    await former.extend(MARK_MS)
    await former.close()
    assert (await store.load()).own == MARK
    if when == "later":
        await store.extend(MARK_MS + 1000)
    state = json.loads(state_path.read_bytes())
    state_path.write_text(json.dumps(state | {"nonce": "another"}))
    for write in (store.extend, store.release):
        with pytest.raises(HolderLostError, match="worker ID 3 was taken by another process"):
            await write(MARK_MS + 3000)


@pytest.mark.parametrize("content", ["paper", "[" * 100_000])
async def test_rewrites_mark_damaged_while_running(
    store: FileStore, state_path: Path, tmp_path: Path, content: str
) -> None:
    await store.load()
    await store.extend(MARK_MS - 1000)
    state_path.write_text(content)
    await store.extend(MARK_MS)
    await store.close()
    assert (await make_store(tmp_path).load()).own == MARK


async def test_recreates_deleted_directory_with_mark(
    store: FileStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await store.load()
    await store.extend(MARK_MS)
    for path in tmp_path.iterdir():
        path.unlink()
    tmp_path.rmdir()
    await store.extend(MARK_MS + 3000)
    with pytest.raises(StoreError, match="in use by pid"):
        await make_store(tmp_path).load()
    assert [getattr(record, "event", "") for record in caplog.records] == ["state_dir_retaken"]


@pytest.mark.parametrize("successor_runs", [True, False])
async def test_stops_if_replaced_lock_had_other_holder(tmp_path: Path, *, successor_runs: bool) -> None:
    store = make_store(tmp_path, disk=ClaimlessDisk())
    await store.load()
    await store.extend(MARK_MS)
    (tmp_path / "worker-3.lock").unlink()
    successor = make_store(tmp_path, disk=ClaimlessDisk())
    await successor.load()
    await successor.extend(MARK_MS + 3000)
    if not successor_runs:
        await successor.release(MARK_MS + 1)
        await successor.close()
    with pytest.raises(HolderLostError, match="worker ID 3 was taken by"):
        await store.extend(MARK_MS + 6000)
    with pytest.raises(HolderLostError, match="worker ID 3 was taken by"):
        await store.release(MARK_MS)
    assert json.loads((tmp_path / "worker-3.json").read_bytes())["ceiling_ms"] != MARK_MS


async def test_rejects_mark_stored_after_takeover(tmp_path: Path) -> None:
    successor = make_store(tmp_path, disk=ClaimlessDisk())

    class OvertakenDisk(ClaimlessDisk):
        def rename(self, source: Path, target: Path) -> None:
            (tmp_path / "worker-3.lock").unlink(missing_ok=True)
            successor._load()
            super().rename(source, target)

    store = FileStore(tmp_path, 3, LAYOUT, OvertakenDisk())
    await store.load()
    with pytest.raises(HolderLostError, match="worker ID 3 was taken by"):
        await store.extend(MARK_MS)


@pytest.mark.parametrize("how", ["removed", "replaced", "written over"])
async def test_notices_that_its_mark_is_gone(store: FileStore, state_path: Path, how: str) -> None:
    await store.load()
    await store.extend(MARK_MS)
    assert store.stands()
    older = state_path.read_bytes()
    await store.extend(MARK_MS + 3000)
    assert store.stands()
    if how != "written over":
        state_path.unlink()
    if how != "removed":
        state_path.write_bytes(older)
    assert not store.stands()
    await store.extend(MARK_MS + 3000)
    assert store.stands()


async def test_overwrites_restored_older_mark(store: FileStore, state_path: Path) -> None:
    await store.load()
    await store.extend(MARK_MS)
    older = state_path.read_bytes()
    await store.extend(MARK_MS + 3000)
    state_path.write_bytes(older)
    await store.extend(MARK_MS + 6000)
    assert json.loads(state_path.read_bytes())["ceiling_ms"] == MARK_MS + 6000


async def test_slow_disk_does_not_block_event_loop(tmp_path: Path) -> None:
    turned = asyncio.Event()

    class SlowDisk(LocalDisk):
        def sync_directory(self, path: Path) -> None:
            asyncio.run_coroutine_threadsafe(turned.wait(), loop).result(timeout=WAIT_SECONDS)
            super().sync_directory(path)

    loop = asyncio.get_running_loop()
    store = FileStore(tmp_path, 3, LAYOUT, SlowDisk())
    await store.load()
    loop.call_later(0.01, turned.set)
    await store.extend(MARK_MS)
    assert turned.is_set()


# Layouts and worker IDs that change.


OTHER = Layout.parse("41/11/11")


async def leave_mark(directory: Path, worker_id: int, layout: Layout = LAYOUT, mark_ms: int = MARK_MS) -> None:
    store = make_store(directory, worker_id, layout=layout)
    await store.load()
    await store.extend(mark_ms + 5000)
    await store.release(mark_ms)
    await store.close()


async def test_surveys_marks_of_all_workers(tmp_path: Path) -> None:
    await leave_mark(tmp_path, 4)
    await leave_mark(tmp_path, 5, OTHER, MARK_MS + 7)
    survey = await make_store(tmp_path).load()
    bound = OTHER.greatest_id(MARK_MS + 6)
    assert survey == Survey(None, (MARK, Mark(MARK_MS + 7, OTHER.fingerprint, MARK.greatest_id())))
    assert survey.former_id(LAYOUT) == bound


async def test_keeps_floor_of_former_layouts(tmp_path: Path) -> None:
    await leave_mark(tmp_path, 5, OTHER)
    await leave_mark(tmp_path, 3)
    (tmp_path / "worker-5.json").unlink()
    survey = await make_store(tmp_path, 7).load()
    assert survey.former_id(LAYOUT) == OTHER.greatest_id(MARK_MS - 1)


async def test_refuses_second_layout_while_first_runs(tmp_path: Path) -> None:
    holder = make_store(tmp_path, 4, layout=OTHER)
    await holder.load()  # it has no mark yet
    with pytest.raises(
        StoreError, match=r"worker ID 4 \(pid \d+\) runs with layout 41/11/11@\d+ in .* stop that worker"
    ):
        await make_store(tmp_path).load()
    await holder.extend(MARK_MS)
    await holder.close()
    assert (await make_store(tmp_path).load()).others == (Mark(MARK_MS, OTHER.fingerprint),)


async def test_refuses_second_layout_behind_a_worker_that_has_ended(tmp_path: Path) -> None:
    await leave_mark(tmp_path, 4)
    holder = make_store(tmp_path, 5, layout=OTHER)
    await holder.load()
    with pytest.raises(StoreError, match=r"worker ID 5 .* runs with layout 41/11/11"):
        await make_store(tmp_path, 6).load()
    await holder.close()


class DepartingDisk(LocalDisk):
    """A worker raises its mark and ends just after its former mark was read."""

    def __init__(self, leaving: FileStore) -> None:
        self._leaving = leaving

    def read(self, path: Path) -> bytes | None:
        content = super().read(path)
        if path.name == "worker-4.json":
            self._leaving._write(MARK_MS + 9000)
            self._leaving._release()
        return content


async def test_refuses_second_layout_while_first_raises_its_mark_and_ends(tmp_path: Path) -> None:
    leaving = make_store(tmp_path, 4, layout=OTHER)
    await leaving.load()
    await leaving.extend(MARK_MS)
    with pytest.raises(StoreError, match=r"worker ID 4 .* runs with layout 41/11/11"):
        await make_store(tmp_path, disk=DepartingDisk(leaving)).load()


async def test_reports_whether_another_worker_runs(tmp_path: Path) -> None:
    neighbour = make_store(tmp_path, 4)
    await neighbour.load()
    await neighbour.extend(MARK_MS)
    store = make_store(tmp_path)
    assert (await store.load()).is_layout_in_use
    await store.close()
    await neighbour.close()
    assert not (await make_store(tmp_path).load()).is_layout_in_use


async def test_damaged_mark_makes_others_unknown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await leave_mark(tmp_path, 3)
    await leave_mark(tmp_path, 4)
    await leave_mark(tmp_path, 5)
    (tmp_path / "worker-4.json").write_text("paper")
    assert await make_store(tmp_path).load() == Survey(MARK, (MARK,), knows_all=False)
    assert [getattr(record, "event", "") for record in caplog.records] == ["mark_unreadable"]


@pytest.mark.parametrize("still_runs", [True, False])
async def test_stops_if_other_layout_started_meanwhile(tmp_path: Path, *, still_runs: bool) -> None:
    store = make_store(tmp_path)
    await store.load()
    await store.extend(MARK_MS)
    for path in tmp_path.iterdir():
        path.unlink()
    other = make_store(tmp_path, 4, layout=OTHER)
    await other.load()
    if not still_runs:
        await other.extend(MARK_MS)
        await other.close()
    assert not store.stands()
    with pytest.raises(HolderLostError, match=r"worker ID 4 .* runs with layout 41/11/11|another layout was used in"):
        await store.extend(MARK_MS + 1000)


async def test_starts_in_one_directory_are_serialized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "DIRECTORY_LOCK_SECONDS", 0.1)
    starting = LocalDisk().lock(tmp_path / "starting.lock", "pid 7 layout 41/10/12@0")
    with pytest.raises(StoreError, match=f"{tmp_path} is locked by pid 7, which is starting there"):
        await make_store(tmp_path).load()
    starting.release()
    await make_store(tmp_path).load()


async def test_refuses_own_volume_with_foreign_mark(tmp_path: Path) -> None:
    await leave_mark(tmp_path, 6)
    await make_store(tmp_path, 4).load()  # a directory that workers share
    (tmp_path / "worker-4.lock").unlink()
    advice = "the mark of worker ID 6, and this is worker ID 3.* offset; or stop all workers and .* --start-above"
    with pytest.raises(StoreError, match=advice):
        await make_store(tmp_path, is_exclusive=True).load()


async def test_start_above_permits_offset_change(tmp_path: Path) -> None:
    """The procedure that the refusal names: stop all, then start above the greatest ID issued."""
    await leave_mark(tmp_path, 6)
    greatest = LAYOUT.compose(MARK_MS - 1, 5, 17)  # issued by another worker, in the last millisecond
    for too_low in (0, LAYOUT.compose(MARK_MS - 2, 1023, 4095)):
        store = make_store(tmp_path, is_exclusive=True, start_above=too_low)
        with pytest.raises(StoreError, match="the mark of worker ID 6"):
            await store.load()
        await store.close()
    store = make_store(tmp_path, is_exclusive=True, start_above=greatest)
    survey = await store.load()
    assert survey == Survey(None, (Mark(0, LAYOUT.fingerprint, MARK.greatest_id()),))
    assert (tmp_path / "worker-6.json").exists(), "kept until the own mark includes its bound"
    await store.extend(MARK_MS + 1000)
    assert not list(tmp_path.glob("worker-6.*"))
    await store.close()

    again = make_store(tmp_path, is_exclusive=True)
    assert (await again.load()).former_id(LAYOUT) == MARK.greatest_id()
    await again.close()
    with pytest.raises(StoreError, match="the mark of worker ID 3, and this is worker ID 6"):  # a rollback
        await make_store(tmp_path, 6, is_exclusive=True, start_above=greatest).load()


async def test_refuses_own_volume_in_use_by_other_worker(tmp_path: Path) -> None:
    neighbour = make_store(tmp_path, 6)
    await neighbour.load()
    await neighbour.extend(MARK_MS)
    above = LAYOUT.greatest_id(MARK_MS)
    with pytest.raises(StoreError, match="belongs to this worker alone, but another one runs there: stop it"):
        await make_store(tmp_path, is_exclusive=True, start_above=above).load()
    await neighbour.extend(MARK_MS + 1000)


async def test_refuses_own_volume_with_damaged_mark(tmp_path: Path) -> None:
    (tmp_path / "worker-6.json").write_text("paper")
    with pytest.raises(StoreError, match=r"worker-6\.json is damaged: it is not JSON"):
        await make_store(tmp_path, is_exclusive=True).load()


# Files that other users have created.


async def test_creates_private_directory_and_files(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    store = make_store(directory)
    await store.load()
    await store.extend(MARK_MS)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == dict.fromkeys(
        ("worker-3.json", "worker-3.lock", "starting.lock"), 0o600
    )


async def test_warns_about_world_writable_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.chmod(0o777)
    await make_store(tmp_path).load()
    assert [getattr(record, "event", "") for record in caplog.records] == ["state_dir_open"]


async def test_makes_world_readable_lock_private(tmp_path: Path) -> None:
    lock = tmp_path / "worker-3.lock"
    lock.touch(0o644)
    await make_store(tmp_path).load()
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["worker-3.lock", "worker-3.json", "starting.lock"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "fifo", "socket", "directory"])
async def test_opens_only_regular_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str) -> None:
    target, path = tmp_path / "precious", tmp_path / "state" / name
    path.parent.mkdir()
    target.write_text("content")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        monkeypatch.chdir(path.parent)  # the path of a socket must be short
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(name)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(target if kind == "link" else tmp_path / "nothing")
    with pytest.raises(StoreError, match=f"{path}"):
        await make_store(path.parent).load()
    assert target.read_text() == "content"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("kind", ["link", "fifo"])
async def test_replaces_symlink_in_place_of_mark(tmp_path: Path, state_path: Path, kind: str) -> None:
    store = make_store(tmp_path)
    await store.load()
    await store.extend(MARK_MS - 1000)
    state_path.unlink()
    if kind == "fifo":
        os.mkfifo(state_path)
    else:
        state_path.symlink_to("/dev/zero")
    await store.extend(MARK_MS)
    await store.close()
    assert (await make_store(tmp_path).load()).own == MARK


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("pid 812", "pid 812 "),
        ("pid 812 layout 41/10/12@0", "pid 812 "),
        ("", "an unknown process "),
        ("\x1b]0;owned\x07", "an unknown process"),
        ("pid 1\nrespid: all is well", "an unknown process"),
        ("pid 812 déjà", "an unknown process"),
    ],
)
async def test_sanitizes_holder_name_from_lock(tmp_path: Path, written: str, shown: str) -> None:
    LocalDisk().lock(tmp_path / "worker-3.lock", written)
    with pytest.raises(StoreError) as caught:
        await make_store(tmp_path).load()
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith(f"worker ID 3 is in use by {shown}")


async def test_path_stays_claimed_when_directory_moves(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a" / "state")
    await store.load()
    (tmp_path / "a").rename(tmp_path / "b")
    for directory in (tmp_path / "a" / "state", tmp_path / "b" / "state"):
        with pytest.raises(StoreError, match=f"worker ID 3 is in use by pid {os.getpid()} "):
            await make_store(directory).load()
    await store.close()
    await make_store(tmp_path / "a" / "state").load()


async def test_ignores_claim_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_store(tmp_path).load()
    (tmp_path / "worker-3.lock").unlink()
    monkeypatch.setattr(disk, "_listening", lambda _address, trusted: None if 0 in trusted else "pid 5")
    await make_store(tmp_path).load()


async def test_a_claim_outlives_many_refused_starts(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    store = make_store(directory)
    await store.load()
    for number in range(300):  # more than a socket keeps connections that nobody accepts
        with pytest.raises(StoreError, match="is in use"):
            await make_store(directory).load()
        if number % 50 == 0:
            await store.extend(MARK_MS + number)  # as the keeper does every few seconds
    directory.rename(tmp_path / "moved")
    with pytest.raises(StoreError, match=f"worker ID 3 is in use by pid {os.getpid()} "):
        await make_store(directory).load()
    await store.close()


async def test_claim_of_a_stopped_process_stands(tmp_path: Path) -> None:
    """Nobody accepts the connections of those who ask, and the directory is moved away under it."""
    directory = tmp_path / "state"
    store = make_store(directory)
    await store.load()
    for _ in range(300):
        with pytest.raises(StoreError, match="is in use"):
            await make_store(directory).load()
    directory.rename(tmp_path / "moved")
    with pytest.raises(StoreError, match="worker ID 3 is in use by an unknown process"):
        await make_store(directory).load()
    await store.close()


async def test_failed_start_does_not_block_event_loop(tmp_path: Path) -> None:
    """The thread of a start that was cancelled may still hold what a later one releases."""
    is_reading, goes_on = threading.Event(), threading.Event()

    class SlowDisk(LocalDisk):
        def names_in(self, path: Path) -> list[str]:
            is_reading.set()
            goes_on.wait(3)
            return super().names_in(path)

        def make_directory(self, path: Path) -> None:
            if is_reading.is_set():
                raise PermissionError(errno.EACCES, "not permitted", str(path))
            super().make_directory(path)

    store = make_store(tmp_path, disk=SlowDisk())
    first = asyncio.create_task(store.load())
    await asyncio.to_thread(is_reading.wait)
    first.cancel()
    asyncio.get_running_loop().call_later(0.05, goes_on.set)  # too late if the event loop is blocked
    with pytest.raises(StoreError, match="not permitted"):
        await store.load()
    assert goes_on.is_set()


async def test_keeps_mark_of_a_worker_that_came_meanwhile(tmp_path: Path) -> None:
    """It uses the worker ID that was this worker's, although the directory should be this worker's alone."""
    await leave_mark(tmp_path, 6)
    store = make_store(tmp_path, is_exclusive=True, start_above=MARK.greatest_id())
    await store.load()
    neighbour = make_store(tmp_path, 6)
    await neighbour.load()
    await neighbour.extend(MARK_MS + 9000)
    await store.extend(MARK_MS + 1000)
    assert neighbour.stands()
    await neighbour.close()
    survey = await make_store(tmp_path, 6).load()
    assert survey.own is not None
    assert survey.own.ceiling_ms == MARK_MS + 9000


async def test_a_start_that_waited_for_its_clock_loads_again(store: FileStore, tmp_path: Path) -> None:
    await leave_mark(tmp_path, 3)
    assert await store.load() == await store.load() == Survey(MARK)
    await store.extend(MARK_MS + 1)
    await store.close()
    assert (await make_store(tmp_path).load()).own == MARK._replace(ceiling_ms=MARK_MS + 1)


async def test_a_write_that_nobody_waits_for_ends_before_the_lock_is_released(tmp_path: Path) -> None:
    is_writing, goes_on = threading.Event(), threading.Event()

    class SlowDisk(LocalDisk):
        def rename(self, source: Path, target: Path) -> None:
            is_writing.set()
            goes_on.wait(WAIT_SECONDS)
            super().rename(source, target)

    store = make_store(tmp_path, disk=SlowDisk())
    await store.load()
    extending = asyncio.create_task(store.extend(MARK_MS))
    await asyncio.to_thread(is_writing.wait)
    extending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await extending
    closing = asyncio.create_task(store.close())
    await asyncio.wait([closing], timeout=0.1)
    with pytest.raises(StoreError, match="is in use"):
        await make_store(tmp_path).load()
    goes_on.set()
    await closing
    assert (await make_store(tmp_path).load()).own == MARK


async def test_a_holder_of_unknown_layout_is_judged_by_its_mark(tmp_path: Path) -> None:
    await leave_mark(tmp_path, 4, OTHER)
    lock = LocalDisk().lock(tmp_path / "worker-4.lock", "pid 812")
    with pytest.raises(StoreError, match=f"worker ID 4 .pid 812. runs with layout {OTHER.fingerprint}"):
        await make_store(tmp_path).load()
    lock.release()


@pytest.mark.parametrize(("reserve_ms", "lead_ms"), [(10_000, 1000), (1001, 1000), (400, 400)])
def test_reservation_in_a_lead_is_short(tmp_path: Path, reserve_ms: int, lead_ms: int) -> None:
    assert make_store(tmp_path, reserve_ms=reserve_ms).spans == ReserveSpans(reserve_ms, lead_ms)


async def test_start_waits_for_others_that_are_starting(tmp_path: Path) -> None:
    starting = LocalDisk().lock(tmp_path / "starting.lock", "pid 7 layout 41/10/12@0")
    asyncio.get_running_loop().call_later(0.05, starting.release)
    assert (await make_store(tmp_path).load()).own is None


async def test_refused_start_can_be_tried_again(tmp_path: Path) -> None:
    holder, store = make_store(tmp_path), make_store(tmp_path)
    await holder.load()
    for _ in range(2):
        with pytest.raises(StoreError, match="is in use"):
            await store.load()
    await holder.close()
    await store.load()
    await store.extend(MARK_MS)
    assert store.stands()


async def test_moved_lock_is_released_once_a_new_one_is_taken(tmp_path: Path) -> None:
    store = make_store(tmp_path / "state")
    await store.load()
    (tmp_path / "state").rename(tmp_path / "moved")
    await store.extend(MARK_MS)
    LocalDisk().lock(tmp_path / "moved" / "worker-3.lock", "pid 7").release()
    with pytest.raises(LockedError):
        LocalDisk().lock(tmp_path / "state" / "worker-3.lock", "pid 7")


async def test_mark_that_may_not_be_read_makes_others_unknown(tmp_path: Path) -> None:
    class PrivateDisk(LocalDisk):
        def read(self, path: Path) -> bytes | None:
            if path.name == "worker-4.json":
                raise PermissionError(errno.EACCES, "not permitted", str(path))
            return super().read(path)

    await leave_mark(tmp_path, 4)
    lock = LocalDisk().lock(tmp_path / "worker-4.lock", "pid 812")
    assert await make_store(tmp_path, disk=PrivateDisk()).load() == Survey(None, is_layout_in_use=True, knows_all=False)
    lock.release()
