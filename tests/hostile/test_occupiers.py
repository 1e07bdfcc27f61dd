"""Crowds that occupy every place and reopen each connection that is closed: newcomers are let in all the same."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.hostile.bystander import unnoticed
from tests.support.byte_streams import request
from tests.support.certificates import CertificateFiles
from tests.support.raw_client import RawClient
from tests.support.running import WAIT_SECONDS, StartServer, wait_until

PING = request("PING")
PONG = b"+PONG\r\n"
NEWCOMERS = 20
# How many of them get in by the host of the crowd. One that shares its host with the crowd may lose its place: it gets
# no processor while the crowd reopens as many connections as there are places.
LEAST_LET_IN = {"127.0.0.2": NEWCOMERS, "127.0.0.1": NEWCOMERS // 2}
crowded_from = pytest.mark.parametrize("host", LEAST_LET_IN)


@contextlib.contextmanager
def occupiers(host: str, port: int, size: int, sent: bytes = b"") -> Iterator[None]:
    """Keeps so many connections from this host open, each of which sends these bytes and no more."""
    ended, selector = threading.Event(), selectors.DefaultSelector()

    def open_one() -> None:
        connection = socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS, source_address=(host, 0))
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
        selector.register(connection, selectors.EVENT_READ)

    def reopen() -> None:
        while not ended.is_set():
            for key, _ in selector.select(timeout=0.1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                with contextlib.suppress(ConnectionError):
                    if connection.recv(100):
                        continue
                selector.unregister(connection)
                connection.close()
                open_one()

    for _ in range(size):
        open_one()
    keeping = threading.Thread(target=reopen)
    keeping.start()
    try:
        yield
    finally:
        ended.set()
        keeping.join()
        for key in list(selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()


def assert_let_in(host: str, newcomer: Callable[[], None]) -> None:
    """Asserts that enough newcomers get in beside a crowd of this host."""
    let_in = 0
    for _ in range(NEWCOMERS):
        with contextlib.suppress(OSError, EOFError):
            newcomer()
            let_in += 1
    assert let_in >= LEAST_LET_IN[host]


@crowded_from
def test_tls_clients_get_in(start_server: StartServer, tmp_path: Path, host: str) -> None:
    files, port = CertificateFiles(tmp_path), free_port()
    server = start_server(*files.options(port))
    context = files.client_context()

    def ping() -> None:
        connection = socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS)
        with context.wrap_socket(connection, server_hostname="localhost") as client:
            client.sendall(PING)
            assert client.recv(100) == PONG

    with unnoticed(server, growth_mib=32), occupiers(host, port, 300):
        assert_let_in(host, ping)
        assert server.get("/healthz")[0] == 200
    assert server.metric('id_generator_connections_rejected_total{reason="tls_handshakes"}') > 0


@crowded_from
@pytest.mark.parametrize("sent", [b"", b"*2\r\n$4\r\nAUTH\r\n", request("AUTH", "wrong")])
def test_plain_clients_get_in(start_server: StartServer, sent: bytes, host: str) -> None:
    server = start_server("--max-clients", "50", RESPID_PASSWORD="secret-of-the-orders")

    def authenticate() -> None:
        with RawClient(server.port) as client:
            client.send(request("AUTH", "secret-of-the-orders"), PING)
            assert client.receive_until(PONG) == b"+OK\r\n" + PONG

    with occupiers(host, server.port, 60, sent):
        wait_until(lambda: server.metric('id_generator_connections_closed_total{reason="max_clients"}') > 0)
        assert_let_in(host, authenticate)


@crowded_from
def test_health_checks_get_in(start_server: StartServer, host: str) -> None:
    server = start_server()

    def check() -> None:
        assert server.get("/healthz")[0] == 200

    with unnoticed(server), occupiers(host, server.http_port, 40, b"GET /healthz HTTP/1.1\r\n"):
        assert_let_in(host, check)
    assert server.log.count(": too many HTTP connections\n") == 1
    assert server.metric('id_generator_connections_rejected_total{reason="http_connections"}') > 0
