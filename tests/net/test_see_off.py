"""After a drain, clients that were in use a moment ago are served until they have left or are quiet."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from respid.net import idle
from respid.net.clients import Clients
from respid.net.departures import Departures
from respid.net.idle import Sweep
from respid.net.protocol import RespProtocol
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.running import WAIT_SECONDS
from tests.support.scripted_clock import ScriptedClock

PING = request("PING")
PONG = b"+PONG\r\n"
ON = request("HELLO", "3") + request("CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "none")
MOVING = b">4\r\n$6\r\nMOVING\r\n"
SWEEP_SECONDS, QUIET_SECONDS, SEE_OFF_SECONDS = 0.05, 1.0, 30.0


class Client:
    """The client's end of a connection to a worker in this process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, sent: bytes, end: bytes = PONG) -> bytes:
        """Returns what comes up to this end of the reply; raises IncompleteReadError if the connection is closed."""
        self._writer.write(sent)
        return await self._reader.readuntil(end)

    async def receive_to_end(self) -> bytes:
        received = await asyncio.wait_for(self._reader.read(), WAIT_SECONDS)
        await self.close()
        return received

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Draining:
    """A worker that drains, and its clients. Its time is that of the pauses between its looks at the clients."""

    def __init__(self, worker: Worker, clock: ScriptedClock) -> None:
        self.clients = Clients(worker, asyncio.get_running_loop())
        self.sweep = Sweep(self.clients, Departures(worker))
        self.moves = worker.stats.moves
        self.in_each_pause: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)
        self.seconds = clock.monotonic / 1e9

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await (self.in_each_pause() if seconds else asyncio.sleep(0))

    async def connect(self) -> Client:
        ours, theirs = socket.socketpair()
        await self.clients.loop.connect_accepted_socket(lambda: RespProtocol(self.clients), theirs)
        return Client(*await asyncio.open_unix_connection(sock=ours))

    async def connect_mover(self) -> Client:
        client = await self.connect()
        await client.ask(ON + PING)
        for session in (each.session for each in self.clients.sockets):
            session.address = "192.0.2.1:50000"  # a Unix socket leads to no other worker
        return client

    async def drain(self) -> None:
        await self.sweep.drain(0.1)
        self.clients.drain(self.sweep.lately_used())
        await self.sweep.see_off()


@pytest.fixture
async def draining(worker: Worker, clock: ScriptedClock, monkeypatch: pytest.MonkeyPatch) -> Draining:
    draining = Draining(worker, clock)
    monkeypatch.setattr(idle, "asyncio", SimpleNamespace(sleep=draining.sleep))
    monkeypatch.setattr(idle, "time", SimpleNamespace(monotonic=lambda: draining.seconds))
    monkeypatch.setattr(idle, "DRAIN_SWEEP_SECONDS", SWEEP_SECONDS)
    monkeypatch.setattr(idle, "QUIET_SECONDS", QUIET_SECONDS)
    monkeypatch.setattr(idle, "SEE_OFF_SECONDS", SEE_OFF_SECONDS)
    return draining


async def test_client_in_use_is_served_until_it_is_quiet(draining: Draining) -> None:
    client, other = await draining.connect_mover(), await draining.connect()
    await other.ask(PING)
    received, last_used, served = b"", 0.0, [0]

    async def use() -> None:
        nonlocal received, last_used
        if MOVING not in received:
            received += await client.ask(PING)
            last_used = draining.seconds
        served.append(len(draining.clients.staying))

    draining.in_each_pause = use
    await draining.drain()
    assert MOVING in received
    assert max(served) == 1, "the other one cannot be asked, so it is closed when the drain ends"
    assert QUIET_SECONDS <= draining.seconds - last_used <= QUIET_SECONDS + 2 * SWEEP_SECONDS
    assert (await client.receive_to_end(), await other.receive_to_end()) == (b"", b"")
    assert draining.moves == {"announced": 1, "followed": 0}


async def test_client_that_the_drain_closes_did_not_follow(draining: Draining) -> None:
    idle_client, client = await draining.connect_mover(), await draining.connect_mover()
    await draining.sweep.drain(0)
    draining.sweep._departures.begin_look(5)
    for one, watched in draining.sweep._watched.items():
        draining.sweep._departures.ask(one, watched.departure, draining.seconds + 5)
    await draining.sleep(QUIET_SECONDS + 0.1)
    assert MOVING in await client.ask(PING)
    await draining.sweep._look(lambda _client, _watched, _now: None)
    draining.clients.drain(draining.sweep.lately_used())
    await asyncio.gather(draining.sweep.see_off(), idle_client.receive_to_end())
    await client.receive_to_end()
    assert draining.moves == {"announced": 2, "followed": 0}


async def test_client_that_follows_ends_the_wait(draining: Draining) -> None:
    client = await draining.connect_mover()
    began = draining.seconds

    async def follow() -> None:
        if MOVING in await client.ask(PING):
            await client.close()
            while draining.clients.sockets:
                await asyncio.sleep(0)

    draining.in_each_pause = follow
    await draining.drain()
    assert draining.seconds - began < QUIET_SECONDS
    assert draining.moves == {"announced": 1, "followed": 1}


async def test_client_that_does_not_follow_is_closed(draining: Draining) -> None:
    client = await draining.connect_mover()
    began = draining.seconds

    async def use() -> None:
        await client.ask(PING)

    draining.in_each_pause = use
    await draining.drain()
    await client.receive_to_end()
    assert draining.seconds - began >= SEE_OFF_SECONDS
    assert draining.moves == {"announced": 1, "followed": 0}


async def test_client_that_is_quiet_is_closed_at_once(draining: Draining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "QUIET_SECONDS", 0)
    client = await draining.connect_mover()
    await draining.drain()
    assert MOVING not in await client.receive_to_end()
