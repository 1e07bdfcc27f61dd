"""The memory that all clients together may hold, and which of them is closed above it."""

import socket
from pathlib import Path
from unittest import mock

import pytest

from respid.net import memory_limit
from respid.net.client_memory import Held, Holder, above_limit
from respid.net.memory_limit import default_limit_bytes
from respid.net.protocol import BASE_BYTES
from respid.net.states import Next
from respid.net.tls_listener import TLS_BASE_BYTES
from respid.worker.worker import Worker
from tests.hostile.bystander import INCR, unnoticed
from tests.support.byte_streams import request
from tests.support.certificates import CertificateFiles
from tests.support.raw_client import RawClient
from tests.support.running import RunningServer, StartServer, free_port, wait_until
from tests.support.scripted_worker import connect, converse

LIMIT = 2_000_000
CLOSED = 'id_generator_connections_closed_total{reason="client_memory"}'
HELD = "id_generator_client_memory_bytes"
UNFINISHED = b"*2\r\n$4\r\nECHO\r\n$1000000\r\n" + b"x" * 900_000


class Named:
    """A client that does nothing."""

    held_bytes = number = 0
    is_newcomer = False

    def __init__(self, name: str) -> None:
        self.name = name

    def give_up_memory(self) -> None:
        raise NotImplementedError


def names(holders: list[Holder]) -> list[str]:
    return [holder.name for holder in holders if isinstance(holder, Named)]


@pytest.fixture(scope="module")
def small(start_module_server: StartServer) -> RunningServer:
    """A server whose clients may hold 2 MB."""
    return start_module_server("--max-client-memory", str(LIMIT))


@pytest.mark.parametrize(
    ("limit", "chosen"), [(60, []), (59, ["c"]), (30, ["c"]), (29, ["c", "b"]), (0, ["c", "b", "a"])]
)
def test_largest_are_chosen_first(limit: int, chosen: list[str]) -> None:
    held = [Held(size, size, is_newcomer=False, holder=Named(name)) for size, name in ((10, "a"), (20, "b"), (30, "c"))]
    assert names(above_limit(limit, held)) == chosen


def test_last_of_equals_is_chosen_first() -> None:
    held = [Held(10, number, is_newcomer=False, holder=Named(str(number))) for number in range(4)]
    assert names(above_limit(25, held)) == ["3", "2"]


def test_newcomers_keep_their_part_only() -> None:
    """A crowd of silent newcomers does not make the others go, nor do those make all newcomers go."""
    newcomers = [Held(10, number, is_newcomer=True, holder=Named(str(number))) for number in range(10)]
    user = Held(20, 10, is_newcomer=False, holder=Named("user"))
    assert names(above_limit(100, [user, *newcomers])) == ["0", "1", "2", "3", "4"]
    hoarder = Held(60, 11, is_newcomer=False, holder=Named("hoarder"))
    assert names(above_limit(100, [user, hoarder, *newcomers[:5]])) == ["hoarder"]


def test_connections_are_held_memory(small: RunningServer) -> None:
    with RawClient(small.port):
        wait_until(lambda: small.metric(HELD) == BASE_BYTES)
    wait_until(lambda: small.metric(HELD) == 0)


def test_tls_state_is_held_memory(start_server: StartServer, tmp_path: Path) -> None:
    files, port = CertificateFiles(tmp_path), free_port()
    server = start_server(*files.options(port), "--max-client-memory", str(LIMIT))
    connection = socket.create_connection(("127.0.0.1", port), 20)
    with files.client_context().wrap_socket(connection, server_hostname="localhost") as client:
        wait_until(lambda: server.metric(HELD) == TLS_BASE_BYTES)
        client.sendall(request("ECHO", "x" * 12_000))
        wait_until(lambda: server.metric(HELD) > TLS_BASE_BYTES + 40_000)


def test_silent_crowd_makes_room_for_users(start_server: StartServer) -> None:
    server = start_server("--max-client-memory", "200000")
    with RawClient(server.port) as user:
        user.draw(INCR, 1)
        crowd = [RawClient(server.port) for _ in range(60)]
        wait_until(lambda: server.metric(CLOSED) > 20)
        assert crowd[0].receive() == b""
        assert user.draw(INCR, 1)
        for client in crowd:
            client.vanish()


def test_unfinished_requests_are_bounded(small: RunningServer) -> None:
    before = small.metric(CLOSED)
    with unnoticed(small, growth_mib=16):
        clients = [RawClient(small.port) for _ in range(40)]
        for client in clients:
            client.send(UNFINISHED)
        wait_until(lambda: small.metric(CLOSED) >= before + 30)
        assert small.metric(HELD) <= LIMIT
        for client in clients:
            client.vanish()
    assert small.log.count(": clients hold too much memory (--max-client-memory)\n") == 1


@pytest.mark.parametrize("queued", [request("ECHO", "x" * 900), request("PING")])
def test_transactions_are_bounded(start_server: StartServer, queued: bytes) -> None:
    server = start_server("--max-client-memory", str(LIMIT))
    with RawClient(server.port) as large, RawClient(server.port) as modest:
        modest.send(request("MULTI") + request("INCR", "x" * 900) * 1_000)
        modest.receive_lines(1_001)
        large.send(request("MULTI") + queued * 10_000)
        wait_until(lambda: server.metric(CLOSED) == 1)
        modest.send(request("EXEC"))
        assert modest.receive_lines(1_001)[0] == b"*1000"


def test_unread_replies_are_bounded(start_server: StartServer) -> None:
    server = start_server("--max-client-memory", "100000")
    clients = [RawClient(server.port) for _ in range(4)]
    for client in clients:
        client.send(request("ID.NEXT", "COUNT", "4096000"))
    wait_until(lambda: server.metric(CLOSED) > 0, seconds=60)
    for client in clients:
        client.vanish()


def test_keys_are_not_kept(worker: Worker) -> None:
    connection = connect(worker)
    converse(connection, request("MULTI"), request("INCR", "x" * 10_000), request("EXISTS", "a" * 1_000, "b" * 1_000))
    assert connection.held_bytes < 1_000
    converse(connection, request("ECHO", "x" * 1_000))
    assert connection.held_bytes > 1_000
    assert converse(connection, request("EXEC")).startswith(b"*3\r\n:")
    assert connection.held_bytes == 0


def test_transaction_is_held_until_it_is_answered(worker: Worker) -> None:
    """A client that does not read the reply to EXEC holds what it has queued, too."""
    connection = connect(worker)
    converse(connection, request("MULTI"), *[request("ECHO", "x" * 1_000)] * 200)
    connection.receive(request("EXEC"))
    assert connection.next is Next.TURN
    assert connection.held_bytes > 200_000
    while connection.next is Next.TURN:
        connection.resume()
    assert connection.held_bytes == 0
    converse(connection, request("MULTI"), request("PING"))
    assert 0 < connection.held_bytes < 1_000


def test_unfinished_request_is_held(worker: Worker) -> None:
    connection = connect(worker)
    converse(connection, UNFINISHED[:500_000])
    assert 500_000 <= connection.held_bytes < 520_000


@pytest.mark.parametrize(("text", "limit"), [("67108864\n", 16 * 1024 * 1024), ("max\n", None), (None, None)])
def test_default_is_a_quarter_of_what_is_there(tmp_path: Path, text: str | None, limit: int | None) -> None:
    if text is not None:
        (tmp_path / "memory.max").write_text(text)
    with mock.patch.object(memory_limit, "_CGROUPS", tmp_path):
        assert default_limit_bytes() == limit or (limit is None and default_limit_bytes() > 100_000_000)


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("0::/system.slice/respid.service", "system.slice/respid.service/memory.max"),
        ("0::/system.slice/respid.service", "system.slice/memory.max"),
        ("9:memory:/pods/a", "memory/pods/a/memory.limit_in_bytes"),
        ("9:cpu,memory:/pods/a", "memory/pods/memory.limit_in_bytes"),
        ("9:memory:/unseen", "memory/memory.limit_in_bytes"),
    ],
)
def test_limit_of_the_own_cgroup_counts(tmp_path: Path, line: str, file: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("64000000\n")
    (tmp_path / "own").write_text(f"1:cpuset:/x\n{line}\n")
    with mock.patch.multiple(memory_limit, _CGROUPS=tmp_path, _OWN_CGROUPS=tmp_path / "own"):
        assert default_limit_bytes() == 16_000_000


def test_limit_0_is_none(start_server: StartServer) -> None:
    server = start_server("--max-client-memory", "0")
    clients = [RawClient(server.port) for _ in range(5)]
    for client in clients:
        client.send(UNFINISHED)
        client.send(b"x" * 100_002)
        assert client.receive_until(b"x\r\n")
        client.vanish()
    assert server.metric(CLOSED) == 0
