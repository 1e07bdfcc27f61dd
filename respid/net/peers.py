"""Notices that other workers have become ready: the DNS name of all ready workers gets new addresses.

Never connects to them.
"""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable

LOOK_SECONDS = 5.0
FAILURES_BEFORE_LOG = 3  # a name without any ready worker does not exist, as while the first ones start
FORGET_SECONDS = 60.0  # an address that comes back sooner is not new: some name servers leave out a few at a time
_log = logging.getLogger(__name__)


class KnownAddresses:
    """The addresses of the workers that have been ready lately. Does no IO."""

    def __init__(self) -> None:
        self._seen_at: dict[str, float] | None = None  # None before the first answer

    def note(self, addresses: Iterable[str], now: float) -> set[str]:
        """Takes the addresses that are ready now. Returns those that were not; none at the first call."""
        ready = set(addresses)
        if self._seen_at is None:
            self._seen_at = {}
            new = set[str]()
        else:
            new = ready - self._seen_at.keys()
        self._seen_at.update(dict.fromkeys(ready, now))
        self._seen_at = {each: at for each, at in self._seen_at.items() if now - at < FORGET_SECONDS}
        return new


class Peers:
    """Looks for new workers, and calls `on_new_worker` with the time when there are some."""

    def __init__(self, peers: tuple[str, int] | None, on_new_worker: Callable[[float], None]) -> None:
        self._peers = peers
        self._on_new_worker = on_new_worker
        self._known = KnownAddresses()
        self._failures = 0  # in a row

    async def run(self) -> None:
        """Looks until it is cancelled. Returns at once when no name is given."""
        while self._peers:
            await self._look(*self._peers)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, name: str, port: int) -> None:
        try:
            found = await resolve(name, port)
        except (OSError, UnicodeError) as error:
            self._note_failure(name, error)
            return
        self._failures = 0
        now = time.monotonic()
        new = [each for each in self._known.note(found, now) if not is_own(each)]
        if new:
            _log.info("new workers are ready: %s", ", ".join(sorted(new)), extra={"event": "new_workers"})
            self._on_new_worker(now)

    def _note_failure(self, name: str, error: Exception) -> None:
        self._failures += 1
        if self._failures == FAILURES_BEFORE_LOG:
            message = (
                "cannot resolve %s (--peers), so clients are not moved to new workers until it can: %s; the name has no"
                " address while no worker is ready"
            )
            _log.warning(message, name, error, extra={"event": "peers_unresolved"})


async def resolve(name: str, port: int) -> set[str]:
    """The addresses of a name. Raises OSError, UnicodeError.

    Unlike the event loop's own, the thread that asks does not keep the process alive while a name server hangs.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[set[str]] = loop.create_future()
    threading.Thread(target=_resolve, args=(name, port, loop, answer), daemon=True, name="resolve").start()
    return await answer


def _resolve(name: str, port: int, loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[set[str]]") -> None:
    """Settles the answer, unless nobody waits for it any more."""

    def settle(found: set[str], error: Exception | None) -> None:
        if answer.done():
            return
        if error:
            answer.set_exception(error)
        else:
            answer.set_result(found)

    found, failure = set[str](), None
    try:
        found = {str(address[0]) for *_, address in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        failure = error
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(settle, found, failure)


def is_own(address: str) -> bool:
    """Whether the address belongs to this machine or pod: packets to it would also come from it. Sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0]) == address
    except OSError:
        return False
