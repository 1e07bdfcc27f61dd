"""The limits of a client: requests within them pass; others are refused with a reason and counted."""

import socket
from collections.abc import Iterator

import pytest

from respid.net.open_files import RESERVED_DESCRIPTORS
from respid.net.peer import keep_alive
from tests.support.byte_streams import request
from tests.support.command_client import CommandClient
from tests.support.command_line import run_command_line
from tests.support.raw_client import RawClient, exchange
from tests.support.running import RunningServer, StartServer, wait_until
from tests.support.scripted_worker import converse

PING = request("PING")
PONG = b"+PONG\r\n"
SETTINGS = {
    "RESPID_MAX_CLIENTS": "5",
    "RESPID_MAX_REQUEST_BYTES": "2000",
    "RESPID_MAX_ARGUMENTS": "20",
    "RESPID_MAX_INLINE_BYTES": "100",
    "RESPID_MAX_QUEUED_COMMANDS": "10",
}


@pytest.fixture(scope="module")
def strict(start_module_server: StartServer) -> RunningServer:
    """A server with small limits."""
    return start_module_server(**SETTINGS)


def exists(arguments: int, size: int) -> bytes:
    return request("EXISTS", *["x" * size] * (arguments - 1))


@pytest.mark.parametrize(
    ("within", "beyond", "words", "reason"),
    [
        (request("ECHO", "x" * 1996), request("ECHO", "x" * 1997), "invalid bulk length", "request_bytes"),
        (exists(20, 1), exists(21, 1), "invalid multibulk length", "arguments"),
        (b"ECHO " + b"x" * 95 + b"\r\n", b"ECHO " + b"x" * 97 + b"\r\n", "too big inline request", "inline_bytes"),
        (b"EXISTS" + b" x" * 19 + b"\r\n", b"EXISTS" + b" x" * 20 + b"\r\n", "too big inline request", "arguments"),
        (b"", b"*1\r\n:1\r\n", "expected '$', got ':'", "protocol_error"),
    ],
)
def test_request_above_limit_is_refused(
    strict: RunningServer, within: bytes, beyond: bytes, words: str, reason: str
) -> None:
    counter = f'id_generator_connections_closed_total{{reason="{reason}"}}'
    before = strict.metric(counter)
    answered = exchange(strict.port, within)
    assert not answered.startswith(b"-")
    assert exchange(strict.port, beyond, PING) == f"-ERR Protocol error: {words}\r\n".encode()
    assert strict.metric(counter) == before + 1


def open_files(most: int) -> tuple[str, ...]:
    """A prefix that runs a command with this hard and soft limit of open files."""
    return "sh", "-c", f'ulimit -n {most}; exec "$@"', "sh"


def test_max_clients_fits_open_files(start_server: StartServer) -> None:
    server = start_server(prefix=open_files(RESERVED_DESCRIPTORS + 3))
    assert f"max clients lowered from 10000 to 3: the limit of open files is {RESERVED_DESCRIPTORS + 3} " in server.log
    clients = [RawClient(server.port) for _ in range(3)]
    for client in clients:
        client.send(PING)
        assert client.receive_reply() == PONG
    assert exchange(server.port, PING) == b"-ERR max number of clients reached\r\n"
    assert server.get("/readyz")[0] == 200
    for client in clients:
        client.vanish()


def test_too_few_open_files_stop_the_start(start_server: StartServer) -> None:
    server = start_server(prefix=open_files(RESERVED_DESCRIPTORS), wait=False)
    assert server.wait() == 1
    assert server.log.endswith(" and respid needs 321: raise it (ulimit -n)\n")


def test_short_arguments_are_added_up(start_server: StartServer) -> None:
    server = start_server(RESPID_MAX_REQUEST_BYTES="500")
    assert exchange(server.port, exists(6, 98)) == b":5\r\n"
    assert exchange(server.port, exists(7, 98)) == b"-ERR Protocol error: invalid bulk length\r\n"


def test_lower_limit_applies_before_auth(start_server: StartServer) -> None:
    server = start_server(RESPID_PASSWORD="secret", RESPID_MAX_REQUEST_BYTES="100")
    refused = exchange(server.port, request("AUTH", "x" * 200))
    assert refused == b"-ERR Protocol error: unauthenticated bulk length\r\n"
    longest = b"AUTH " + b"x" * 2043 + b"\r\n"  # Redis accepts 64 KiB before authentication as well
    assert exchange(server.port, longest).startswith(b"-WRONGPASS ")
    assert exchange(server.port, b"x" + longest) == b"-ERR Protocol error: too big inline request\r\n"


def test_max_clients_from_variable(start_server: StartServer) -> None:
    server = start_server(RESPID_MAX_CLIENTS="2")
    with RawClient(server.port) as one, RawClient(server.port) as another:
        for client in (one, another):
            client.send(PING)
            assert client.receive_reply() == PONG
        assert exchange(server.port, PING) == b"-ERR max number of clients reached\r\n"
        assert server.metric('id_generator_connections_rejected_total{reason="max_clients"}') == 1
    wait_until(lambda: exchange(server.port, PING) == PONG)


def test_multi_above_limit_fails_whole(strict: RunningServer) -> None:
    ping, multi, execute = request("PING"), request("MULTI"), request("EXEC")
    assert exchange(strict.port, multi, ping * 10, execute) == b"+OK\r\n" + b"+QUEUED\r\n" * 10 + b"*10\r\n" + PONG * 10
    lines = exchange(strict.port, multi, ping * 13, execute, ping).split(b"\r\n")
    words = b"-OOM more than 10 commands, or KiB of arguments, queued by MULTI;"
    assert lines[:11] == [b"+OK", *[b"+QUEUED"] * 10]
    assert lines[11].startswith(words)
    aborted = b"-EXECABORT Transaction discarded because of previous errors."
    assert lines[12:] == [b"+QUEUED", b"+QUEUED", aborted, b"+PONG", b""]
    assert strict.metric('id_generator_errors_total{kind="OOM"}') == 1


def test_large_commands_fill_multi_sooner(client: CommandClient) -> None:
    """Otherwise 100,000 commands of 1 MiB each would take 100 GiB."""
    large = request("ECHO", "x" * 1_000_000)
    converse(client.connection, request("MULTI"))
    answers = [converse(client.connection, large) for _ in range(110)]
    assert answers[0] == b"+QUEUED\r\n"
    assert [answer[:4] for answer in answers].index(b"-OOM") == 102
    assert converse(client.connection, request("EXEC")).startswith(b"-EXECABORT ")


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()):
        connected, _ = listening.accept()
        with connected:
            yield connected


def test_keepalive_options_are_set(tcp: socket.socket) -> None:
    keep_alive(tcp, 300)
    assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    options = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT]
    assert [tcp.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [300, 100, 3]


def test_keepalive_can_be_disabled(tcp: socket.socket) -> None:
    keep_alive(tcp, 0)
    assert not tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_config_get_shows_timeouts(start_server: StartServer) -> None:
    server = start_server(RESPID_IDLE_TIMEOUT="90", RESPID_TCP_KEEPALIVE="7")
    assert server.client().config_get("t*") == {"timeout": "90", "tcp-keepalive": "7"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RESPID_MAX_REQUEST_BYTES", "1"),
        ("RESPID_MAX_ARGUMENTS", "9"),
        ("RESPID_MAX_INLINE_BYTES", "0"),
        ("RESPID_MAX_QUEUED_COMMANDS", "0"),
        ("RESPID_IDLE_TIMEOUT", "nan"),
        ("RESPID_MAX_CONNECTION_AGE", "-1"),
        ("RESPID_MAX_CONNECTION_AGE_CLIENTS", "some"),
        ("RESPID_TCP_KEEPALIVE", "32768"),
    ],
)
def test_invalid_limit_is_refused(variable: str, value: str) -> None:
    outcome = run_command_line("serve", "--worker-id", "1", variables={variable: value})
    assert (outcome.exit_code, outcome.config) == (2, None)
    assert variable in outcome.stderr
