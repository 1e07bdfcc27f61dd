"""Crowds of clients that are slow, do not read, never finish or vanish: no other client notices.

`RESPID_TEST_CONNECTIONS` sets how many connections are opened and dropped.
"""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.hostile.bystander import INCR, cpu_seconds, is_kept_alive, unnoticed
from tests.support.byte_streams import request
from tests.support.certificates import CertificateFiles, client_hello
from tests.support.raw_client import RawClient
from tests.support.running import RunningServer, StartServer, wait_until

LISTS = 'id_generator_commands_total{command="client|list"}'
CONNECTIONS = int(os.environ.get("RESPID_TEST_CONNECTIONS", "2000"))
PING = request("PING")
PONG = b"+PONG\r\n"
SLOW = {
    "a request": INCR * 3,
    "an inline command": b"x" * 100,
    "a header": b"*" + b"1" * 100,
    "an argument": b"*2\r\n$4\r\nECHO\r\n$1000000\r\n" + b"x" * 100,
    "blank lines": b"\r\n" * 50,
}
FLOODS = {
    "blank lines": b"\r\n" * 200_000,
    "empty arrays": b"*0\r\n" * 100_000,
    "errors": request("x" * 1000) * 200,
    "descriptions": request("COMMAND", "INFO", *["incr"] * 1000) * 20,
    "documentation": request("COMMAND", "DOCS") * 200,
    "lists of clients": request("CLIENT", "LIST") * 2_000,
    "frames that fit but for the last": (request("INCR", "ab*de") * 10_239 + request("INCR", "ab*dex")) * 4,
    "quotes": (b'ECHO "' + b"\\" * 60_000 + b'"\r\n') * 10,
    "patterns": request("CONFIG", "GET", *["*a" * 120 + "b"] * 1000) * 30,
}
PROBES = {
    "nothing": b"",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "SMB": b"\x00\x00\x00\x85\xffSMB" + bytes(128),
    "RDP": b"\x03\x00\x00\x13\x0e\xe0" + bytes(13),
    "MongoDB": b"\x3f\x00\x00\x00" + bytes(60),
    "exploits of Redis": request("CONFIG", "SET", "dir", "/var/spool/cron") + request("SLAVEOF", "1.2.3.4", "1")
    + request("MODULE", "LOAD", "/tmp/x.so") + request("EVAL", "return os", "0") + request("FLUSHALL"),
}  # fmt: skip


@pytest.fixture(scope="module")
def target(start_module_server: StartServer) -> RunningServer:
    """A server for this file only, because the tests count what is left behind."""
    return warmed_up(start_module_server(measured=False))


@pytest.fixture(scope="module")
def http_target(start_module_server: StartServer) -> RunningServer:
    """A server whose coverage is measured: nothing else reaches the limits of the HTTP listener."""
    return warmed_up(start_module_server())


def warmed_up(server: RunningServer) -> RunningServer:
    with contextlib.ExitStack() as stack:  # the memory that any clients take does not count
        for _ in range(50):
            client = stack.enter_context(RawClient(server.port))
            client.send(INCR * 1000)
            client.receive_lines(1000)
    wait_until(lambda: server.metric("id_generator_connections") == 0)
    return server


@contextlib.contextmanager
def crowd(server: RunningServer, size: int) -> Iterator[list[RawClient]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(RawClient(server.port)) for _ in range(size)]


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_slow_senders_are_harmless(target: RunningServer, sent: bytes) -> None:
    with unnoticed(target), crowd(target, 200) as clients:
        for start in range(min(len(sent), 30)):
            for client in clients:
                client.send(sent[start : start + 1])


@pytest.mark.parametrize("sent", FLOODS.values(), ids=FLOODS)
def test_floods_do_not_delay_others(target: RunningServer, sent: bytes) -> None:
    with unnoticed(target, growth_mib=16), crowd(target, 4) as clients:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            for client in clients:
                client.send_until_blocked(sent, most=len(sent), patience_seconds=0.05)
        for client in clients:  # else the server continues with the requests they sent
            client.vanish()


@pytest.fixture(scope="module")
def guarded(start_module_server: StartServer) -> RunningServer:
    """A server with a password."""
    return start_module_server(RESPID_PASSWORD="secret-of-the-orders")


UNAUTHENTICATED = {
    "requests": request("PING") * 5_000,
    "unknown options of HELLO": request("HELLO", "3", "x" * 10_000) * 20,
    "escapes": (b'ECHO "' + b"\\x41" * 450 + b'"\r\n') * 30,
}


@pytest.mark.parametrize("sent", UNAUTHENTICATED.values(), ids=UNAUTHENTICATED)
def test_unauthenticated_crowd_delays_no_health_check(guarded: RunningServer, sent: bytes) -> None:
    """The time of the event loop is shared: that of each client alone would add up."""
    with crowd(guarded, 400) as clients:
        for client in clients:
            client.send_until_blocked(sent, most=len(sent), patience_seconds=0.001)
        before = cpu_seconds(guarded)
        assert guarded.get("/healthz")[0] == 200
        assert cpu_seconds(guarded) - before < 0.25
        for client in clients:
            client.vanish()


@pytest.mark.parametrize("sent", UNAUTHENTICATED.values(), ids=UNAUTHENTICATED)
def test_unauthenticated_crowd_delays_no_newcomer(guarded: RunningServer, sent: bytes) -> None:
    """A newcomer waits for no turns of those that have had theirs: one of each would take 0.3 s here."""
    with crowd(guarded, 800) as clients:
        for client in clients:
            client.send_until_blocked(sent, most=len(sent), patience_seconds=0.001)
        for most_seconds in (60, 60, 0.1):  # the first ones wait until all of the crowd have had theirs
            with RawClient(guarded.port) as user:
                before = cpu_seconds(guarded)
                user.send(request("AUTH", "secret-of-the-orders"), PING)
                assert user.receive_until(PONG) == b"+OK\r\n" + PONG
                assert cpu_seconds(guarded) - before < most_seconds
        for client in clients:
            client.vanish()


def test_simultaneous_handshakes_delay_no_other(start_server: StartServer, tmp_path: Path) -> None:
    """If this process stands still during a request, the server seems to be busy with the others for longer."""
    files, port = CertificateFiles(tmp_path), free_port()
    server = start_server(*files.options(port), measured=False)
    assert any(longest_busy_seconds_beside_handshakes(server, port) < 0.04 for _ in range(5))


def longest_busy_seconds_beside_handshakes(server: RunningServer, port: int) -> float:
    idle = server.open_files()
    with contextlib.ExitStack() as stack, RawClient(server.port) as user:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(250)]
        wait_until(lambda: server.open_files() >= idle + len(clients))  # a health check may have counted as idle
        hello = client_hello()  # not within the stop, which must be shorter than the reservation
        server.process.send_signal(signal.SIGSTOP)  # so that it gets them all at once
        for client in clients:
            client.sendall(hello)
        server.process.send_signal(signal.SIGCONT)
        busy = []
        while len(select.select(clients, [], [], 0)[0]) < len(clients):
            before = cpu_seconds(server)
            assert user.draw(INCR, 1)
            busy.append(cpu_seconds(server) - before)
    wait_until(lambda: server.open_files() <= idle)
    return max(busy)


def lists_served_during_a_ping(target: RunningServer) -> float:
    """How many lists the server sends to a crowd before another client is answered."""
    with crowd(target, 800) as clients, RawClient(target.port) as user:
        user.send(request("CLIENT", "LIST"))  # so that they are counted
        user.receive_reply()
        wait_until(lambda: target.metric("id_generator_connections") == 801)
        for client in clients:
            client.send(request("CLIENT", "LIST") * 5)
        before = target.metric(LISTS)
        user.send(PING)
        assert user.receive_reply() == PONG
        served = target.metric(LISTS) - before
        for client in clients:
            client.vanish()
    return served


def test_lists_of_clients_delay_no_other(target: RunningServer) -> None:
    """Each of the others is served one list first, not five. If this process stands still, it sees more."""
    assert any(lists_served_during_a_ping(target) <= 2 * 800 for _ in range(5))


def test_bytewise_bodies_delay_no_other(target: RunningServer) -> None:
    head = b"GET /metrics HTTP/1.1\r\nHost: respid\r\nTransfer-Encoding: chunked\r\n\r\n"
    with unnoticed(target), RawClient(target.http_port) as client:
        client.send_until_blocked(head + b"1\r\nx\r\n" * 200_000, most=1_200_000, patience_seconds=0.1)


def test_non_readers_take_bounded_memory(target: RunningServer) -> None:
    # For each: a read of 256 KiB, and replies up to the high-water mark plus one turn.
    with unnoticed(target, growth_mib=64), crowd(target, 100) as clients:
        for client, sent in zip(clients, [INCR, request("ID.NEXT", "COUNT", "4096000")] * 50, strict=True):
            client.send_until_blocked(sent * 10_000, most=2 << 20, patience_seconds=0.02)
        for client in clients:
            client.vanish()


def test_dropped_connections_leave_nothing(target: RunningServer) -> None:
    with unnoticed(target):
        for turn in range(CONNECTIONS):
            with RawClient(target.port) as client:
                client.send([b"", PING, INCR * 100, b"*2\r\n$4\r\nIN"][turn % 4])
                if turn % 3 == 0:
                    client.vanish()


def test_reset_ends_the_reply(target: RunningServer) -> None:
    with unnoticed(target, growth_mib=16):
        for command in (request("ID.NEXT", "COUNT", "4096000"), request("ID.RANGE", "4096000"), INCR * 100_000):
            for _ in range(10):
                with RawClient(target.port) as client:
                    client.send_until_blocked(command, most=len(command), patience_seconds=0.05)
                    client.vanish()
    wait_until(lambda: target.metric("id_generator_connections") == 0)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
@pytest.mark.parametrize("vanishes", [False, True], ids=["FIN", "RST"])
def test_port_scans_are_harmless(target: RunningServer, probe: bytes, vanishes: bool) -> None:  # noqa: FBT001
    with unnoticed(target):
        for _ in range(10):
            with RawClient(target.port) as client:
                client.send(probe)
                if vanishes:
                    client.vanish()
                else:
                    assert b"Traceback" not in client.finish()


def test_keepalive_is_on(target: RunningServer) -> None:
    with crowd(target, 3):
        wait_until(lambda: target.metric("id_generator_connections") == 3)
        assert is_kept_alive(target)


def test_refused_clients_leave_nothing(start_server: StartServer) -> None:
    server = start_server("--max-clients", "51", measured=False)
    with crowd(server, 50) as clients:
        for client in clients:
            client.send(PING)
            client.receive_lines(1)
        with unnoticed(server):
            wait_until(lambda: server.metric("id_generator_connections") == 51)
            for _ in range(200):
                with RawClient(server.port) as client:
                    assert client.receive_to_end() == b"-ERR max number of clients reached\r\n"
        assert server.metric('id_generator_connections_rejected_total{reason="max_clients"}') == 200
        assert [client.draw(INCR, 1) for client in clients]


def test_http_crowd_blocks_no_health_check(http_target: RunningServer) -> None:
    metrics = b"GET /metrics HTTP/1.1\r\nHost: respid\r\n"
    with unnoticed(http_target), contextlib.ExitStack() as stack:
        before = http_target.open_files()
        for sent in (b"", b"GET", metrics, metrics + b"\r\n", (metrics + b"\r\n") * 1_000):
            for _ in range(40):
                client = stack.enter_context(RawClient(http_target.http_port))
                client.send_until_blocked(sent, most=len(sent), patience_seconds=0.05)
            for path in ("/healthz", "/readyz", "/metrics"):
                assert http_target.get(path)[0] == 200
        assert http_target.open_files() - before < 40
    assert http_target.get("/healthz")[0] == 200


def test_pipelined_scrapes_are_answered(http_target: RunningServer) -> None:
    with unnoticed(http_target), RawClient(http_target.http_port) as client:
        client.send(b"GET /metrics HTTP/1.1\r\nHost: respid\r\n\r\n" * 200)
        assert client.finish().count(b"HTTP/1.1 200 ") == 200
