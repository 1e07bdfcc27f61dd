"""Malformed and incomplete requests: they take little memory and harm no other client, however many send them."""

import contextlib
import random
import time
from collections.abc import Iterator

import pytest

from tests.support.byte_streams import STREAMS, request
from tests.support.raw_client import RawClient, exchange
from tests.support.running import RunningServer, StartServer, wait_until

CROWD = 200
INCR = request("INCR", "orders")
PING = request("PING")
PONG = b"+PONG\r\n"
MIB = 1 << 20

INCOMPLETE = {
    "nothing": b"",
    "an argument that does not come": b"*2\r\n$4\r\nINCR\r\n$1048572\r\n",
    "an argument that stops": request("ECHO", "x" * 900_000)[:10_000],
    "many arguments that do not come": b"*1024\r\n" + b"$1\r\nx\r\n" * 1_000,
    "a header without an end": b"*" + b"1" * 10_000,
    "an inline command without an end": b"x" * 10_000,
}
REFUSED = {
    "an array of 400,000,000": (b"*400000000\r\n", "invalid multibulk length"),
    "an array of 20 digits": (b"*18446744073709551616\r\n", "invalid multibulk length"),
    "an argument of 999,999,999,999 bytes": (b"*2\r\n$4\r\nINCR\r\n$999999999999\r\n", "invalid bulk length"),
    "an argument of 20 digits": (b"*2\r\n$4\r\nINCR\r\n$18446744073709551616\r\n", "invalid bulk length"),
    "an argument larger than a request": (b"*2\r\n$4\r\nINCR\r\n$1048573\r\n", "invalid bulk length"),
    "nested arrays": (b"*1\r\n" * 10_000, "expected '$', got '*'"),
    "an integer as an argument": (b"*2\r\n$4\r\nINCR\r\n:1\r\n", "expected '$', got ':'"),
    "a simple string as an argument": (b"*2\r\n$4\r\nINCR\r\n+OK\r\n", "expected '$', got '+'"),
    "a header without an end": (b"*" + b"1" * 70_000, "too big mbulk count string"),
    "an inline command without an end": (b"x" * 70_000, "too big inline request"),
}


@pytest.fixture
def crowd(server: RunningServer) -> Iterator[list[RawClient]]:
    """Many connections, all of which the server has accepted."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.port)) for _ in range(CROWD)]
        for client in clients:
            client.send(PING)
        assert {client.receive_reply() for client in clients} == {PONG}
        yield clients


@contextlib.contextmanager
def little_memory(server: RunningServer) -> Iterator[None]:
    before = server.resident_bytes()
    yield
    assert server.resident_bytes() - before < 8 * MIB


@contextlib.contextmanager
def unharmed(server: RunningServer) -> Iterator[None]:
    """Asserts that another client is served meanwhile, and that only failed authentications are logged."""
    lines = set(server.log.splitlines())
    with RawClient(server.port) as client:
        client.send(PING)
        assert client.receive_reply() == PONG
        yield
        client.send(INCR)
        assert client.receive_reply().startswith(b":")
    assert all("authentication failed" in line for line in set(server.log.splitlines()) - lines)


@pytest.mark.parametrize("sent", INCOMPLETE.values(), ids=INCOMPLETE)
def test_incomplete_requests_take_little(server: RunningServer, crowd: list[RawClient], sent: bytes) -> None:
    with unharmed(server), little_memory(server):
        for client in crowd:
            client.send(sent)
        assert exchange(server.port, PING) == PONG
    assert {client.finish() for client in crowd} == {b""}


@pytest.mark.parametrize(("sent", "words"), REFUSED.values(), ids=REFUSED)
def test_malformed_requests_take_little(server: RunningServer, crowd: list[RawClient], sent: bytes, words: str) -> None:
    with unharmed(server), little_memory(server):
        for client in crowd:
            client.send(sent, INCR)
            assert client.receive_to_end() == b"-ERR Protocol error: %s\r\n" % words.encode()


def test_malformed_input_leaves_nothing(server: RunningServer) -> None:
    sent = [*INCOMPLETE.values(), *[refused for refused, _ in REFUSED.values()]]
    for each in sent:
        exchange(server.port, each)
    with unharmed(server), little_memory(server):
        for turn in range(10 * CROWD):
            exchange(server.port, sent[turn % len(sent)])
    wait_until(lambda: server.metric("id_generator_connections") == 0)


@pytest.mark.parametrize("sent", [b"POST / HTTP/1.1\r\n", b"Host: localhost:6379\r\n", b"host: localhost\r\n"])
def test_browser_cannot_make_requests(server: RunningServer, sent: bytes) -> None:
    before = server.metric("id_generator_ids_generated_total")
    assert exchange(server.port, sent + b"\r\n" + INCR) == b""
    assert server.metric("id_generator_ids_generated_total") == before


def scrambled(chance: random.Random) -> bytes:
    """Random bytes, or requests with random changes."""
    if chance.random() < 0.3:
        return chance.randbytes(chance.randrange(1, 3_000))
    sent = bytearray(b"".join([stream.sent for stream in chance.choices(SHORT, k=3)]))
    for _ in range(chance.randrange(1, 6)):
        start = chance.randrange(len(sent) + 1)
        sent[start : start + chance.randrange(4)] = chance.choice(INSERTED)
    return bytes(sent)


SHORT = [stream for stream in STREAMS if 0 < len(stream.sent) < 500]
INSERTED = [b"", b"\r\n", b"-1", b"*3\r\n", *[b"%c" % byte for byte in b'\r\n*$09" \0\xff']]


def test_random_bytes_are_harmless(start_server: StartServer) -> None:
    chance = random.Random(1)
    server = start_server("--log-level", "debug")
    ends = time.monotonic() + 2
    with unharmed(server):
        while time.monotonic() < ends:
            with contextlib.suppress(ConnectionError), RawClient(server.port) as client:
                client.send(scrambled(chance), scrambled(chance))
                if chance.random() < 0.2:
                    client.vanish()
                else:
                    client.finish()
    assert server.stop() == 0
