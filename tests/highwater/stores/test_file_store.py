"""The file store: one holder at a time, a mark that survives, and never a silent reset."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from respid.highwater.stores import HolderLostError, Mark, StoreError
from respid.highwater.stores.disk import Disk, LocalDisk, Lock
from respid.highwater.stores.file import FileStore
from respid.ids.layout import Layout

LAYOUT = Layout()
MARK_MS = 1_800_000_000_000
MARK = Mark(MARK_MS, LAYOUT.fingerprint)


class NoClaim:
    def stands(self) -> bool:
        return True

    def release(self) -> None:
        pass


class ClaimlessDisk(LocalDisk):
    """The disk as seen by two containers that share a directory, but not their network namespace."""

    def claim(self, _path: Path) -> Lock:
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


async def test_the_first_start_finds_no_mark_in_a_directory_that_it_makes(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a" / "b")
    assert (await store.load()).own is None
    await store.extend(MARK_MS)
    await store.release(MARK_MS)
    await store.close()
    assert (await make_store(tmp_path / "a" / "b").load()).own == MARK


async def test_the_mark_is_the_last_one_stored(store: FileStore, tmp_path: Path) -> None:
    await store.load()
    await store.extend(MARK_MS + 3000)
    await store.extend(MARK_MS + 6000)
    await store.release(MARK_MS)
    await store.close()
    assert (await make_store(tmp_path).load()).own == MARK


async def test_worker_ids_do_not_share_marks_or_locks(store: FileStore, tmp_path: Path) -> None:
    await store.load()
    await store.extend(MARK_MS)
    assert (await make_store(tmp_path, worker_id=4).load()).own is None


HOLD = """
import asyncio, sys
from pathlib import Path
from typing import Any
from respid.ids.layout import Layout
from respid.highwater.stores.file import FileStore
store = FileStore(Path(sys.argv[1]), 3, Layout())
asyncio.run(store.load())
asyncio.run(store.extend(int(sys.argv[2])))
print("holds", flush=True)
sys.stdin.read()
"""


async def test_a_second_process_is_refused_with_the_first_ones_pid_until_that_is_killed(tmp_path: Path) -> None:
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
        ({"version": 2}, "it has version 2; this respid reads 1"),
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
async def test_a_damaged_file_stops_the_start_and_is_left_as_it_is(
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


async def test_the_layout_that_a_mark_was_used_with_is_told(store: FileStore, tmp_path: Path) -> None:
    await store.load()
    await store.extend(MARK_MS)
    await store.release(MARK_MS)
    await store.close()
    other = FileStore(tmp_path, 3, Layout.parse("41/4/8"))
    assert (await other.load()).own == MARK


@pytest.mark.parametrize("name", ["directory", "worker-3.json", "worker-3.lock"])
async def test_what_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "directory"
    path = directory if name == "directory" else directory / name
    if path == directory:
        path.write_text("a file where the directory should be")
    else:
        path.mkdir(parents=True)
    with pytest.raises(StoreError, match=f"cannot use {path}: .*; make it a writable local directory, or set --state"):
        await make_store(directory).load()


class RecordingDisk(LocalDisk):
    """The local disk, which can fail, and tells in which order it was used."""

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


async def test_a_mark_is_synced_before_it_gets_its_name_and_its_name_before_it_counts(tmp_path: Path) -> None:
    disk = RecordingDisk()
    store = FileStore(tmp_path, 3, LAYOUT, disk)
    await store.load()
    await store.extend(MARK_MS)
    assert disk.calls == ["write", "rename", "sync directory"]


@pytest.mark.parametrize("step", ["write", "rename", "sync directory"])
async def test_a_full_disk_fails_the_extension_and_harms_no_stored_mark(tmp_path: Path, step: str) -> None:
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


def test_a_file_is_flushed_to_the_disk_before_the_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append((tmp_path / "file").read_bytes()))
    LocalDisk().write_synced(tmp_path / "file", b"content")
    LocalDisk().sync_directory(tmp_path)
    assert synced == [b"content", b"content"]


async def test_directories_that_are_made_survive_the_loss_of_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(LocalDisk, "sync_directory", lambda _disk, path: synced.append(path))
    await make_store(tmp_path / "a" / "b").load()
    assert synced == [tmp_path, tmp_path / "a"]


@pytest.mark.parametrize("when", ["before the first write", "later"])
async def test_a_mark_of_another_process_is_noticed_though_the_lock_stands(
    store: FileStore, tmp_path: Path, state_path: Path, when: str
) -> None:
    """As on a file system whose locks do not reach other machines."""
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
async def test_a_mark_that_is_damaged_while_its_holder_runs_is_written_again(
    store: FileStore, state_path: Path, tmp_path: Path, content: str
) -> None:
    await store.load()
    await store.extend(MARK_MS - 1000)
    state_path.write_text(content)
    await store.extend(MARK_MS)
    await store.close()
    assert (await make_store(tmp_path).load()).own == MARK


async def test_a_directory_that_is_deleted_is_made_again_with_the_own_mark(store: FileStore, tmp_path: Path) -> None:
    await store.load()
    await store.extend(MARK_MS)
    for path in tmp_path.iterdir():
        path.unlink()
    tmp_path.rmdir()
    await store.extend(MARK_MS + 3000)
    with pytest.raises(StoreError, match="in use by pid"):
        await make_store(tmp_path).load()


@pytest.mark.parametrize("successor_runs", [True, False])
async def test_a_holder_whose_lock_was_replaced_stops_when_another_has_held_it(
    tmp_path: Path, *, successor_runs: bool
) -> None:
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


async def test_a_mark_that_was_stored_after_another_had_read_the_former_one_does_not_count(tmp_path: Path) -> None:
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


async def test_a_restored_copy_of_an_older_mark_is_overwritten_by_the_holder(
    store: FileStore, state_path: Path
) -> None:
    await store.load()
    await store.extend(MARK_MS)
    older = state_path.read_bytes()
    await store.extend(MARK_MS + 3000)
    state_path.write_bytes(older)
    await store.extend(MARK_MS + 6000)
    assert json.loads(state_path.read_bytes())["ceiling_ms"] == MARK_MS + 6000


async def test_the_event_loop_goes_on_while_the_disk_is_slow(tmp_path: Path) -> None:
    turned = asyncio.Event()

    class SlowDisk(LocalDisk):
        def sync_directory(self, path: Path) -> None:
            asyncio.run_coroutine_threadsafe(turned.wait(), loop).result(timeout=10)
            super().sync_directory(path)

    loop = asyncio.get_running_loop()
    store = FileStore(tmp_path, 3, LAYOUT, SlowDisk())
    await store.load()
    loop.call_later(0.01, turned.set)
    await store.extend(MARK_MS)
    assert turned.is_set()
