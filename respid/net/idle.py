"""Looks at all connections once a second, so that no request has to read a clock.

Closes connections that are idle or unauthenticated for too long. Others leave as `departures` decides.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from respid.net.clients import Clients, ClientSocket
from respid.net.departures import Departures
from respid.net.drivers import can_be_asked
from respid.net.moves import LEAST_DRAIN_TTL_SECONDS, Departure, drain_ttl_seconds

SWEEP_SECONDS = 1.0
DRAIN_SWEEP_SECONDS = 0.5
# When go-redis takes a TLS connection from its pool, it notices that the server has closed it only if it was not used
# for 5 s. Otherwise it sends its request in vain: it sends single ones again, but a transaction fails.
QUIET_SECONDS = 6.0
SEE_OFF_SECONDS = 8.0  # less than the time that a stop has for the requests in progress
SLICE = 500  # connections checked before the event loop gets its turn
_log = logging.getLogger(__name__)


class _Seen(str):
    """The name of a session's last command, marked by the sweep. The next command replaces it with a plain string."""

    __slots__ = ()


@dataclass(slots=True)
class _Watched:
    """The sweep's record of a connection, in seconds of the monotonic clock."""

    departure: Departure
    idle_since: float
    unsent_bytes: int = 0
    is_active: bool = True  # since the last look


_Visit = Callable[[ClientSocket, _Watched, float], None]


class Sweep:
    """Closes connections that have been unauthenticated or idle for too long, and lets others depart."""

    def __init__(self, clients: Clients, departures: Departures) -> None:
        config = clients.worker.config
        self._clients = clients
        self._departures = departures
        self._idle_seconds = config.idle_timeout_seconds
        self._auth_seconds = config.auth_timeout_seconds if clients.worker.credentials.are_needed else 0
        self._watched: dict[ClientSocket, _Watched] = {}
        self._is_draining = False
        self._not_of_drain = 0, 0  # moves announced and followed that the drain does not report

    async def run(self) -> None:
        """Sweeps until it is cancelled or the server drains. Returns at once when there is nothing to do."""
        looks = self._idle_seconds or self._departures.are_expected
        while self._auth_seconds or looks:
            await asyncio.sleep(SWEEP_SECONDS)
            if self._is_draining:
                return
            while self._auth_seconds and self._clients.close_unauthenticated(self._auth_seconds, SLICE):
                await asyncio.sleep(0)
            if looks:
                self._departures.begin_look()
                await self._look(self._sweep)

    async def drain(self, seconds: float) -> None:
        """Asks clients that are in use to leave within this many seconds. Returns after that time."""
        self._is_draining = True
        ends_at = time.monotonic() + seconds
        moves = self._clients.worker.stats.moves
        await self._look(lambda _client, _watched, _now: None)  # from here on it is known which are in use
        asked_before = sum(watched.departure.is_asked for watched in self._watched.values())
        self._not_of_drain = moves["announced"] - asked_before, moves["followed"]
        while (left := ends_at - time.monotonic()) > 0:
            await asyncio.sleep(min(left, DRAIN_SWEEP_SECONDS))
            if ttl_seconds := drain_ttl_seconds(ends_at - time.monotonic()):
                await self._ask_all(ttl_seconds, ends_at)
        if seconds:
            await self._ask_all(LEAST_DRAIN_TTL_SECONDS, ends_at)

    async def _ask_all(self, ttl_seconds: int, until: float) -> None:
        """Asks clients that were in use since the last look."""
        self._departures.begin_look(ttl_seconds)
        await self._look(partial(self._ask_to_leave, until))

    def lately_used(self) -> list[ClientSocket]:
        """The clients that can be asked to leave and were in use a moment ago: closing them now may cause an error."""
        earliest = time.monotonic() - QUIET_SECONDS
        return [
            client
            for client, watched in self._watched.items()
            if watched.idle_since > earliest and can_be_asked(client.session)
        ]

    async def see_off(self) -> None:
        """After a drain, waits for clients that are still served: until they leave, or have not been used lately."""
        ends_at = time.monotonic() + SEE_OFF_SECONDS
        for client in self._watched.keys() & self._clients.sockets - self._clients.staying:
            self._watched[client].departure.is_asked = False  # the drain closes it, so it does not follow
        while self._clients.staying and (left := ends_at - time.monotonic()) > 0:
            await asyncio.sleep(min(left, DRAIN_SWEEP_SECONDS))
            self._departures.begin_look(LEAST_DRAIN_TTL_SECONDS)
            await self._look(self._see_off)
        for client in list(self._clients.staying):
            self._let_go(client, self._watched[client])
        self._report_moves()

    def _report_moves(self) -> None:
        moves = self._clients.worker.stats.moves
        announced_before, followed_before = self._not_of_drain
        if asked := moves["announced"] - announced_before:
            message = "%d of %d connections that were asked to leave have moved to other workers"
            _log.info(message, moves["followed"] - followed_before, asked, extra={"event": "moved"})

    async def _look(self, visit: _Visit) -> None:
        sockets = list(self._clients.sockets)
        for start in range(0, len(sockets), SLICE):
            now = time.monotonic()
            for client in sockets[start : start + SLICE]:
                watched = self._watched.get(client)
                if watched is None:
                    watched = self._watched[client] = _Watched(self._departures.plan(client), now)
                self._note_activity(client, watched, now)
                visit(client, watched, now)
            await asyncio.sleep(0)
        self._forget_gone()

    def _sweep(self, client: ClientSocket, watched: _Watched, now: float) -> None:
        if self._idle_seconds and now - watched.idle_since >= self._idle_seconds:
            watched.departure.is_asked = False
            client.give_up("idle_timeout")
        else:
            self._departures.look(client, watched.departure, now, is_active=watched.is_active)

    def _ask_to_leave(self, until: float, client: ClientSocket, watched: _Watched, _now: float) -> None:
        if watched.is_active:
            self._departures.ask(client, watched.departure, until)

    def _see_off(self, client: ClientSocket, watched: _Watched, now: float) -> None:
        if client not in self._clients.staying:
            return
        if now - watched.idle_since >= QUIET_SECONDS:
            self._let_go(client, watched)
        else:
            self._ask_to_leave(now + LEAST_DRAIN_TTL_SECONDS, client, watched, now)

    def _let_go(self, client: ClientSocket, watched: _Watched) -> None:
        watched.departure.is_asked = False  # it did not follow
        self._clients.let_go(client)

    def _note_activity(self, client: ClientSocket, watched: _Watched, now: float) -> None:
        """A connection is active when a command arrived since the last look, or when its replies make progress."""
        session, unsent_bytes = client.session, client.unsent_bytes
        is_idle = isinstance(session.last_command, _Seen) and (
            unsent_bytes == watched.unsent_bytes if unsent_bytes else not client.is_answering
        )
        watched.is_active = not is_idle
        if not is_idle:
            watched.idle_since = now
            session.last_command = _Seen(session.last_command)
        watched.unsent_bytes = unsent_bytes

    def _forget_gone(self) -> None:
        gone = self._watched.keys() - self._clients.sockets
        self._departures.count_followed([self._watched.pop(client).departure for client in gone])
