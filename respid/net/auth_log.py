"""The log of wrong passwords. However many are tried, it gets a few lines a minute; the metric counts them all."""

import asyncio
import logging

WINDOW_SECONDS = 60
MAX_PEERS = 20  # that are named in a window
_log = logging.getLogger(__name__)


class AuthFailureLog:
    """Names each peer once in a window, and says at its end how many failures were not logged."""

    def __init__(self, loop: asyncio.AbstractEventLoop, window_seconds: float = WINDOW_SECONDS) -> None:
        self._loop = loop
        self._window_seconds = window_seconds
        self._peers: set[str] = set()
        self._unlogged = 0

    def note(self, address: str) -> None:
        """Of the form HOST:PORT; a peer is its host."""
        if not self._peers:
            self._loop.call_later(self._window_seconds, self._end_window)
        peer = address.rpartition(":")[0]
        if peer in self._peers or len(self._peers) == MAX_PEERS:
            self._unlogged += 1
            return
        self._peers.add(peer)
        _log.warning("wrong user name or password from %s", address)

    def _end_window(self) -> None:
        if self._unlogged:
            _log.warning("wrong user name or password %d times more within %g s", self._unlogged, self._window_seconds)
        self._peers.clear()
        self._unlogged = 0
