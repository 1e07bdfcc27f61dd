"""The memory that all clients together may hold, and which of them is closed above it."""

import asyncio
import contextlib
import socket
import ssl
import weakref
from pathlib import Path
from unittest import mock

import pytest

from benchmarks.ports import free_port
from respid.net import client_memory, memory_limit
from respid.net.client_memory import ClientMemory
from respid.net.flow_control import HIGH_WATER_BYTES
from respid.net.memory_limit import default_limit_bytes
from respid.net.protocol import BASE_BYTES
from respid.net.states import Next
from respid.net.tls_listener import TLS_BASE_BYTES
from respid.net.tls_stream import RECORD_BYTES
from respid.worker.stats import Stats
from respid.worker.worker import Worker
from tests.hostile.bystander import INCR, unnoticed
from tests.support.byte_streams import request
from tests.support.certificates import CertificateFiles
from tests.support.raw_client import RawClient
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until
from tests.support.scripted_worker import connect, converse

LIMIT = 2_000_000
CLOSED = 'id_generator_connections_closed_total{reason="client_memory"}'
HELD = "id_generator_client_memory_bytes"
PAUSED = 60  # clients
UNFINISHED = b"*2\r\n$4\r\nECHO\r\n$1000000\r\n" + b"x" * 900_000


class Client:
    """A client without a socket, which counts how often it is looked at."""

    def __init__(self, name: str, memory: ClientMemory, held_bytes: int, *, is_newcomer: bool) -> None:
        self.name = name
        self.is_newcomer = is_newcomer
        self.looks = 0
        self.bytes = held_bytes
        self._memory = memory

    def hold(self, held_bytes: int) -> None:
        self.bytes = held_bytes
        self._memory.note(self)

    @property
    def held_bytes(self) -> int:
        self.looks += 1
        return self.bytes

    def give_up_memory(self) -> None:
        self._memory.remove(self)


class Crowd:
    """Clients that share a limit."""

    def __init__(self, limit: int) -> None:
        self.stats = Stats()
        self.memory = ClientMemory(limit, self.stats)
        self.clients: list[Client] = []

    def add(self, held_bytes: int, *, is_newcomer: bool = False) -> Client:
        client = Client(str(len(self.clients)), self.memory, held_bytes, is_newcomer=is_newcomer)
        self.clients.append(client)
        self.memory.add(client)
        return client

    def closed(self) -> list[str]:
        """The names of those that were closed."""
        return [client.name for client in self.clients if client not in self.memory._noted]


async def test_client_that_leaves_is_not_kept_until_the_next_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heap is trimmed before that, and what is still held stays with the process."""
    monkeypatch.setattr(client_memory, "RECOUNT_SECONDS", 0)
    crowd = Crowd(100)
    client = crowd.add(10)
    counting = asyncio.create_task(crowd.memory.run())
    while client.looks < 3:
        await asyncio.sleep(0)
    monkeypatch.setattr(client_memory, "RECOUNT_SECONDS", 60)
    for _ in range(5):
        await asyncio.sleep(0)
    crowd.memory.remove(client)
    is_kept = weakref.ref(client)
    crowd.clients.clear()
    del client
    assert is_kept() is None
    counting.cancel()


@pytest.fixture(scope="module")
def small(start_module_server: StartServer) -> RunningServer:
    """A server whose clients may hold 2 MB."""
    return start_module_server("--max-client-memory", str(LIMIT))


@pytest.mark.parametrize(("limit", "closed"), [(70, ""), (69, "2"), (30, "2"), (29, "12"), (9, "012")])
def test_largest_are_closed_first(limit: int, closed: str) -> None:
    crowd = Crowd(limit)
    clients = [crowd.add(0) for _ in range(3)]
    for client, held_bytes in zip(clients, (10, 20, 40), strict=True):
        client.hold(held_bytes)
    assert crowd.closed() == list(closed)
    assert crowd.stats.client_memory_bytes == sum(client.bytes for client in clients if client.name not in closed)


def test_last_of_equals_is_closed_first() -> None:
    crowd = Crowd(25)
    for _ in range(4):
        crowd.add(10)
    assert crowd.closed() == ["2", "3"]


def test_client_that_holds_less_now_is_not_closed() -> None:
    crowd = Crowd(100)
    shrunk, large = crowd.add(70), crowd.add(1)
    shrunk.bytes = 1
    large.hold(40)
    assert crowd.closed() == []
    assert crowd.stats.client_memory_bytes == 41


def test_newcomers_keep_their_part_only() -> None:
    """A crowd of silent newcomers does not make the others go, nor do those make all newcomers go."""
    crowd = Crowd(100)
    crowd.add(20)
    for _ in range(10):
        crowd.add(10, is_newcomer=True)
    assert crowd.closed() == ["1", "2"]
    crowd.add(0).hold(60)
    assert crowd.closed() == ["1", "2", "3", "4", "5", "11"]


def test_client_that_has_run_a_command_is_no_newcomer() -> None:
    crowd = Crowd(100)
    crowd.add(30, is_newcomer=True).is_newcomer = False
    crowd.add(60, is_newcomer=True)
    crowd.add(30, is_newcomer=True)
    assert crowd.closed() == ["1"]


def test_large_crowd_costs_no_more_per_client() -> None:
    """All clients once were looked at whenever a hundredth of them had grown."""
    crowd = Crowd(100_000)
    clients = [crowd.add(10) for _ in range(2_000)]
    for client in clients:
        client.hold(1_000)
    assert len(crowd.closed()) == 1_900
    assert sum(client.looks for client in clients) < 3 * len(clients)


def test_client_that_holds_the_same_is_left_as_it_is() -> None:
    """Thousands of idle clients are counted once a second."""
    crowd = Crowd(LIMIT)
    client = crowd.add(5000)
    before = crowd.memory._noted[client]
    crowd.memory.note(client)
    assert crowd.memory._noted[client] is before
    client.hold(6000)
    assert crowd.memory._noted[client].held_bytes == crowd.stats.client_memory_bytes == 6000


def test_newcomer_that_holds_the_same_is_no_newcomer_after_a_command() -> None:
    """Its part of the memory is free for other newcomers."""
    crowd = Crowd(1000)
    client = crowd.add(400, is_newcomer=True)
    client.is_newcomer = False
    crowd.memory.note(client)
    crowd.add(300, is_newcomer=True)
    crowd.add(200, is_newcomer=True)
    crowd.add(50, is_newcomer=True)
    assert crowd.closed() == []
    assert crowd.memory._newcomers_bytes == 550


async def test_client_that_is_not_noted_is_recounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_memory, "RECOUNT_SECONDS", 0.001)
    crowd = Crowd(100)
    crowd.add(10).bytes = 101
    recounting = asyncio.create_task(crowd.memory.run())
    while not crowd.closed():
        await asyncio.sleep(0)
    recounting.cancel()


async def test_memory_is_returned_when_clients_gave_up_much(monkeypatch: pytest.MonkeyPatch) -> None:
    trim_heap = mock.Mock()
    monkeypatch.setattr(client_memory, "RECOUNT_SECONDS", 0.001)
    monkeypatch.setattr(client_memory, "trim_heap", trim_heap)
    crowd = Crowd(800)
    witness = crowd.add(1)
    recounting = asyncio.create_task(crowd.memory.run())
    calls = []
    for held_bytes in (99, 1, 1):
        crowd.add(held_bytes).give_up_memory()
        looks = witness.looks
        while witness.looks < looks + 2:
            await asyncio.sleep(0)
        calls.append(trim_heap.call_count)
    recounting.cancel()
    assert calls == [0, 1, 1]


def test_no_limit_counts_all_the_same() -> None:
    crowd = Crowd(0)
    crowd.add(1 << 40)
    assert (crowd.closed(), crowd.stats.client_memory_bytes) == ([], 1 << 40)


def test_connections_are_held_memory(small: RunningServer) -> None:
    with RawClient(small.port):
        wait_until(lambda: small.metric(HELD) == BASE_BYTES)
    wait_until(lambda: small.metric(HELD) == 0)


def test_tls_clients_take_no_more_than_is_counted(start_server: StartServer, tmp_path: Path) -> None:
    files, port = CertificateFiles(tmp_path), free_port()
    server = start_server(*files.options(port), measured=False)
    context = files.client_context()
    with contextlib.ExitStack() as stack, server.client() as other:
        before_bytes = server.resident_bytes()
        for _ in range(PAUSED):
            send_incomplete_record(
                stack.enter_context(socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)), context
            )
        wait_until(lambda: server.metric(HELD) >= PAUSED * TLS_BASE_BYTES)
        assert other.ping()  # what arrived before the first one is read before the second one
        assert other.ping()
        assert server.resident_bytes() - before_bytes < PAUSED * TLS_BASE_BYTES


def send_incomplete_record(connection: socket.socket, context: ssl.SSLContext) -> None:
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, sent, server_hostname="localhost")
    is_complete = False
    while not is_complete:
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
            is_complete = True
        connection.sendall(sent.read())
        if not is_complete:
            received.write(connection.recv(100_000))
    tls.write(UNFINISHED[:RECORD_BYTES])
    connection.sendall(sent.read()[:-1])


def test_paused_clients_over_tls_are_not_read_ahead(start_server: StartServer, tmp_path: Path) -> None:
    files, port = CertificateFiles(tmp_path), free_port()
    server = start_server(*files.options(port), measured=False)
    context = files.client_context()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(tls_client(context, port)) for _ in range(PAUSED)]
        for client in clients:
            client.sendall(request("ID.NEXT", "COUNT", "4096000"))  # and reads no reply
        wait_until(lambda: server.metric(HELD) > PAUSED * (TLS_BASE_BYTES + HIGH_WATER_BYTES))
        before_bytes = server.resident_bytes()
        for client in clients:
            client.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                client.sendall(UNFINISHED)
        assert server.resident_bytes() - before_bytes < PAUSED * 64 * 1024


def tls_client(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    """A client of which the kernel keeps few replies."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
    connection.connect(("127.0.0.1", port))
    return context.wrap_socket(connection, server_hostname="localhost")


def test_silent_crowd_makes_room_for_users(start_server: StartServer) -> None:
    server = start_server("--max-client-memory", "200000")
    with RawClient(server.port) as user:
        user.draw(INCR, 1)
        crowd = [RawClient(server.port) for _ in range(60)]
        wait_until(lambda: server.metric(CLOSED) > 10)
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


@pytest.mark.parametrize("queued", [request("ECHO", "x" * 900), request("PING", "x")])
def test_transactions_are_bounded(start_server: StartServer, queued: bytes) -> None:
    server = start_server("--max-client-memory", str(LIMIT))
    with RawClient(server.port) as large, RawClient(server.port) as modest:
        modest.send(request("MULTI") + request("INCR", "x" * 900) * 1_000)
        modest.receive_lines(1_001)
        large.send(request("MULTI") + queued * 20_000)
        wait_until(lambda: server.metric(CLOSED) == 1)
        modest.send(request("EXEC"))
        assert modest.receive_lines(1_001)[0] == b"*1000"


def test_unread_replies_are_bounded(start_server: StartServer) -> None:
    server = start_server("--max-client-memory", "100000")
    clients = [RawClient(server.port) for _ in range(4)]
    for client in clients:
        client.send(request("ID.NEXT", "COUNT", "4096000"))
    wait_until(lambda: server.metric(CLOSED) > 0)
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
