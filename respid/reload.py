"""Files that are read again while the server runs: on SIGHUP, and when they have changed. Knows not what they hold."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

WATCH_SECONDS = 5.0
_log = logging.getLogger(__name__)

Identity = tuple[tuple[int, int, int] | None, ...]


class ReadError(Exception):
    """Files cannot be used; the message is one line that says which and why."""


@dataclass(slots=True)
class Source:
    """Files that belong together.

    `use` reads them and takes what they hold; it returns what that is, in a few words. It raises OSError or ValueError,
    and then everything stays as it was.
    """

    what: str
    paths: tuple[Path, ...]
    use: Callable[[], str]
    seen: Identity = field(default=(), init=False)  # as they were when they were read last
    changing: Identity = field(default=(), init=False)  # as they were at the last look, when that was different

    def read(self) -> str:
        """Raises ReadError."""
        self.seen = self.changing = _identify(self.paths)  # before they are read: what comes later is a change
        try:
            _refuse_pipes(self.paths)
            return self.use()
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise ReadError(f"{self.what}: {reason}") from None
        except ValueError as error:
            raise ReadError(f"{self.what}: {error}") from None

    @property
    def has_changed(self) -> bool:
        """Whether they differ from what was read, and no longer change: certificate and key are two writes."""
        now = _identify(self.paths)
        is_settled, self.changing = now == self.changing, now
        return is_settled and now != self.seen


class Reloader:
    """All such files of a server."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = list(sources)

    def read(self) -> None:
        """Reads all for the first time. Raises ReadError."""
        for source in self._sources:
            source.read()

    def reload(self) -> None:
        """Reads all again. What cannot be used is logged, and what was read before stays."""
        for source in self._sources:
            _reload(source)
        if not self._sources:
            _log.info("nothing to read again: there is no password file, and no certificate")

    async def watch(self, interval_seconds: float = WATCH_SECONDS) -> None:
        """Looks for changes until it is cancelled. A mounted Kubernetes Secret changes by a symbolic link."""
        while self._sources:
            await asyncio.sleep(interval_seconds)
            for source in self._sources:
                if source.has_changed:
                    _reload(source)


def _refuse_pipes(paths: Iterable[Path]) -> None:
    """Reading one would hold up the event loop until somebody writes. Raises OSError, ValueError."""
    for path in paths:
        if path.is_fifo() or path.is_socket():
            raise ValueError(f"{path}: it is no file that can be read again")


def _reload(source: Source) -> None:
    try:
        _log.info("read again: %s", source.read())
    except ReadError as error:
        _log.error("not read again, what was read before stays: %s", error)


def _identify(paths: Iterable[Path]) -> Identity:
    """What tells a file from one that replaced it; None for one that is not there."""
    return tuple(_identify_file(path) for path in paths)


def _identify_file(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
