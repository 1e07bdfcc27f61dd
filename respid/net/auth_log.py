"""Logs failed authentication. It writes a few lines a minute however many attempts fail; the metric counts all."""

import asyncio
import logging

WINDOW_SECONDS = 60
MAX_PEERS = 20  # named per window
_log = logging.getLogger(__name__)


class AuthFailureLog:
    """Names each peer once per window, and logs at its end how many failures were left out."""

    def __init__(self, loop: asyncio.AbstractEventLoop, window_seconds: float = WINDOW_SECONDS) -> None:
        self._loop = loop
        self._window_seconds = window_seconds
        self._peers: set[str] = set()
        self._unlogged = 0

    def note(self, address: str) -> None:
        """Takes an address of the form HOST:PORT; a peer is a host."""
        if not self._peers:
            self._loop.call_later(self._window_seconds, self._end_window)
        peer = address.rpartition(":")[0]
        if peer in self._peers or len(self._peers) == MAX_PEERS:
            self._unlogged += 1
            return
        self._peers.add(peer)
        _log.warning("authentication failed from %s", address, extra={"event": "auth_failed"})

    def _end_window(self) -> None:
        if self._unlogged:
            _log.warning(
                "authentication failed %d more times within %g s",
                self._unlogged,
                self._window_seconds,
                extra={"event": "auth_failed_more"},
            )
        self._peers.clear()
        self._unlogged = 0
