"""Connections of a running server leave: their clients are asked where that is possible, and only between replies."""

import dataclasses
import signal
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from respid.commands import Session
from respid.net.departures import Departures
from respid.net.moves import ROUND_SECONDS, SETTLED_SECONDS, TTL_SECONDS, Departure
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.command_client import CommandClient
from tests.support.raw_client import RawClient
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until

INCR = request("INCR", "orders")
PING = request("PING")
PONG = b"+PONG\r\n"
ANNOUNCED = 'id_generator_moves_total{event="announced"}'
FOLLOWED = 'id_generator_moves_total{event="followed"}'
NOT_MOVED = 'id_generator_connections_closed_total{reason="not_moved"}'
ON = request("HELLO", "3") + request("CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "none")
GO_REDIS = request("CLIENT", "SETINFO", "LIB-NAME", "go-redis") + request("CLIENT", "SETINFO", "LIB-VER", "9.1")
MOVING = b">4\r\n$6\r\nMOVING\r\n"
ANSWERED = b"+OK\r\n" + PONG  # the last replies to ON and PING


def ask_for_messages(client: RawClient, named: bytes = b"") -> bytes:
    """In one write: between two, a busy machine might reach the maximum age. Returns what follows the replies."""
    client.send(named + ON + PING)
    received = b""
    while ANSWERED not in received:
        received += client.receive_some()
    return received.partition(ANSWERED)[2]


def use_until_asked(client: RawClient, received: bytes = b"") -> list[bytes]:
    """Sends PING until a message arrives, unless it was received already, and returns its lines."""
    ends = time.monotonic() + WAIT_SECONDS
    while MOVING not in received:
        assert time.monotonic() < ends, received
        answered = received.count(PONG)
        client.send(PING)
        while received.count(PONG) == answered:  # the message may come before or after the reply
            received += client.receive_some()
        time.sleep(0.05)
    assert received.replace(PONG, b"").startswith(MOVING)
    return received.replace(PONG, b"").split(b"\r\n")


def use_until_closed(client: RawClient) -> None:
    received = b"+"
    while received:
        client.send(PING)
        try:
            received = client.receive()
        except ConnectionResetError:  # it was closed just as the request came
            return
        time.sleep(0.05)


@pytest.fixture(scope="module")
def ageing(start_module_server: StartServer) -> RunningServer:
    return start_module_server("--max-connection-age", "1")


def test_client_is_asked_at_its_age(ageing: RunningServer) -> None:
    followed = ageing.metric(FOLLOWED)
    with RawClient(ageing.port) as client:
        _, _, _, number, ttl, endpoint, rest = use_until_asked(client, ask_for_messages(client))
        assert number.startswith(b":")
        assert int(number[1:]) & 1023 == 1
        assert (ttl, endpoint, rest) == (b":1", b"_", b"")
        assert ageing.metric(ANNOUNCED) >= 1
    wait_until(lambda: ageing.metric(FOLLOWED) == followed + 1)


def test_client_that_stays_is_closed_if_its_driver_reconnects(ageing: RunningServer) -> None:
    closed = ageing.metric(NOT_MOVED)
    with RawClient(ageing.port) as client:
        use_until_asked(client, ask_for_messages(client, GO_REDIS))
        use_until_closed(client)
    assert ageing.metric(NOT_MOVED) == closed + 1


def test_client_that_did_not_ask_is_not_asked(ageing: RunningServer) -> None:
    announced = ageing.metric(ANNOUNCED)
    with RawClient(ageing.port) as client:
        client.send(request("HELLO", "3"))
        client.receive_some()
        ends = time.monotonic() + 3
        while time.monotonic() < ends:
            client.send(PING)
            assert client.receive_until(PONG) == PONG
            time.sleep(0.1)
    assert ageing.metric(ANNOUNCED) == announced


def test_drain_asks_clients_in_use(start_server: StartServer) -> None:
    server = start_server("--drain-delay", "15")  # longer than a busy machine stands still
    with RawClient(server.port) as used, RawClient(server.port) as idle:
        ask_for_messages(used)
        ask_for_messages(idle)
        server.process.send_signal(signal.SIGTERM)
        ttl = int(use_until_asked(used)[4][1:])
        assert 2 <= ttl <= 27, "half of it ends before the drain"
        assert server.metric(ANNOUNCED) == 1
        used.vanish()
        assert idle.receive() == b"", "closed at the end of the drain, without a message"
    assert server.wait() == 0
    assert "1 of 1 connections that were asked to leave have moved to other workers" in server.log


def test_drain_counts_those_that_were_asked_before(start_server: StartServer) -> None:
    server = start_server("--max-connection-age", "1", "--drain-delay", "2")
    with RawClient(server.port) as client:
        use_until_asked(client, ask_for_messages(client))
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in server.log)
        client.vanish()
    assert server.wait() == 0
    assert "1 of 1 connections that were asked to leave have moved to other workers" in server.log


def test_drain_without_delay_asks_nobody(start_server: StartServer) -> None:
    server = start_server()
    with RawClient(server.port) as client:
        ask_for_messages(client)
        server.process.send_signal(signal.SIGTERM)
        assert client.receive_to_end() == b""
    assert server.wait() == 0


@dataclass
class FakeSocket:
    """A client's socket as `Departures` uses it."""

    session: Session
    is_between_requests: bool = True
    pushed: list[bytes] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)

    def push(self, message: bytes) -> bool:
        self.pushed.append(message)
        return True

    def give_up(self, reason: str) -> None:
        self.given_up.append(reason)


def fake_socket(client: CommandClient, library: str) -> FakeSocket:
    session = client.connection.session
    session.library_name, session.library_version, session.version = library.encode(), b"9.1", 3
    session.moving_endpoint_type = b"external-ip"
    return FakeSocket(session)


def after_new_worker(departures: Departures, client: FakeSocket, *, age: float = 100) -> list[float]:
    """Returns the seconds after which the client was asked or closed. It is used all the time."""
    socket = cast("Any", client)
    now = client.session.connected_ns / 1e9 + age
    departure = departures.plan(socket)
    departures.note_new_worker(now)
    acted = []
    for second in range(200):
        departures.begin_look()
        before = len(client.pushed) + len(client.given_up)
        departures.look(socket, departure, now + second, is_active=True)
        acted += [float(second)] * (len(client.pushed) + len(client.given_up) - before)
        if client.given_up:
            break
    return acted


def test_new_worker_moves_those_that_can_be_asked(worker: Worker, client: CommandClient) -> None:
    asked = fake_socket(client, "go-redis")
    second, closed_at = after_new_worker(Departures(worker), asked)
    assert second <= ROUND_SECONDS - TTL_SECONDS / 2 + 1
    assert worker.stats.moves["announced"] == 1
    assert (asked.given_up, closed_at - second) == (["not_moved"], 1 + TTL_SECONDS), "it reads the message after 1 s"


def test_new_worker_soon_moves_those_that_have_just_connected(worker: Worker, client: CommandClient) -> None:
    recent = fake_socket(client, "go-redis")
    recent.session.connected_ns += round(1e9 * SETTLED_SECONDS) + 1_000_000_000
    second, _ = after_new_worker(Departures(worker), recent, age=1)
    assert second <= ROUND_SECONDS - TTL_SECONDS / 2 + 1


def test_new_worker_closes_those_that_reconnect(worker: Worker, client: CommandClient) -> None:
    closed = fake_socket(client, "ioredis")
    (second,) = after_new_worker(Departures(worker), closed)
    assert second <= ROUND_SECONDS
    assert closed.given_up == ["new_worker"]


@pytest.mark.parametrize("library", ["go-redis", "ioredis"])
def test_name_server_that_lies_moves_a_client_once_a_minute(
    worker: Worker, client: CommandClient, library: str
) -> None:
    """Each of its answers has the address of a worker that does not exist. The client follows at once."""
    departures = Departures(worker)
    moving = fake_socket(client, library)
    departure = departures.plan(cast("Any", moving))
    start = moving.session.connected_ns / 1e9
    left_at = []
    for second in range(100, 1000):
        if second % 5 == 0:
            departures.note_new_worker(start + second)
        departures.begin_look()
        departures.look(cast("Any", moving), departure, start + second, is_active=True)
        if moving.pushed or moving.given_up:
            left_at.append(second)
            moving.pushed.clear()
            moving.given_up.clear()
            departure = Departure(start + second)
    assert min(after - before for before, after in pairwise(left_at)) >= ROUND_SECONDS
    assert len(left_at) >= 5


def test_new_worker_spares_other_drivers(worker: Worker, client: CommandClient) -> None:
    assert after_new_worker(Departures(worker), fake_socket(client, "node-redis")) == []


def test_new_worker_spares_them_also_if_an_age_closes_all(worker: Worker, client: CommandClient) -> None:
    worker.config = dataclasses.replace(
        worker.config, max_connection_age_seconds=1000, max_connection_age_clients="all"
    )
    other = fake_socket(client, "jedis")
    assert after_new_worker(Departures(worker), other) == []


def test_connection_of_a_later_time_has_chosen(worker: Worker, client: CommandClient) -> None:
    departures, recent = Departures(worker), fake_socket(client, "go-redis")
    recent.session.connected_ns += 150_000_000_000
    departures.note_new_worker(recent.session.connected_ns / 1e9 - 1)
    departure = departures.plan(cast("Any", recent))
    departures.begin_look()
    departures.look(cast("Any", recent), departure, recent.session.connected_ns / 1e9 + 100, is_active=True)
    assert (recent.pushed, recent.given_up) == ([], [])
