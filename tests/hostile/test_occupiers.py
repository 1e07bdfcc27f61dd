"""Crowds that occupy every place and reopen each connection that is closed: newcomers are let in all the same."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.bystander import unnoticed
from tests.support.byte_streams import request
from tests.support.certificates import CertificateFiles
from tests.support.raw_client import RawClient
from tests.support.running import StartServer, free_port, wait_until

PING = request("PING")
PONG = b"+PONG\r\n"
NEWCOMERS = 20


@contextlib.contextmanager
def occupiers(port: int, size: int, sent: bytes = b"") -> Iterator[None]:
    """Keeps so many connections open, each of which sends these bytes and no more."""
    ended, selector = threading.Event(), selectors.DefaultSelector()

    def open_one() -> None:
        connection = socket.create_connection(("127.0.0.1", port), timeout=20)
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


def test_tls_clients_get_in(start_server: StartServer, tmp_path: Path) -> None:
    files, port = CertificateFiles(tmp_path), free_port()
    server = start_server(*files.options(port))
    context = files.client_context()
    with unnoticed(server, growth_mib=32), occupiers(port, 300):
        for _ in range(NEWCOMERS):
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
            with context.wrap_socket(connection, server_hostname="localhost") as client:
                client.sendall(PING)
                assert client.recv(100) == PONG
        assert server.get("/healthz")[0] == 200
    assert server.metric('id_generator_connections_rejected_total{reason="tls_handshakes"}') > 0


@pytest.mark.parametrize("sent", [b"", b"*2\r\n$4\r\nAUTH\r\n", request("AUTH", "wrong")])
def test_plain_clients_get_in(start_server: StartServer, sent: bytes) -> None:
    server = start_server("--max-clients", "50", RESPID_PASSWORD="secret-of-the-orders")
    with occupiers(server.port, 60, sent):
        wait_until(lambda: server.metric('id_generator_connections_closed_total{reason="max_clients"}') > 0)
        for _ in range(NEWCOMERS):
            with RawClient(server.port) as client:
                client.send(request("AUTH", "secret-of-the-orders"), PING)
                assert client.receive_until(PONG) == b"+OK\r\n" + PONG


def test_health_checks_get_in(start_server: StartServer) -> None:
    server = start_server()
    with unnoticed(server), occupiers(server.http_port, 40, b"GET /healthz HTTP/1.1\r\n"):
        for _ in range(NEWCOMERS):
            assert server.get("/healthz")[0] == 200
    assert server.log.count(": too many HTTP connections\n") == 1
    assert server.metric('id_generator_connections_rejected_total{reason="http_connections"}') > 0
