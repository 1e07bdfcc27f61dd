"""The high-water mark in a file of a local directory, guarded by a lock on a file of its own.

Never blocks the event loop: disk access happens in a thread, except for a stat.
"""

import asyncio
import contextlib
import errno
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from respid.highwater.stores import HolderLostError, Mark, StoreError, Survey, printable
from respid.highwater.stores.disk import Claim, Disk, LocalDisk, Lock, LockedError, UnsafeFileError
from respid.highwater.stores.mark_file import DamagedError, StoredMark, damaged, read_mark, write_mark
from respid.ids.layout import Layout
from respid.ids.reservation import ReserveSpans
from respid.worker.config import FILE_RESERVE_MS

LEAD_MS = 1_000  # how far a reservation reaches in a lead, where crashes add up
DIRECTORY_LOCK_SECONDS = 10.0  # how long a start waits for others that are just starting in the directory
_NAME = re.compile(r"worker-(0|[1-9][0-9]{0,17})\.(json|lock)")
_HOLDER = re.compile(r"(?P<process>pid [0-9]{1,10})(?: layout (?P<layout>[0-9/@]{1,60}))?")
_log = logging.getLogger(__name__)


class FileStore:
    """One JSON file per worker ID, replaced atomically: temporary file, fsync, rename, fsync of the directory.

    The process that has the lock is the holder. If the lock's file is removed or replaced, another process can take a
    lock of the same name. So the holder checks around each write whether its lock still stands, and if not, takes the
    new one. It goes on only if the mark has its own nonce, or the one that it found at the start; any other was written
    by a process that no lock has kept away, such as one on another machine.

    Starts in one directory happen one after the other, under a lock of the directory. A start is refused while a worker
    with another layout runs there.

    `is_exclusive` means that no other worker ID ever uses the directory. A mark of another one is then this worker's
    own, from before its worker ID was changed; another worker may still have the new worker ID. That is refused, unless
    all new IDs lie above that mark because of `start_above`.
    """

    name = "file"

    def __init__(
        self,
        directory: Path,
        worker_id: int,
        layout: Layout,
        disk: Disk | None = None,
        *,
        reserve_ms: int = FILE_RESERVE_MS,
        is_exclusive: bool = False,
        start_above: int | None = None,
    ) -> None:
        self.spans = ReserveSpans(reserve_ms, min(LEAD_MS, reserve_ms))
        self._directory = directory
        self._worker_id = worker_id
        self._layout = layout
        self._disk = disk or LocalDisk()
        self._is_exclusive = is_exclusive
        self._start_above = start_above
        self._path = self._mark_path(worker_id)
        self._using = threading.Lock()  # a cancelled task does not end its thread, which still needs the locks
        self._claim: Claim | None = None
        self._lock: Lock | None = None
        self._nonce = secrets.token_hex(8)
        self._known_nonces = {self._nonce}
        self._stored: tuple[int, int, int] | None = None  # the file that was last written; None before that
        self._former_id = -1
        self._obsolete: list[int] = []  # worker IDs whose marks the own one replaces

    async def load(self) -> Survey:
        return await asyncio.to_thread(self._load_or_release)

    async def extend(self, ceiling_ms: int) -> None:
        await asyncio.to_thread(self._write, ceiling_ms)

    async def release(self, mark_ms: int) -> None:
        await asyncio.to_thread(self._write, mark_ms)

    def stands(self) -> bool:
        is_locked = self._lock is None or self._lock.stands()
        return is_locked and self._stored in (None, self._disk.identity(self._path))

    async def close(self) -> None:
        await asyncio.to_thread(self._release)

    def _release(self) -> None:
        with self._using:
            for lock in (self._lock, self._claim):
                if lock is not None:
                    lock.release()
            self._lock = self._claim = None

    def _load_or_release(self) -> Survey:
        try:
            return self._load()
        except StoreError:
            self._release()
            raise

    def _load(self) -> Survey:
        try:
            self._disk.make_directory(self._directory)
            self._claim = self._claim or self._disk.claim(self._lock_path(self._worker_id))
            with self._using, self._directory_locked():
                if self._lock is None or not self._lock.stands():
                    self._lock = self._take_lock()
                survey = self._survey()
        except LockedError as error:
            raise StoreError(
                f"worker ID {self._worker_id} is in use by {_process(error.holder)}"
                f" ({self._lock_path(self._worker_id)}): stop that process, or start this one with another --worker-id"
                " or --state-dir"
            ) from None
        except OSError as error:
            raise self._failed("use", error) from None
        self._former_id = survey.former_id(self._layout)
        return survey

    def _survey(self) -> Survey:
        """Raises StoreError, OSError."""
        # Before the marks are read: otherwise a worker could raise its mark after that, and end before this look.
        is_layout_in_use = self._refuse_other_layouts()
        own = self._read_own()
        others, knows_all = self._read_others()
        if self._is_exclusive and is_layout_in_use:
            raise StoreError(
                f"{self._directory} belongs to this worker alone, but another one runs there: stop it, or give this one"
                " another --state-dir, or no --state-dir-exclusive"
            )
        if self._is_exclusive and others:
            others = self._take_over(others)
        return Survey(own.mark if own else None, tuple(others.values()), is_layout_in_use, knows_all)

    def _read_own(self) -> StoredMark | None:
        stored = self._read(self._worker_id)
        if stored is not None:
            self._known_nonces.add(stored.nonce)
        return stored

    def _read(self, worker_id: int) -> StoredMark | None:
        """Raises DamagedError, OSError."""
        path = self._mark_path(worker_id)
        try:
            content = self._disk.read(path)
        except UnsafeFileError as error:
            raise damaged(path, str(error.strerror)) from None
        return None if content is None else read_mark(content, path, worker_id)

    def _read_others(self) -> tuple[dict[int, Mark], bool]:
        """The marks of the directory's other worker IDs, and whether these are all.

        Raises DamagedError if one that cannot be read may be this worker's former mark, and OSError.
        """
        marks, knows_all = {}, True
        for worker_id in self._other_worker_ids("json"):
            try:
                if (stored := self._read(worker_id)) is not None:
                    marks[worker_id] = stored.mark
            except (DamagedError, PermissionError) as error:
                if self._is_exclusive:
                    raise
                _log.warning("ignoring the mark of another worker: %s", error, extra={"event": "mark_unreadable"})
                knows_all = False
        return marks, knows_all

    def _other_worker_ids(self, suffix: str) -> list[int]:
        found = (_NAME.fullmatch(name) for name in self._disk.names_in(self._directory))
        return sorted({int(match[1]) for match in found if match and match[2] == suffix} - {self._worker_id})

    def _refuse_other_layouts(self) -> bool:
        """Whether another worker runs here, in the own layout. Raises StoreError if one runs in another layout."""
        is_in_use = False
        for worker_id in self._other_worker_ids("lock"):
            holder = self._disk.holder(self._lock_path(worker_id))
            if holder is None:
                continue
            is_in_use = True
            layout = self._layout_of(worker_id, holder)
            if layout and layout != self._layout.fingerprint:
                raise StoreError(
                    f"worker ID {worker_id} ({_process(holder)}) runs with layout {layout} in {self._directory}, and"
                    f" this server is set to {self._layout.fingerprint}: IDs of the two could be equal; stop that"
                    " worker first, or use its layout"
                )
        return is_in_use

    def _layout_of(self, worker_id: int, holder: str) -> str | None:
        """The layout of the process that holds a lock: as it says, else that of its mark; None if neither says."""
        if (match := _HOLDER.fullmatch(holder)) and match["layout"]:
            return match["layout"]
        with contextlib.suppress(DamagedError, PermissionError):
            if stored := self._read(worker_id):
                return stored.mark.fingerprint
        return None

    def _take_over(self, others: dict[int, Mark]) -> dict[int, Mark]:
        """The marks of this worker's former worker IDs, as bounds that its IDs lie above. Raises StoreError."""
        for worker_id, mark in others.items():
            if mark.is_used() and not self._starts_above(mark):
                raise StoreError(
                    f"{self._directory} belongs to this worker alone, but has the mark of worker ID {worker_id}, and"
                    f" this is worker ID {self._worker_id}, which another worker may still use: go back to the former"
                    " worker ID offset; or stop all workers and start them with --start-above set to the greatest ID"
                    f" issued, {mark.greatest_id()} or more"
                )
        self._obsolete = list(others)
        fingerprint = self._layout.fingerprint
        return {worker_id: Mark(0, fingerprint, mark.greatest_id()) for worker_id, mark in others.items()}

    def _starts_above(self, mark: Mark) -> bool:
        if self._start_above is None:
            return False
        return self._layout.first_above(self._start_above) >= self._layout.first_above(mark.greatest_id())

    @contextlib.contextmanager
    def _directory_locked(self) -> Iterator[None]:
        """Raises StoreError if another process keeps it locked, and OSError."""
        deadline = time.monotonic() + DIRECTORY_LOCK_SECONDS
        while True:
            try:
                lock = self._disk.lock(self._directory / "starting.lock", self._describe())
            except LockedError as error:
                if time.monotonic() > deadline:
                    message = f"{self._directory} is locked by {_process(error.holder)}, which is starting there"
                    raise StoreError(f"{message} and makes no progress: end that process") from None
                time.sleep(0.01)
                continue
            if lock.stands():
                break
            lock.release()
        try:
            yield
        finally:
            lock.release()

    def _take_lock(self) -> Lock:
        # Not the mark's file itself: a rename would leave the lock on a file that nobody else opens.
        return self._disk.lock(self._lock_path(self._worker_id), self._describe())

    def _describe(self) -> str:
        return f"pid {os.getpid()} layout {self._layout.fingerprint}"

    def _write(self, ceiling_ms: int) -> None:
        mark = Mark(ceiling_ms, self._layout.fingerprint, self._former_id)
        try:
            with self._using:
                if self._claim is not None:
                    self._claim.make_room()
                self._replace_mark(write_mark(self._worker_id, mark, self._nonce))
        except OSError as error:
            raise self._failed("write", error) from None

    def _replace_mark(self, content: bytes) -> None:
        """Raises StoreError, OSError."""
        temporary = self._path.with_suffix(".tmp")
        self._stay_holder()
        self._disk.write_synced(temporary, content)
        self._stay_holder()  # that may have taken long
        self._stored = self._disk.identity(temporary)
        self._disk.rename(temporary, self._path)
        self._disk.sync_directory(self._directory)
        # Once more: a process that took a new lock meanwhile has read the former mark, so this one is void.
        self._stay_holder()
        self._remove_obsolete()

    def _remove_obsolete(self) -> None:
        """Removes marks that the own mark now includes, unless a worker has come that uses them."""
        if not self._obsolete:
            return
        with self._directory_locked():
            while self._obsolete:
                if self._disk.holder(self._lock_path(self._obsolete[-1])) is None:
                    self._disk.remove(self._mark_path(self._obsolete[-1]))
                    self._disk.remove(self._lock_path(self._obsolete[-1]))
                self._obsolete.pop()

    def _stay_holder(self) -> None:
        if self._lock is not None and self._lock.stands():
            with contextlib.suppress(DamagedError):  # the holder knows the mark, and writes it again
                self._refuse_foreign_mark()
            return
        try:
            lock = self._retake_lock()
        except LockedError as error:
            raise HolderLostError(
                f"worker ID {self._worker_id} was taken by {_process(error.holder)}:"
                f" {self._lock_path(self._worker_id)} was replaced"
            ) from None
        if self._lock is not None:
            self._lock.release()
        self._lock = lock

    def _retake_lock(self) -> Lock:
        """Raises LockedError, StoreError, OSError."""
        self._disk.make_directory(self._directory)
        with self._directory_locked():
            lock = self._take_lock()
            try:
                self._refuse_foreign_mark()
                self._refuse_layouts_that_came()
            except (OSError, StoreError):
                lock.release()
                raise
        message = "%s was moved or deleted, and was created again; IDs can repeat if that happens while no server runs"
        _log.warning(message, self._directory, extra={"event": "state_dir_retaken"})
        return lock

    def _refuse_foreign_mark(self) -> None:
        stored = self._read(self._worker_id)
        if stored is not None and stored.nonce not in self._known_nonces:
            raise HolderLostError(
                f"worker ID {self._worker_id} was taken by another process: {self._path} was replaced"
            )

    def _refuse_layouts_that_came(self) -> None:
        """A worker with another layout may have started in the directory, and ended, while the lock was gone."""
        try:
            self._refuse_other_layouts()
        except StoreError as error:
            raise HolderLostError(str(error)) from None
        marks, _ = self._read_others()
        if Survey(None, tuple(marks.values())).former_id(self._layout) > self._former_id:
            raise HolderLostError(f"another layout was used in {self._directory} while the lock was gone")

    def _mark_path(self, worker_id: int) -> Path:
        return self._directory / f"worker-{worker_id}.json"

    def _lock_path(self, worker_id: int) -> Path:
        return self._directory / f"worker-{worker_id}.lock"

    def _failed(self, what: str, error: OSError) -> StoreError:
        path = error.filename or self._path
        advice = f"make {self._directory} a local directory that this user can write to"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            advice = "make room there"
        return StoreError(f"cannot {what} {path}: {error.strerror}; {advice}, or set --state-dir")


def _process(holder: str) -> str:
    match = _HOLDER.fullmatch(holder)
    return (
        match["process"] if match else f"an unknown process ({printable(holder)!r})" if holder else "an unknown process"
    )
