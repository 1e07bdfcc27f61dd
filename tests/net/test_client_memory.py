"""The memory that all clients together may hold, and which of them is closed above it."""

from pathlib import Path
from typing import cast
from unittest import mock

import pytest

from respid.net import memory_limit
from respid.net.client_memory import Holder, largest_above
from respid.net.memory_limit import default_limit_bytes
from respid.worker.worker import Worker
from tests.hostile.bystander import unnoticed
from tests.support.byte_streams import request
from tests.support.raw_client import RawClient
from tests.support.running import RunningServer, StartServer, wait_until
from tests.support.scripted_worker import connect, converse

LIMIT = 2_000_000
CLOSED = 'id_generator_connections_closed_total{reason="client_memory"}'
HELD = "id_generator_client_memory_bytes"
UNFINISHED = b"*2\r\n$4\r\nECHO\r\n$1000000\r\n" + b"x" * 900_000


@pytest.fixture(scope="module")
def small(start_module_server: StartServer) -> RunningServer:
    """A server whose clients may hold 2 MB."""
    return start_module_server("--max-client-memory", str(LIMIT))


@pytest.mark.parametrize(
    ("limit", "chosen"), [(60, []), (59, ["c"]), (30, ["c"]), (29, ["c", "b"]), (0, ["c", "b", "a"])]
)
def test_largest_are_chosen_first(limit: int, chosen: list[str]) -> None:
    held = cast("list[tuple[int, Holder]]", [(10, "a"), (20, "b"), (30, "c")])
    assert [str(holder) for holder in largest_above(limit, held, 60)] == chosen


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


@pytest.mark.parametrize("queued", [request("ECHO", "x" * 900), request("ID.NEXT")])
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


def test_unfinished_request_is_held(worker: Worker) -> None:
    connection = connect(worker)
    converse(connection, UNFINISHED[:500_000])
    assert 500_000 <= connection.held_bytes < 520_000


@pytest.mark.parametrize(("text", "limit"), [("67108864\n", 16 * 1024 * 1024), ("max\n", None), (None, None)])
def test_default_is_a_quarter_of_what_is_there(tmp_path: Path, text: str | None, limit: int | None) -> None:
    path = tmp_path / "memory.max"
    if text is not None:
        path.write_text(text)
    with mock.patch.object(memory_limit, "_CGROUP_FILES", [path]):
        assert default_limit_bytes() == limit or (limit is None and default_limit_bytes() > 100_000_000)


def test_limit_0_is_none(start_server: StartServer) -> None:
    server = start_server("--max-client-memory", "0")
    clients = [RawClient(server.port) for _ in range(5)]
    for client in clients:
        client.send(UNFINISHED)
        client.send(b"x" * 100_002)
        assert client.receive_until(b"x\r\n")
        client.vanish()
    assert server.metric(CLOSED) == 0
