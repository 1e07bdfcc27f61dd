"""Files that are reloaded while the server runs: on SIGHUP, and when they have changed. Does not know their format."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

WATCH_SECONDS = 5.0
SETTLE_SECONDS = 0.3  # a file that stays the same for so long is complete
SETTLE_ATTEMPTS = 20
_log = logging.getLogger(__name__)

Identity = tuple[tuple[int, int, int] | None, ...]


class ReadError(Exception):
    """A file cannot be used. The message is one line that names the file and the reason."""


@dataclass(slots=True)
class Source:
    """Files that belong together.

    `use` reads and applies them, and returns a short description of their contents. If it raises OSError or ValueError,
    it has changed nothing.
    """

    what: str
    paths: tuple[Path, ...]
    use: Callable[[], str]
    seen: Identity = field(default=(), init=False)  # the files when they were last read
    changing: Identity = field(default=(), init=False)  # the files when they were last checked

    def read(self) -> str:
        """Raises ReadError."""
        self.seen = self.changing = _identify(self.paths)  # before reading: a later write is a change
        try:
            _refuse_other_than_files(self.paths)
            return self.use()
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise ReadError(f"{self.what}: {reason}") from None
        except ValueError as error:
            raise ReadError(f"{self.what}: {error}") from None

    @property
    def has_changed(self) -> bool:
        """Whether the files have changed and are stable again: a certificate and its key are two writes."""
        now = _identify(self.paths)
        is_settled, self.changing = now == self.changing, now
        return is_settled and now != self.seen


class Reloader:
    """All files that a server reloads."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = list(sources)
        self._tasks: set[asyncio.Task[None]] = set()  # reloads that were asked for, and wait for their files

    def read(self) -> None:
        """Reads all files for the first time. Raises ReadError."""
        for source in self._sources:
            source.read()

    def reload(self) -> None:
        """Reloads all files, once each is complete. If one cannot be used, logs it and keeps its previous contents."""
        if not self._sources:
            _log.info("nothing to reload: no password file or certificate is set", extra={"event": "reload_nothing"})
        for source in self._sources:
            task = asyncio.get_running_loop().create_task(_reload_settled(source))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def watch(self, interval_seconds: float = WATCH_SECONDS) -> None:
        """Reloads files when they change, until cancelled. Follows symbolic links, for mounted Kubernetes Secrets."""
        while self._sources:
            await asyncio.sleep(interval_seconds)
            for source in self._sources:
                if source.has_changed:
                    _reload(source)


def _refuse_other_than_files(paths: Iterable[Path]) -> None:
    """Raises ValueError or OSError: reading a pipe or a terminal blocks the event loop, and /dev/zero has no end."""
    for path in paths:
        if path.exists() and not path.is_file():
            raise ValueError(f"{path}: not a regular file")


async def _reload_settled(source: Source) -> None:
    """A signal can come while an editor or a script is still writing a file."""
    for _ in range(SETTLE_ATTEMPTS):
        before = _identify(source.paths)
        await asyncio.sleep(SETTLE_SECONDS)
        if _identify(source.paths) == before:
            _reload(source)
            return
    message = "%s: the files keep changing; they are reloaded once they do not"
    _log.warning(message, source.what, extra={"event": "reload_postponed"})


def _reload(source: Source) -> None:
    try:
        _log.info("reloaded %s", source.read(), extra={"event": "reloaded"})
    except ReadError as error:
        _log.error("reload failed, keeping the previous contents: %s", error, extra={"event": "reload_failed"})


def _identify(paths: Iterable[Path]) -> Identity:
    """Returns values that change when a file is changed or replaced; None for a missing file."""
    return tuple(_identify_file(path) for path in paths)


def _identify_file(path: Path) -> tuple[int, int, int] | None:
    # The time of the last change of any kind: a file that could not be read may need nothing but other permissions.
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_ctime_ns, stat.st_size
