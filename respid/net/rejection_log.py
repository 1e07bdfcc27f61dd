"""Logs rejected clients. It writes a few lines a minute however many are rejected; the metrics count all."""

import asyncio
import logging
from functools import partial

WINDOW_SECONDS = 60
MAX_PEERS = 20  # named per window and reason
_log = logging.getLogger(__name__)

# Reasons that are labels of the metrics.
_TEXTS = {
    "max_clients": "max clients reached (--max-clients)",
    "tls_client_name": "its certificate has none of the names that are let in (--tls-client-names)",
    "tls_handshakes": "too many TLS handshakes at a time",
    "http_connections": "too many HTTP connections",
    "client_memory": "clients hold too much memory (--max-client-memory)",
    "auth_timeout": "not authenticated in time (--auth-timeout)",
    "wrong_passwords": "too many wrong passwords",
}


class RejectionLog:
    """Names each peer once per window and reason, and logs at its end how many rejections were left out."""

    def __init__(self, loop: asyncio.AbstractEventLoop, window_seconds: float = WINDOW_SECONDS) -> None:
        self._loop = loop
        self._window_seconds = window_seconds
        self._peers: dict[str, set[str]] = {}  # by what is logged
        self._unlogged: dict[str, int] = {}

    def note_auth_failure(self, address: str) -> None:
        """Takes an address of the form HOST:PORT; a peer is a host."""
        if self._is_to_be_named("authentication failed", address):
            _log.warning("authentication failed from %s", address, extra={"event": "auth_failed"})

    def note_rejection(self, reason: str, address: str) -> None:
        """Takes a reason that is a label of the metrics, and the client's address."""
        text = _TEXTS.get(reason)
        if text is not None and self._is_to_be_named(f"rejected: {text}", address):
            _log.warning("rejected %s: %s", address, text, extra={"event": "client_rejected"})

    def _is_to_be_named(self, what: str, address: str) -> bool:
        if what not in self._peers:
            self._peers[what] = set()
            self._unlogged[what] = 0
            self._loop.call_later(self._window_seconds, partial(self._end_window, what))
        peers, peer = self._peers[what], address.rpartition(":")[0]
        if peer in peers or len(peers) == MAX_PEERS:
            self._unlogged[what] += 1
            return False
        peers.add(peer)
        return True

    def _end_window(self, what: str) -> None:
        del self._peers[what]
        if unlogged := self._unlogged.pop(what):
            message = "%s %d more times within %g s"
            _log.warning(message, what, unlogged, self._window_seconds, extra={"event": "rejections_unlogged"})
