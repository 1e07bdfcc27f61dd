"""After a drain, clients that were in use a moment ago are served until they have left or are quiet."""

import asyncio
import contextlib
import socket
import time

import pytest

from respid.net import idle
from respid.net.clients import Clients
from respid.net.departures import Departures
from respid.net.idle import Sweep
from respid.net.protocol import RespProtocol
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.running import WAIT_SECONDS

PING = request("PING")
PONG = b"+PONG\r\n"
ON = request("HELLO", "3") + request("CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "none")
MOVING = b">4\r\n$6\r\nMOVING\r\n"
QUIET_SECONDS = 1.0


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
    """A worker that drains, and its clients."""

    def __init__(self, worker: Worker) -> None:
        self.clients = Clients(worker, asyncio.get_running_loop())
        self.sweep = Sweep(self.clients, Departures(worker))
        self.moves = worker.stats.moves

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


def make(
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    *,
    quiet_seconds: float = QUIET_SECONDS,
    see_off_seconds: float = 30,
) -> Draining:
    monkeypatch.setattr(idle, "DRAIN_SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(idle, "QUIET_SECONDS", quiet_seconds)
    monkeypatch.setattr(idle, "SEE_OFF_SECONDS", see_off_seconds)
    return Draining(worker)


async def test_client_in_use_is_served_until_it_is_quiet(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    draining = make(worker, monkeypatch)
    client = await draining.connect_mover()
    other = await draining.connect()
    await other.ask(PING)
    ending = asyncio.create_task(draining.drain())
    assert await other.receive_to_end() == b"", "it cannot be asked, so it is closed when the drain ends"
    received = b""
    while MOVING not in received:
        received += await client.ask(PING)
        await asyncio.sleep(0.02)
    last_used = time.monotonic()
    assert await client.receive_to_end() == b""
    assert time.monotonic() - last_used >= QUIET_SECONDS - 0.1
    await ending
    assert draining.moves == {"announced": 1, "followed": 0}


async def test_client_that_the_drain_closes_did_not_follow(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    draining = make(worker, monkeypatch, quiet_seconds=0.2, see_off_seconds=2)
    idle_client, client = await draining.connect_mover(), await draining.connect_mover()
    await draining.sweep.drain(0)
    draining.sweep._departures.begin_look(5)
    for one, watched in draining.sweep._watched.items():
        draining.sweep._departures.ask(one, watched.departure, time.monotonic() + 5)
    await asyncio.sleep(0.3)
    assert MOVING in await client.ask(PING)
    await draining.sweep._look(lambda _client, _watched, _now: None)
    draining.clients.drain(draining.sweep.lately_used())
    await asyncio.gather(draining.sweep.see_off(), idle_client.receive_to_end())
    await client.receive_to_end()
    assert draining.moves == {"announced": 2, "followed": 0}


async def test_client_that_follows_ends_the_wait(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    draining = make(worker, monkeypatch, quiet_seconds=1000)
    client = await draining.connect_mover()
    ending = asyncio.create_task(draining.drain())
    received = b""
    while MOVING not in received:
        received += await client.ask(PING)
        await asyncio.sleep(0.02)
    await client.close()
    await asyncio.wait_for(ending, WAIT_SECONDS)
    assert draining.moves == {"announced": 1, "followed": 1}


async def test_client_that_does_not_follow_is_closed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    draining = make(worker, monkeypatch, see_off_seconds=1)
    client = await draining.connect_mover()
    ending = asyncio.create_task(draining.drain())
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while not ending.done():
            await client.ask(PING)
            await asyncio.sleep(0.02)
    await asyncio.wait_for(ending, WAIT_SECONDS)
    await client.receive_to_end()
    assert draining.moves == {"announced": 1, "followed": 0}


async def test_client_that_is_quiet_is_closed_at_once(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    draining = make(worker, monkeypatch, quiet_seconds=0)
    client = await draining.connect_mover()
    await draining.drain()
    assert MOVING not in await client.receive_to_end()
