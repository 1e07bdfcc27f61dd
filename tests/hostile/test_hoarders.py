"""Crowds that make the server hold as much memory as they can, in 256 MiB: it lives, and others notice nothing.

The memory is that of a cgroup, where the test can make one; elsewhere the peak of the server's memory is compared.
`RESPID_TEST_CROWD` sets the size of the crowds. The tests compare CPU times, because the machine may be busy with other
tests; on a quiet one, `pytest -rP` shows how long others waited.
"""

import contextlib
import os
import resource
import selectors
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.ports import free_port
from tests.hostile.bystander import MIB
from tests.hostile.observer import Times, observing, percentile_99
from tests.support.byte_streams import request
from tests.support.certificates import CertificateFiles, client_hello
from tests.support.memory_cgroup import memory_cgroup
from tests.support.raw_client import are_rising
from tests.support.running import WAIT_SECONDS, RunningServer, launch_server, wait_until

CROWD = int(os.environ.get("RESPID_TEST_CROWD", "400"))
LIMIT_BYTES = 256 * MIB
PASSWORD = "secret-of-the-orders"
AUTH = request("AUTH", PASSWORD)
CLOSED = 'id_generator_connections_closed_total{reason="client_memory"}'
CROWD_ADDRESS = "127.0.0.2"  # the others are no neighbours of the crowd
RECEIVE_BUFFER_BYTES = 32 * 1024  # else the kernel takes megabytes of replies from the server
STALLED_SECONDS = 1.0  # after which the server reads no more, if its event loop turns meanwhile
# How long the server is busy before it answers others, in CPU time.
P99_SECONDS = 0.1
HEALTH_SECONDS = 0.25


Ready = tuple[selectors.SelectorKey, int]


class Kind(NamedTuple):
    """The bytes that each client of a crowd sends."""

    sent: bytes
    size: int = CROWD
    port: str = "plain"
    is_closed: bool = True  # whether it is more than the clients may hold


UNFINISHED = AUTH + b"*2\r\n$4\r\nECHO\r\n$1000000\r\n" + b"x" * 999_000
CLIENT_HELLO = client_hello()
KINDS = {
    "silent": Kind(b"", is_closed=False),
    "silent before TLS": Kind(b"", port="raw TLS", is_closed=False),
    "half a password": Kind(b"*2\r\n$4\r\nAUTH\r\n$10000\r\n" + b"x" * 9_000, is_closed=CROWD > 5_000),
    "queued commands": Kind(AUTH + request("MULTI") + request("PING", "x") * 90_000, size=CROWD // 8),
    "transactions": Kind(AUTH + request("MULTI") + request("ECHO", "x" * 900) * 90_000, size=CROWD // 8),
    "unfinished requests": Kind(UNFINISHED),
    "unfinished requests over the Unix socket": Kind(UNFINISHED, port="Unix socket"),
    "unread IDs": Kind(AUTH + request("ID.NEXT", "COUNT", "4096000"), size=CROWD // 8, is_closed=False),
    "pipelines": Kind(AUTH + request("INCR", "orders") * 12_000, is_closed=CROWD > 1_000),
    "pipelines of blocks": Kind(AUTH + request("INCRBY", "orders", "100") * 12_000, is_closed=CROWD > 1_000),
    "unread lists of clients": Kind(AUTH + request("CLIENT", "LIST") * 1_000, is_closed=CROWD > 1_000),
    "unfinished TLS handshakes": Kind(CLIENT_HELLO, port="raw TLS", is_closed=False),
    "TLS": Kind(b"", port="TLS", is_closed=CROWD > 1_300),
    "unfinished requests over TLS": Kind(UNFINISHED, port="TLS"),
    "HTTP": Kind(b"GET /metrics HTTP/1.1\r\nHost: respid\r\nX: " + b"x" * 9_000, port="HTTP", is_closed=False),
}


class Guarded(NamedTuple):
    """A server with a password and TLS, in a cgroup of its own."""

    server: RunningServer
    files: CertificateFiles
    tls_port: int
    unix_path: Path

    def connect(self, port: str) -> socket.socket:
        ports = {"plain": self.server.port, "HTTP": self.server.http_port}
        is_unix = port == "Unix socket"
        connection = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET)
        # With a timeout, a full backlog of the Unix socket would be an error at once.
        connection.settimeout(None if is_unix else WAIT_SECONDS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if not is_unix:
            connection.bind((CROWD_ADDRESS, 0))
        connection.connect(str(self.unix_path) if is_unix else ("127.0.0.1", ports.get(port, self.tls_port)))
        if port == "TLS":
            connection = self.context.wrap_socket(connection, server_hostname="localhost")
        connection.setblocking(False)  # noqa: FBT003 - its only parameter
        return connection

    @property
    def context(self) -> ssl.SSLContext:
        return self.files.client_context()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    files, tls_port, unix_path = CertificateFiles(tmp_path), free_port(), tmp_path / "socket"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the server inherits it
    with memory_cgroup(LIMIT_BYTES) as prefix:
        budget = [] if prefix else ["--max-client-memory", str(LIMIT_BYTES // 4)]
        options = [*files.options(tls_port), "--unix-socket", str(unix_path), "--max-clients", str(CROWD + 1), *budget]
        server = launch_server(tmp_path, *options, measured=False, prefix=prefix, RESPID_PASSWORD=PASSWORD)
        try:
            server.wait_until_ready()
            yield Guarded(server, files, tls_port, unix_path)
        finally:
            server.process.kill()
            server.process.wait()


@contextlib.contextmanager
def hoarding(guarded: Guarded, kind: Kind) -> Iterator[None]:
    """Opens the crowd, and sends until every client has sent all, was closed, or is read no more."""
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(contextlib.closing(selectors.DefaultSelector()))
        for _ in range(kind.size):
            with contextlib.suppress(ConnectionError, ssl.SSLEOFError):  # closed during the handshake
                connection = stack.enter_context(guarded.connect(kind.port))
                if kind.sent:
                    selector.register(connection, selectors.EVENT_WRITE, [0])
        while ready := selector.select(STALLED_SECONDS) or ready_after_answer(guarded.server, selector):
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                if not send_more(key.fileobj, kind.sent, key.data):
                    selector.unregister(key.fileobj)
        yield


def ready_after_answer(server: RunningServer, selector: selectors.BaseSelector) -> list[Ready]:
    """On a busy machine the server may not have run meanwhile: returns what is ready once it has answered others."""
    assert server.get("/healthz")[0] == 200
    return selector.select(0)


def send_more(connection: socket.socket, data: bytes, position: list[int]) -> bool:
    """Sends what the server takes now. Returns whether there is more to send."""
    try:
        position[0] += connection.send(memoryview(data)[position[0] : position[0] + (1 << 16)])
    except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return position[0] < len(data)


def peak_bytes(server: RunningServer) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.timeout(1_200 + CROWD // 20)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_hoarders_end_nobody(guarded: Guarded, kind: Kind) -> None:
    server = guarded.server
    started = time.monotonic()
    with observing(server, AUTH) as end, hoarding(guarded, kind):
        wait_until(lambda: server.metric(CLOSED) > 0 or not kind.is_closed)
        observed = end()
    elapsed = time.monotonic() - started
    assert server.process.poll() is None
    closed = server.metric(CLOSED)
    print(f"{elapsed:.0f} s, {closed:.0f} closed, peak {peak_bytes(server) / MIB:.0f} MiB")  # noqa: T201
    print("draws: ", shown(observed.draws))  # noqa: T201 - shown with pytest -rP
    print("health:", shown(observed.health))  # noqa: T201
    assert not observed.others
    assert are_rising(observed.ids)
    assert percentile_99(observed.draws.busy_seconds) < P99_SECONDS
    assert max(observed.health.busy_seconds) < HEALTH_SECONDS
    assert (closed > 0) is kind.is_closed
    assert peak_bytes(server) < LIMIT_BYTES


def shown(times: Times) -> str:
    """The time that clients waited, and that of the CPU: only a quiet machine shows whether the first is short."""
    wall, busy = times.wall_seconds, times.busy_seconds
    return (
        f"{len(wall)} answers; p99 {percentile_99(wall) * 1000:.1f} ms, at most {max(wall) * 1000:.1f} ms; CPU: p99"
        f" {percentile_99(busy) * 1000:.1f} ms, at most {max(busy) * 1000:.1f} ms"
    )
