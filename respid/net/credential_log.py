"""Logs what is wrong with passwords, certificates and revocation lists that are used all the same."""

import asyncio
import logging
import math

from respid.ids.timestamp import format_timestamp
from respid.worker.credentials import SHORT_BYTES, count_short
from respid.worker.worker import Worker

LOOK_SECONDS = 3600.0
CERTIFICATE_WARNING_SECONDS = 7 * 86400
_log = logging.getLogger(__name__)


class ExpiryLog:
    """Logs when the TLS certificate or a revocation list expires, and a week before the certificate does.

    It does so whenever they are loaded, and once as the time comes: files that nobody renews are never loaded again.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._looked_at = -math.inf  # Unix time

    def note_loaded(self) -> None:
        """Logs what has happened to the files that are now in use."""
        self._looked_at = -math.inf
        self._look()

    async def run(self) -> None:
        """Looks once an hour until it is cancelled. Returns at once without TLS."""
        while self._worker.config.tls_port:
            await asyncio.sleep(LOOK_SECONDS)
            self._look()

    def _look(self) -> None:
        since, self._looked_at = self._looked_at, self._worker.clock.wall_ms() / 1000
        stats = self._worker.stats
        if (end := stats.tls_certificate_end_seconds) is not None:
            if since < end <= self._looked_at:
                message = "the TLS certificate expired at %s: clients that verify it cannot connect; renew it"
                _log.error(message, _format(end), extra={"event": "certificate_ended"})
            elif since < end - CERTIFICATE_WARNING_SECONDS <= self._looked_at < end:
                _log.warning(
                    "the TLS certificate expires at %s: renew it", _format(end), extra={"event": "certificate_ends"}
                )
        if (end := stats.tls_crl_end_seconds) is not None and since < end <= self._looked_at:
            message = "a revocation list expired at %s: certificates of its CA are refused; publish a new list"
            _log.error(message, _format(end), extra={"event": "crl_ended"})


def _format(seconds: float) -> str:
    return format_timestamp(round(seconds * 1000))


def warn_about_short(passwords: list[bytes], source: str) -> None:
    if short := count_short(passwords):
        message = "%d of the passwords in %s can be guessed, being shorter than %d bytes: use longer, random ones"
        _log.warning(message, short, source, SHORT_BYTES, extra={"event": "password_short"})
