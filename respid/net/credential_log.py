"""Logs what is wrong with passwords, certificates and revocation lists that are used all the same."""

import logging

from respid.ids.timestamp import format_timestamp
from respid.worker.credentials import SHORT_BYTES, count_short

CERTIFICATE_WARNING_SECONDS = 7 * 86400
_log = logging.getLogger(__name__)


def warn_about_end(end_seconds: float, now_seconds: float) -> None:
    """Logs that the certificate expires soon or has expired."""
    end = format_timestamp(round(end_seconds * 1000))
    if end_seconds <= now_seconds:
        message = "the TLS certificate expired at %s: clients that verify it cannot connect; renew it"
        _log.error(message, end, extra={"event": "certificate_ended"})
    elif end_seconds - now_seconds < CERTIFICATE_WARNING_SECONDS:
        _log.warning("the TLS certificate expires at %s: renew it", end, extra={"event": "certificate_ends"})


def report_ended_crl(end_seconds: float, now_seconds: float) -> None:
    """Logs that a revocation list has expired."""
    if end_seconds <= now_seconds:
        message = "a revocation list expired at %s: certificates of its CA are refused; publish a new list"
        _log.error(message, format_timestamp(round(end_seconds * 1000)), extra={"event": "crl_ended"})


def warn_about_short(passwords: list[bytes], source: str) -> None:
    if short := count_short(passwords):
        message = "%d of the passwords in %s can be guessed, being shorter than %d bytes: use longer, random ones"
        _log.warning(message, short, source, SHORT_BYTES, extra={"event": "password_short"})
