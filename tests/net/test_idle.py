"""Idle and old connections are closed, but not those in use, nor those of drivers that would show an error."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.ports import free_port
from respid.net import idle
from respid.net.clients import Clients
from respid.net.departures import Departures
from respid.net.drivers import reconnects_silently
from respid.net.idle import Sweep
from respid.net.protocol import RespProtocol
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.certificates import CertificateFiles
from tests.support.command_client import CommandClient
from tests.support.mock_transport import mock_transport
from tests.support.raw_client import RawClient
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_loop import run_scripted
from tests.support.scripted_worker import start_worker

INCR = request("INCR", "orders")
PING = request("PING")
OK = b"+OK\r\n"
IDLE = 'id_generator_connections_closed_total{reason="idle_timeout"}'
OLD = 'id_generator_connections_closed_total{reason="max_age"}'


@pytest.fixture(scope="module")
def impatient(start_module_server: StartServer) -> RunningServer:
    return start_module_server("--idle-timeout", "1")


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", b""),
        (INCR, None),
        (b"*2\r\n$4\r\nINC", b""),
        (request("MULTI"), OK),
        (request("CLIENT", "REPLY", "OFF"), b""),
    ],
)
def test_idle_connection_is_closed(impatient: RunningServer, sent: bytes, answered: bytes | None) -> None:
    with RawClient(impatient.port) as client:
        client.send(sent)
        received = client.receive_to_end()
    assert received == answered or (answered is None and received.startswith(b":"))


def closings(
    clock: ScriptedClock, patch: pytest.MonkeyPatch, pieces: Iterable[bytes], unread: Iterable[int], **options: object
) -> Counter[str]:
    """Returns why the sweep closes a client of a worker with these options, on a scripted clock.

    In each step of 0.2 s, the client sends a piece, and leaves a number of bytes of its replies unread.
    """
    patch.setattr(idle, "time", SimpleNamespace(monotonic=lambda: clock.monotonic / 1e9))
    worker = start_worker(clock)
    worker.config = replace(worker.config, **options)  # type: ignore[arg-type]

    async def converse() -> Counter[str]:
        clients = Clients(worker, asyncio.get_running_loop())
        protocol, transport = RespProtocol(clients), mock_transport()
        protocol.connection_made(transport)
        sweeping = asyncio.create_task(Sweep(clients, Departures(worker)).run())
        for piece, size in zip(pieces, unread, strict=True):
            if piece:
                protocol.data_received(piece)
            transport.get_write_buffer_size.return_value = size
            await asyncio.sleep(0.2)
        sweeping.cancel()
        return worker.stats.connections_closed

    return +Counter(run_scripted(clock, converse()))


@pytest.mark.parametrize(
    ("pieces", "unread", "closes"),
    [
        ([INCR] * 20, [0] * 20, False),
        ([PING] * 20, [0] * 20, False),
        ([request("INCRBY", "orders", "10")] * 20, [0] * 20, False),
        ([request("MULTI"), *[INCR] * 19], [0] * 20, False),
        ([INCR, *[b""] * 19], range(100_000, 0, -5_000), False),
        ([INCR, *[b""] * 19], [100_000] * 20, True),
        ([b"x"] * 20, [0] * 20, True),  # Slowloris: otherwise a client could keep its connection forever
    ],
    ids=["INCR", "PING", "INCRBY", "transaction", "slow reader", "no reader", "slow bytes"],
)
def test_only_idle_clients_are_closed(
    clock: ScriptedClock, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes], unread: Iterable[int], *, closes: bool
) -> None:
    expected = {"idle_timeout": 1} if closes else {}
    assert closings(clock, monkeypatch, pieces, unread, idle_timeout_seconds=1.0) == expected


def test_client_that_never_reads_is_closed(impatient: RunningServer) -> None:
    before = impatient.metric(IDLE)
    with RawClient(impatient.port) as client:
        client.send(request("ID.NEXT", "COUNT", "4000000"))
        wait_until(lambda: impatient.metric(IDLE) > before)


def set_library(client: RawClient, name: str, version: str = "1") -> None:
    client.send(request("CLIENT", "SETINFO", "LIB-NAME", name) + request("CLIENT", "SETINFO", "LIB-VER", version))
    assert client.receive_until(OK * 2) == OK * 2


@pytest.fixture(scope="module")
def ageing(start_module_server: StartServer) -> RunningServer:
    return start_module_server("--max-connection-age", "0.5")


@pytest.fixture(scope="module")
def ageing_for_all(start_module_server: StartServer) -> RunningServer:
    return start_module_server("--max-connection-age", "0.5", "--max-connection-age-clients", "all")


def test_max_age_closes_reconnecting_drivers(ageing: RunningServer) -> None:
    with RawClient(ageing.port) as closed, RawClient(ageing.port) as kept, RawClient(ageing.port) as unnamed:
        set_library(closed, "go-redis(,go1.26.8)")
        set_library(kept, "node-redis")
        assert closed.receive() == b""
        time.sleep(2)
        for client in (kept, unnamed):
            client.send(PING)
            assert client.receive_reply() == b"+PONG\r\n"
    assert ageing.metric(OLD) >= 1


def test_max_age_shows_redis_py_no_error(ageing: RunningServer) -> None:
    drawn: list[int] = []
    with ageing.client() as client:
        before = ageing.metric("id_generator_connections_total")

        def has_reconnected_often() -> bool:
            drawn.extend(client.incr("orders") for _ in range(100))
            return ageing.metric("id_generator_connections_total") >= before + 3

        wait_until(has_reconnected_often)
    assert drawn == sorted(set(drawn))


@pytest.mark.parametrize(
    ("begun", "closes"),
    [
        (b"", True),
        (request("MULTI"), False),
        (request("MULTI") + INCR, False),
        (request("CLIENT", "REPLY", "OFF"), False),
    ],
)
def test_max_age_spares_open_transactions(
    clock: ScriptedClock, monkeypatch: pytest.MonkeyPatch, begun: bytes, *, closes: bool
) -> None:
    options: dict[str, object] = {"max_connection_age_seconds": 0.5, "max_connection_age_clients": "all"}
    expected = {"max_age": 1} if closes else {}
    assert closings(clock, monkeypatch, [begun, *[b""] * 19], [0] * 20, **options) == expected


def test_max_age_for_all_closes_any_client(ageing_for_all: RunningServer) -> None:
    with RawClient(ageing_for_all.port) as client:
        assert client.receive() == b""


def test_max_age_ends_tls_cleanly(start_server: StartServer, tmp_path: Path) -> None:
    files, port = CertificateFiles(tmp_path), free_port()
    start_server(*files.options(port), "--max-connection-age", "0.5", "--max-connection-age-clients", "all")
    with files.client_context().wrap_socket(
        socket.create_connection(("127.0.0.1", port), WAIT_SECONDS),
        server_hostname="localhost",
        suppress_ragged_eofs=False,
    ) as client:
        assert client.recv(1) == b""


async def test_unread_request_is_not_lost(worker: Worker) -> None:
    loop = asyncio.get_running_loop()
    clients = Clients(worker, loop)
    client, connected = socket.socketpair()
    client.settimeout(WAIT_SECONDS)
    _, protocol = await loop.connect_accepted_socket(lambda: RespProtocol(clients), connected)
    assert protocol.is_between_requests
    client.send(PING)  # the event loop does not run before the next two lines
    assert not protocol.is_between_requests
    clients.drain()
    assert await loop.run_in_executor(None, client.recv, 100) == b"+PONG\r\n"
    assert await loop.run_in_executor(None, client.recv, 100) == b""
    client.close()
    while clients.sockets:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "version", "closes"),
    [
        ("redis-py", "8.1.0", True),
        ("redis-py(django-redis_v7.0)", "6.0.0", True),
        ("redis-py", "5.3.1", False),
        ("redis-py", "", False),
        ("coredis", "6.9.0", True),
        ("go-redis(,go1.26.8)", "9.23.0", True),
        ("ioredis", "5.11.1", True),
        ("ioredis(tag)", "6.0.0", True),
        ("redis-rb", "6.0.0", True),
        ("Lettuce", "7.7.0", True),
        ("node-redis", "6.3.1", False),
        ("jedis", "8.0.2", False),
        ("redis-client", "0.30.0", False),
        ("", "", False),
    ],
)
def test_reconnecting_drivers_are_recognised(client: CommandClient, name: str, version: str, *, closes: bool) -> None:
    session = client.connection.session
    session.library_name, session.library_version = name.encode(), version.encode()
    assert reconnects_silently(session) == closes
