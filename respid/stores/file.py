"""The high-water mark in a file of a local directory, guarded by a lock of its own file.

Never the event loop: every disk access happens in a thread.
"""

import asyncio
import errno
import fcntl
import json
import os
from pathlib import Path

from respid.ids.layout import Layout
from respid.ids.reservation import ReserveSpans
from respid.stores import StoreError

_FORMAT = "respid high-water mark"
_VERSION = 1


class FileStore:
    """One JSON file a worker ID, replaced atomically: temporary file, fsync, rename, fsync of the directory."""

    name = "file"
    spans = ReserveSpans(wall_ms=3_000, lead_ms=250)

    def __init__(self, directory: Path, worker_id: int, layout: Layout) -> None:
        self._directory = directory
        self._worker_id = worker_id
        self._layout = layout
        self._path = directory / f"worker-{worker_id}.json"
        # Not the state file itself: a rename would leave the lock on a file that nobody else opens.
        self._lock_path = directory / f"worker-{worker_id}.lock"
        self._lock_descriptor = -1

    async def load(self) -> int | None:
        return await asyncio.to_thread(self._load)

    async def extend(self, ceiling_ms: int) -> None:
        await asyncio.to_thread(self._write, ceiling_ms)

    async def release(self, mark_ms: int) -> None:
        await asyncio.to_thread(self._write, mark_ms)
        os.close(self._lock_descriptor)
        self._lock_descriptor = -1

    def _load(self) -> int | None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise self._damaged("it is not text") from None
        except OSError as error:
            raise self._failed("read", error) from None
        return self._parse(text)

    def _take_lock(self) -> None:
        self._lock_descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            holder = os.pread(self._lock_descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._lock_descriptor)
            raise StoreError(
                f"worker ID {self._worker_id} is in use by pid {holder or 'unknown'} ({self._lock_path}):"
                " stop that process, or start this one with another --worker-id or --state-dir"
            ) from None
        os.ftruncate(self._lock_descriptor, 0)
        os.pwrite(self._lock_descriptor, b"%d\n" % os.getpid(), 0)

    def _parse(self, text: str) -> int:
        try:
            state = json.loads(text)
        except ValueError:
            raise self._damaged("it is not JSON") from None
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise self._damaged("it is no high-water mark of respid")
        if state.get("version") != _VERSION:
            raise self._damaged(f"its version is {state.get('version')}, this respid reads {_VERSION}")
        mark_ms = state.get("ceiling_ms")
        if type(mark_ms) is not int or mark_ms < 0:
            raise self._damaged(f"its ceiling_ms is {mark_ms!r}")
        if state.get("worker_id") != self._worker_id:
            raise self._damaged(f"it is of worker ID {state.get('worker_id')}")
        if state.get("layout") != self._layout.fingerprint:
            raise StoreError(
                f"{self._path} is of layout {state.get('layout')}, this server is set to {self._layout.fingerprint}:"
                " IDs of the two could repeat; go back to that layout, or use another --state-dir"
            )
        return mark_ms

    def _write(self, ceiling_ms: int) -> None:
        state = {
            "format": _FORMAT,
            "version": _VERSION,
            "worker_id": self._worker_id,
            "layout": self._layout.fingerprint,
            "ceiling_ms": ceiling_ms,
        }
        temporary = self._path.with_suffix(".tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(json.dumps(state) + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
            directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise self._failed("write", error) from None

    def _damaged(self, why: str) -> StoreError:
        return StoreError(
            f"{self._path} is damaged: {why}. Without it respid cannot know which IDs were issued: restore it from a"
            " copy, or, when the clock is right and no ID was issued ahead of it, remove it and start again"
        )

    def _failed(self, what: str, error: OSError) -> StoreError:
        path = error.filename or self._path
        return StoreError(
            f"cannot {what} {path}: {error.strerror}; make it a writable local directory, or set --state-dir"
        )
