"""Reports readiness, state and liveness to systemd, as sd_notify(3) describes; to no other supervisor."""

import asyncio
import contextlib
import socket
from collections.abc import Mapping

from respid.monitoring.history import History
from respid.worker.lifecycle import State
from respid.worker.worker import Worker

INTERVAL_SECONDS = 1.0
START_SECONDS = 30  # a start that makes no progress for longer has failed; waiting for the clock or a store is progress


class SystemdReport:
    """The messages to systemd, sent by the event loop: if it stops turning, the watchdog restarts the service.

    `environment` names systemd's socket and, if the service has a watchdog, its microseconds.
    """

    def __init__(self, worker: Worker, history: History, environment: Mapping[str, str]) -> None:
        self._worker = worker
        self._history = history
        self._address = environment.get("NOTIFY_SOCKET", "")
        watchdog_seconds = int(environment.get("WATCHDOG_USEC") or 0) / 1e6
        self._interval_seconds = min(INTERVAL_SECONDS, watchdog_seconds / 3) if watchdog_seconds else INTERVAL_SECONDS
        self._was_ready = False

    async def run(self) -> None:
        """Reports once a second, or as often as the watchdog needs it, until it is cancelled."""
        while self._address:
            self.send()
            await asyncio.sleep(self._interval_seconds)

    def send(self) -> None:
        """Sends the present state."""
        if self._address:
            _send(self._address, "\n".join(self.lines()).encode())

    def lines(self) -> list[str]:
        """Returns the assignments of the next message."""
        reason = self._worker.not_ready()
        lines = ["WATCHDOG=1", f"STATUS={self._describe(reason)}"]
        if self._worker.lifecycle.state in (State.DRAINING, State.STOPPED):
            return ["STOPPING=1", *lines]
        if reason is None and not self._was_ready:
            self._was_ready = True
            return ["READY=1", *lines]
        return lines if self._was_ready else [f"EXTEND_TIMEOUT_USEC={START_SECONDS * 1_000_000}", *lines]

    def _describe(self, reason: str | None) -> str:
        if reason is not None:
            return f"not ready: {' '.join(reason.splitlines())}"
        rate = (self._history.per_second or [0])[-1]
        return f"ready: {rate:,} IDs per second, {len(self._worker.clients):,} connections"


def _send(address: str, message: bytes) -> None:
    """A message that systemd does not take is lost. The next one follows soon."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.setblocking(False)  # noqa: FBT003
        # A name that begins with @ is in the abstract namespace.
        sending.sendto(message, "\0" + address[1:] if address.startswith("@") else address)
