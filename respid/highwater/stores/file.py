"""The high-water mark in a file of a local directory, guarded by a lock of its own file.

Never the event loop: every disk access happens in a thread.
"""

import asyncio
import contextlib
import errno
import json
import os
import secrets
from pathlib import Path
from typing import Any

from respid.highwater.stores import HolderLostError, Mark, StoreError
from respid.highwater.stores.disk import Disk, LocalDisk, Lock, LockedError
from respid.ids.layout import Layout
from respid.ids.reservation import ReserveSpans

RESERVE_MS = 10_000  # how far a reservation reaches: an extension every 5 s, which a busy disk may delay by as much
LEAD_MS = 1_000  # and in a lead, where crashes add up
_FORMAT = "respid high-water mark"
_VERSION = 1


class DamagedError(StoreError):
    """The file is there, and no mark can be read from it."""


class FileStore:
    """One JSON file a worker ID, replaced atomically: temporary file, fsync, rename, fsync of the directory.

    The holder is who has the lock. Should the lock's file be removed or replaced, another process can take a lock of
    the same name; so around each write the holder looks whether its lock still stands, and if not takes the new one.
    It goes on only if the file has the nonce that it wrote itself, or that it found at the start: another's was
    written by a process that no lock has kept away, such as one on another machine.
    """

    name = "file"

    def __init__(
        self,
        directory: Path,
        worker_id: int,
        layout: Layout,
        disk: Disk | None = None,
        *,
        reserve_ms: int = RESERVE_MS,
    ) -> None:
        self.spans = ReserveSpans(reserve_ms, min(LEAD_MS, reserve_ms))
        self._directory = directory
        self._worker_id = worker_id
        self._layout = layout
        self._disk = disk or LocalDisk()
        self._path = directory / f"worker-{worker_id}.json"
        # Not the state file itself: a rename would leave the lock on a file that nobody else opens.
        self._lock_path = directory / f"worker-{worker_id}.lock"
        self._lock: Lock | None = None
        self._nonce = secrets.token_hex(8)
        self._known_nonces: set[object] = {self._nonce}

    async def load(self) -> Mark | None:
        return await asyncio.to_thread(self._load)

    async def extend(self, ceiling_ms: int) -> None:
        await asyncio.to_thread(self._write, ceiling_ms)

    async def release(self, mark_ms: int) -> None:
        await asyncio.to_thread(self._write, mark_ms)

    async def close(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _load(self) -> Mark | None:
        try:
            self._lock = self._take_lock()
            content = self._disk.read(self._path)
        except LockedError as error:
            raise StoreError(
                f"worker ID {self._worker_id} is in use by {error.holder} ({self._lock_path}):"
                " stop that process, or start this one with another --worker-id or --state-dir"
            ) from None
        except OSError as error:
            raise self._failed("use", error) from None
        if content is None:
            return None
        state = self._parse(content)
        self._known_nonces.add(state["nonce"])
        return Mark(state["ceiling_ms"], state["layout"])

    def _take_lock(self) -> Lock:
        self._disk.make_directory(self._directory)
        return self._disk.lock(self._lock_path, f"pid {os.getpid()}")

    def _write(self, ceiling_ms: int) -> None:
        state = {
            "format": _FORMAT,
            "version": _VERSION,
            "worker_id": self._worker_id,
            "layout": self._layout.fingerprint,
            "ceiling_ms": ceiling_ms,
            "nonce": self._nonce,
        }
        temporary = self._path.with_suffix(".tmp")
        try:
            self._stay_holder()
            self._disk.write_synced(temporary, json.dumps(state).encode() + b"\n")
            self._stay_holder()  # that may have taken long
            self._disk.rename(temporary, self._path)
            self._disk.sync_directory(self._directory)
            # Once more: who took a new lock meanwhile has read the former mark, so this one must not be used.
            self._stay_holder()
        except OSError as error:
            raise self._failed("write", error) from None

    def _stay_holder(self) -> None:
        if self._lock is not None and self._lock.stands():
            with contextlib.suppress(DamagedError):  # the holder knows the mark, and writes it again
                self._refuse_foreign_mark()
            return
        try:
            lock = self._take_lock()
        except LockedError as error:
            raise HolderLostError(
                f"worker ID {self._worker_id} was taken by {error.holder}: {self._lock_path} was replaced"
            ) from None
        try:
            self._refuse_foreign_mark()
        except (OSError, StoreError):
            lock.release()
            raise
        if self._lock is not None:
            self._lock.release()
        self._lock = lock

    def _refuse_foreign_mark(self) -> None:
        content = self._disk.read(self._path)
        if content is not None and self._parse(content)["nonce"] not in self._known_nonces:
            raise HolderLostError(
                f"worker ID {self._worker_id} was taken by another process: {self._path} was replaced"
            )

    def _parse(self, content: bytes) -> dict[str, Any]:
        try:
            state = json.loads(content)
        except (ValueError, RecursionError):
            raise self._damaged("it is not JSON" if content.strip() else "it is empty") from None
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise self._damaged("it is no high-water mark of respid")
        if state.get("version") != _VERSION:
            raise self._damaged(f"its version is {state.get('version')!r}, this respid reads {_VERSION}")
        mark_ms = state.get("ceiling_ms")
        if type(mark_ms) is not int or not 0 <= mark_ms < 1 << 63:
            raise self._damaged(f"its ceiling_ms is {mark_ms!r}"[:100])
        if state.get("worker_id") != self._worker_id:
            raise self._damaged(f"it is of worker ID {state.get('worker_id')!r}")
        for name in ("layout", "nonce"):
            if not isinstance(state.get(name), str):
                raise self._damaged(f"its {name} is {state.get(name)!r}"[:100])
        return state

    def _damaged(self, why: str) -> DamagedError:
        return DamagedError(
            f"{self._path} is damaged: {why}. Without it respid cannot know which IDs were issued: restore it from a"
            " copy, or, when the clock is right and no ID was issued ahead of it, remove it and start again"
        )

    def _failed(self, what: str, error: OSError) -> StoreError:
        path = error.filename or self._path
        advice = "make it a writable local directory"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            advice = "make room there"
        return StoreError(f"cannot {what} {path}: {error.strerror}; {advice}, or set --state-dir")
