"""Closes connections that are idle or old. It checks all of them once a second, so no request has to read a clock."""

import asyncio
import random
import time
from dataclasses import dataclass

from respid.commands import Session
from respid.net.clients import Clients, ClientSocket

SWEEP_SECONDS = 1.0
SLICE = 500  # connections checked before the event loop gets its turn
AGE_JITTER = 0.1  # of the age, so that clients that connected together do not all reconnect together

# Drivers, by their CLIENT SETINFO LIB-NAME, whose users see no error when a connection is closed, whether it is idle or
# has a request on its way; observed with the versions of late 2026. Not listed: node-redis, Redisson, phpredis and
# GLIDE fail the request that was on its way; Jedis, redigo, redis-rs, rueidis and Predis fail the next one.
RECONNECTING = {b"coredis", b"go-redis", b"ioredis", b"lettuce", b"redis-py", b"redis-rb"}
_REDIS_PY_MAJOR = 6  # the first major version that retries


def reconnects_silently(session: Session) -> bool:
    name = session.library_name.partition(b"(")[0].lower()  # go-redis(,go1.26.8), redis-py(django-redis_v7.0)
    if name == b"redis-py":
        major = session.library_version.partition(b".")[0]
        return major.isdigit() and int(major) >= _REDIS_PY_MAJOR
    return name in RECONNECTING


class _Seen(str):
    """The name of a session's last command, marked by the sweep. The next command replaces it with a plain string."""

    __slots__ = ()


@dataclass(slots=True)
class _Watched:
    """What the sweep remembers about a connection, in seconds of the monotonic clock."""

    closes_at: float  # when it reaches its maximum age
    idle_since: float
    unsent_bytes: int = 0


class Sweep:
    """Closes connections that have been idle or open for too long."""

    def __init__(self, clients: Clients) -> None:
        config = clients.worker.config
        self._clients = clients
        self._idle_seconds = config.idle_timeout_seconds
        self._age_seconds = config.max_connection_age_seconds
        self._closes_all = config.max_connection_age_clients == "all"
        self._watched: dict[ClientSocket, _Watched] = {}

    async def run(self) -> None:
        """Sweeps until it is cancelled. Returns at once when neither limit is set."""
        while self._idle_seconds or self._age_seconds:
            await asyncio.sleep(SWEEP_SECONDS)
            sockets = list(self._clients.sockets)
            for start in range(0, len(sockets), SLICE):
                self._sweep(sockets[start : start + SLICE], time.monotonic())
                await asyncio.sleep(0)
            self._watched = {each: self._watched[each] for each in sockets if each in self._watched}

    def _sweep(self, sockets: list[ClientSocket], now: float) -> None:
        for client in sockets:
            watched = self._watched.get(client)
            if watched is None:
                age = self._age_seconds * random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)  # noqa: S311 - not a secret
                watched = self._watched[client] = _Watched(now + age, now)
            self._note_activity(client, watched, now)
            if self._idle_seconds and now - watched.idle_since >= self._idle_seconds:
                client.give_up("idle_timeout")
            elif self._age_seconds and now >= watched.closes_at and self._may_close(client):
                client.give_up("max_age")

    def _note_activity(self, client: ClientSocket, watched: _Watched, now: float) -> None:
        """A connection is active when a command arrived since the last sweep, or when its replies make progress."""
        session, unsent_bytes = client.session, client.unsent_bytes
        is_idle = isinstance(session.last_command, _Seen) and (
            unsent_bytes == watched.unsent_bytes if unsent_bytes else not client.is_answering
        )
        if not is_idle:
            watched.idle_since = now
            session.last_command = _Seen(session.last_command)
        watched.unsent_bytes = unsent_bytes

    def _may_close(self, client: ClientSocket) -> bool:
        return client.is_between_requests and (self._closes_all or reconnects_silently(client.session))
