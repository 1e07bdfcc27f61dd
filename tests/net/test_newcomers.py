"""Clients that get nowhere make room for others, and do not stay."""

import asyncio
import signal
import time

import pytest

from respid.commands.handshake import MOST_WRONG_PASSWORDS
from respid.net.clients import Clients
from respid.net.protocol import RespProtocol
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.mock_transport import mock_transport
from tests.support.raw_client import RawClient
from tests.support.running import RunningServer, StartServer, wait_until

PING = request("PING")
PONG = b"+PONG\r\n"
OK = b"+OK\r\n"
WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
CLOSED = 'id_generator_connections_closed_total{{reason="{}"}}'
REJECTED = 'id_generator_connections_rejected_total{reason="max_clients"}'


def say(client: RawClient, sent: bytes) -> bytes:
    client.send(sent)
    return client.receive_reply()


def fill(server: RunningServer, size: int, sent: bytes = b"") -> list[RawClient]:
    """Connects so many clients, the server knowing each before the next one."""
    clients: list[RawClient] = []
    connected = server.metric("id_generator_connections_total")
    for _ in range(size):
        clients.append(RawClient(server.port))
        clients[-1].send(sent)
        wait_until(lambda: server.metric("id_generator_connections_total") == connected + len(clients))
    return clients


def end(clients: list[RawClient]) -> None:
    for client in clients:
        client.vanish()


def test_silent_clients_make_room(start_server: StartServer) -> None:
    server = start_server("--max-clients", "3")
    with RawClient(server.port) as user:
        assert say(user, PING) == PONG
        silent = fill(server, 2)
        with RawClient(server.port) as newcomer:
            assert say(newcomer, PING) == PONG
            assert silent[0].receive() == b""
            assert say(user, PING) == PONG
            assert say(silent[1], PING) == PONG
            with RawClient(server.port) as refused:
                assert refused.receive_to_end() == b"-ERR max number of clients reached\r\n"
        end(silent)
    assert server.metric(CLOSED.format("max_clients")) == server.metric(REJECTED) == 1
    assert server.log.count(": max clients reached (--max-clients)\n") == 1


def test_unauthenticated_clients_make_room(start_server: StartServer) -> None:
    server = start_server("--max-clients", "3", RESPID_PASSWORD="secret-of-the-orders")
    with RawClient(server.port) as user:
        assert say(user, request("AUTH", "secret-of-the-orders")) == OK
        crowd = fill(server, 2, request("AUTH", "wrong"))
        with RawClient(server.port) as newcomer:
            assert say(newcomer, request("AUTH", "secret-of-the-orders")) == OK
            assert crowd[0].receive_to_end() == WRONG
            assert say(user, PING) == PONG
        end(crowd)


def test_auth_timeout_closes_unauthenticated(start_server: StartServer) -> None:
    server = start_server("--auth-timeout", "1", RESPID_PASSWORD="secret-of-the-orders")
    server.process.send_signal(signal.SIGSTOP)  # so that it finds the password when it accepts the connection
    with RawClient(server.port) as user, RawClient(server.port) as silent:
        user.send(request("AUTH", "secret-of-the-orders"))
        server.process.send_signal(signal.SIGCONT)
        assert user.receive_reply() == OK
        assert silent.receive() == b""
        assert say(user, PING) == PONG
        assert say(user, request("RESET")) == b"+RESET\r\n"  # as connection pools do between two uses
        time.sleep(2.5)
        assert say(user, request("AUTH", "secret-of-the-orders")) == OK
    assert server.metric(CLOSED.format("auth_timeout")) == 1
    assert server.log.count(": not authenticated in time (--auth-timeout)\n") == 1


async def test_unauthenticated_crowd_is_closed_in_slices(worker: Worker) -> None:
    worker.credentials.use([b"secret-of-the-orders"])
    clients = Clients(worker, asyncio.get_running_loop())
    for _ in range(5):
        RespProtocol(clients).connection_made(mock_transport())
    assert clients.close_unauthenticated(0, 3)
    assert worker.stats.connections_closed["auth_timeout"] == 3
    assert not clients.close_unauthenticated(0, 3)
    assert worker.stats.connections_closed["auth_timeout"] == 5


@pytest.mark.parametrize(
    ("option", "password"), [("0", {"RESPID_PASSWORD": "secret-of-the-orders"}), ("1", {})], ids=["off", "no password"]
)
def test_auth_timeout_spares_others(start_server: StartServer, option: str, password: dict[str, str]) -> None:
    server = start_server("--auth-timeout", option, **password)
    with RawClient(server.port) as silent:
        time.sleep(2.5)
        assert say(silent, PING) in (PONG, b"-NOAUTH Authentication required.\r\n")


@pytest.mark.parametrize("sent", [request("AUTH", "wrong"), request("HELLO", "3", "AUTH", "default", "wrong")])
def test_wrong_passwords_close_the_connection(start_server: StartServer, sent: bytes) -> None:
    server = start_server(RESPID_PASSWORD="secret-of-the-orders")
    with RawClient(server.port) as client:
        client.send((sent + request("RESET")) * 100)
        assert client.receive_to_end().count(WRONG) == MOST_WRONG_PASSWORDS
    assert server.metric(CLOSED.format("wrong_passwords")) == 1
    assert server.metric("id_generator_auth_failures_total") == MOST_WRONG_PASSWORDS
    assert server.log.count(": too many wrong passwords\n") == 1


def test_right_password_forgives_wrong_ones(start_server: StartServer) -> None:
    server = start_server(RESPID_PASSWORD="secret-of-the-orders")
    wrong, right = request("AUTH", "wrong"), request("AUTH", "secret-of-the-orders")
    with RawClient(server.port) as client:
        client.send((wrong * (MOST_WRONG_PASSWORDS - 1) + right) * 3)
        assert client.finish().count(OK) == 3
