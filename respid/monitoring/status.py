"""The status of a worker: as JSON at /status, and as a page or plain text at /. Never draws an ID.

The HTTP port has no authentication, so nothing is shown here that /metrics and /readyz do not show: no ID, no address.
"""

import base64
import hashlib
import re
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from respid import __version__
from respid.ids.timestamp import format_timestamp
from respid.monitoring.history import INTERVAL_SECONDS, History
from respid.monitoring.http import Response, json_response
from respid.worker.worker import Worker

_MS_PER_YEAR = 365.2425 * 24 * 3600 * 1000
_NO_STORE = ("Cache-Control", "no-store")


class StatusRoutes:
    """The routes / and /status."""

    def __init__(self, worker: Worker, history: History) -> None:
        self._worker = worker
        self._history = history

    def status(self, _accept: str) -> Response:
        return json_response(200, describe(self._worker, self._history), (_NO_STORE,))

    def index(self, accept: str) -> Response:
        """Returns the page to a browser, and plain text to everything else."""
        headers = (_NO_STORE, ("Vary", "Accept"))
        if "text/html" not in accept:
            text = render_text(describe(self._worker, self._history))
            return Response(200, "text/plain; charset=utf-8", text.encode(), headers)
        return Response(200, "text/html; charset=utf-8", self._page, (*headers, *self._page_headers))

    @cached_property
    def _page(self) -> bytes:
        return Path(__file__).with_name("page.html").read_bytes()

    @cached_property
    def _page_headers(self) -> tuple[tuple[str, str], ...]:
        return (
            ("Content-Security-Policy", _content_security_policy(self._page)),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        )


def _content_security_policy(page: bytes) -> str:
    """Permits the page's own script and style sheet, by their hashes, and requests to this server."""
    script, style = (_hash_element(page, name) for name in (b"script", b"style"))
    return (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; img-src data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash_element(page: bytes, name: bytes) -> str:
    (content,) = re.findall(rb"<%b>(.*?)</%b>" % (name, name), page, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(content).digest()).decode()


def describe(worker: Worker, history: History) -> dict[str, object]:
    """Returns the content of /status. docs/status.md explains each field."""
    reason = worker.not_ready()
    return {
        "version": __version__,
        "uptime_seconds": round(worker.uptime_seconds, 3),
        "ready": reason is None,
        "reason": reason,
        "state": worker.lifecycle.state.value,
        "worker_id": worker.generator.worker_id,
        "worker_id_source": worker.config.worker_id_source,
        "layout": _describe_layout(worker),
        "ids": _describe_ids(worker, history),
        "time": _describe_time(worker),
        "clients": _describe_clients(worker),
    }


def _describe_layout(worker: Worker) -> dict[str, object]:
    layout = worker.generator.layout
    return {
        "fingerprint": layout.fingerprint,
        "timestamp_bits": layout.timestamp_bits,
        "worker_bits": layout.worker_bits,
        "sequence_bits": layout.sequence_bits,
        "epoch_ms": layout.epoch_ms,
        "end": format_timestamp(layout.end_ms),
        "years_left": round((layout.end_ms - worker.clock.wall_ms()) / _MS_PER_YEAR, 2),
    }


def _describe_ids(worker: Worker, history: History) -> dict[str, object]:
    stats = worker.stats
    return {
        "issued": worker.generator.ids_issued,
        "per_second_limit": worker.generator.layout.sequence_size * 1000,
        "per_second": history.per_second,
        "interval_seconds": INTERVAL_SECONDS,
        "sequence_exhausted": stats.sequence_exhausted,
        "exhausted_wait_seconds": round(stats.exhausted_wait_ns / 1e9, 6),
    }


def _describe_time(worker: Worker) -> dict[str, object]:
    generator, reservation, now_ms = worker.generator, worker.reservation, worker.clock.wall_ms()
    return {
        "now_ms": now_ms,
        "clock_lead_seconds": generator.lead_ms / 1000,
        "max_clock_lead_seconds": generator.lead_limit_ms / 1000,
        "clock_steps": worker.stats.clock_steps,
        "store": worker.config.store,
        "reservation_remaining_seconds": reservation.remaining_ms(now_ms) / 1000,
        "reservation_seconds": reservation.span_ms / 1000,
        "reservation_failures": reservation.extensions_failed,
        "event_loop_lag_seconds": round(worker.stats.event_loop_lag_seconds, 6),
    }


def _describe_clients(worker: Worker) -> dict[str, object]:
    stats = worker.stats
    return {
        "connections": len(worker.clients),
        "connections_total": stats.connections,
        "connections_rejected": stats.connections_rejected,
        "commands_total": sum(stats.commands.values()),
        "errors": stats.errors,
        "auth_failures": stats.auth_failures,
    }


_TEXT = """\
respid {version}: {readiness}

worker ID      {worker_id} (from {worker_id_source})
layout         {layout[fingerprint]}, ends {layout[end]} ({layout[years_left]} years left)
IDs            {ids[issued]:,} issued, {rate:,} per second of at most {ids[per_second_limit]:,}
exhausted      {exhausted:,} ms, waited {ids[exhausted_wait_seconds]:.3f} s
connections    {clients[connections]:,} now, {clients[connections_total]:,} since the start, {rejected:,} rejected
errors         {errors:,} error replies, {clients[auth_failures]:,} failed authentications
clock lead     {time[clock_lead_seconds]:.3f} s of at most {time[max_clock_lead_seconds]:g} s
reservation    {time[reservation_remaining_seconds]:.3f} s of {time[reservation_seconds]:g} s, store {time[store]}
uptime         {uptime}

JSON at /status, metrics at /metrics. Open this address in a browser for a live page with an ID decoder.
"""


def render_text(status: dict[str, object]) -> str:
    """Returns the plain text of / for a status."""
    ids, clients = status["ids"], status["clients"]
    assert isinstance(ids, dict)  # noqa: S101 - tells mypy
    assert isinstance(clients, dict)  # noqa: S101
    return _TEXT.format(
        **status,
        readiness="ready" if status["ready"] else f"not ready: {status['reason']}",
        rate=ids["per_second"][-1] if ids["per_second"] else 0,
        exhausted=sum(ids["sequence_exhausted"].values()),
        rejected=sum(clients["connections_rejected"].values()),
        errors=sum(clients["errors"].values()),
        uptime=timedelta(seconds=int(str(status["uptime_seconds"]).partition(".")[0])),
    )
