"""Requests for millions of IDs: complete, in flat memory, fair to others, and stopped when the client leaves."""

import itertools
import signal
import statistics
import threading
from collections.abc import Iterator

import pytest

from tests.hostile.bystander import cpu_seconds
from tests.support.byte_streams import request
from tests.support.raw_client import RawClient, are_rising, integers
from tests.support.reply_parser import parse_reply
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until

MOST = 4_096_000
MIB = 1 << 20
PING = request("PING")
INCR = request("INCR", "single")
NEXT_MOST = request("ID.NEXT", "COUNT", str(MOST))


@pytest.fixture(scope="module")
def server(start_module_server: StartServer) -> RunningServer:
    """A server without coverage: with it, millions of IDs take several times as long."""
    return start_module_server(measured=False)


class Receiver(threading.Thread):
    """Sends one request and receives its lines in a thread, without parsing them."""

    def __init__(self, port: int, sent: bytes, lines: int) -> None:
        super().__init__()
        self._port = port
        self._sent = sent
        self._missing = lines
        self.chunks: list[bytes] = []
        self.received_bytes = 0
        self.has_sent = threading.Event()
        self.start()

    def run(self) -> None:
        with RawClient(self._port) as client:
            client.send(self._sent)
            self.has_sent.set()
            while self._missing > 0:
                chunk = client.receive_some()
                self._missing -= chunk.count(b"\n")
                self.chunks.append(chunk)
                self.received_bytes += len(chunk)

    def pieces(self) -> Iterator[list[bytes]]:
        """The lines in parts: all at once would take a gigabyte."""
        rest = b""
        for chunk in self.chunks:
            *lines, rest = (rest + chunk).split(b"\r\n")
            yield lines
        assert rest == b""


def assert_rising_ids(pieces: Iterator[list[bytes]], count: int) -> None:
    """Asserts that the lines are an array header and as many strictly rising IDs."""
    header, *lines = next(pieces)
    assert header == b"*%d" % count
    last, seen = 0, 0
    while True:
        numbers = [last, *integers(lines)]
        assert are_rising(numbers)
        last, seen = numbers[-1], seen + len(lines)
        if seen == count:
            return
        lines = next(pieces)


def test_largest_stream_takes_flat_memory(server: RunningServer, raw_client: RawClient) -> None:
    raw_client.draw(INCR * 10_000, 10_000)
    resident_bytes = [server.resident_bytes()]
    stream = Receiver(server.port, NEXT_MOST, MOST + 1)
    # The CPU time of the server before each reply, because the machine may be busy with other tests.
    busy_seconds: list[float] = []
    while stream.is_alive() or not busy_seconds:
        before = cpu_seconds(server)
        raw_client.send(PING)
        raw_client.receive_reply()
        busy_seconds.append(cpu_seconds(server) - before)
        resident_bytes.append(server.resident_bytes())
    stream.join()
    assert_rising_ids(stream.pieces(), MOST)
    assert max(resident_bytes) - resident_bytes[0] < 16 * MIB
    assert statistics.median(busy_seconds) < 0.005
    assert max(busy_seconds) < 0.25  # without turns it would be the whole second of the stream


def test_largest_range_has_a_thousand_pairs(raw_client: RawClient) -> None:
    raw_client.send(request("ID.RANGE", str(MOST)))
    reply, _ = parse_reply(raw_client.receive_reply())
    pairs = [integers([b":%b" % element.text for element in pair.elements if element.text]) for pair in reply.elements]
    assert sum(count for _, count in pairs) == MOST
    assert {count for _, count in pairs} <= set(range(1, 4097))
    assert all(first + count <= next_first for (first, count), (next_first, _) in itertools.pairwise(pairs))
    assert len(pairs) <= 1100


@pytest.mark.parametrize("count", [1, 1023, 1025, 10_000])
def test_stream_as_strings(raw_client: RawClient, count: int) -> None:
    raw_client.send(request("ID.NEXT", "COUNT", str(count), "AS", "STRING"))
    lines = raw_client.receive_lines(2 * count + 1)
    assert lines[0] == b"*%d" % count
    assert {int(length[1:]) for length in lines[1::2]} == {len(text) for text in lines[2::2]}
    assert are_rising([int(text) for text in lines[2::2]])


def test_stream_ends_when_client_leaves(start_server: StartServer) -> None:
    server = start_server()
    resident_bytes = []
    for _ in range(2):
        for _ in range(10):
            leaver = RawClient(server.port)
            leaver.send(NEXT_MOST)
            leaver.receive_some()
            leaver.vanish()
        wait_until(lambda: server.metric("id_generator_connections") == 0)
        resident_bytes.append(server.resident_bytes())
    assert resident_bytes[1] - resident_bytes[0] < 8 * MIB
    drawn = server.metric("id_generator_ids_generated_total")
    assert drawn < MOST
    with RawClient(server.port) as client:
        assert client.draw(INCR * 10, 10)
    assert server.metric("id_generator_ids_generated_total") == drawn + 10


def test_unread_stream_pauses(start_server: StartServer) -> None:
    server = start_server(measured=False)
    drawn: list[float] = []

    def has_stopped() -> bool:
        drawn.append(server.metric("id_generator_ids_generated_total"))
        return len(drawn) > 5 and drawn[-5] == drawn[-1] > 0

    with RawClient(server.port) as client:
        before = server.resident_bytes()
        client.send(NEXT_MOST)
        wait_until(has_stopped)
        assert drawn[-1] < MOST
        assert server.resident_bytes() - before < 16 * MIB
        assert len(client.receive_lines(MOST + 1)) == MOST + 1


@pytest.mark.parametrize("sent", [INCR, request("INCRBY", "block", "4096")], ids=["single", "block"])
def test_streams_and_single_requests_share(server: RunningServer, raw_client: RawClient, sent: bytes) -> None:
    count = MOST // 4
    server.process.send_signal(signal.SIGSTOP)  # so that it gets both at once: each would take 250 ms alone
    streams = [Receiver(server.port, request("ID.NEXT", "COUNT", str(count)), count + 1) for _ in range(2)]
    for stream in streams:
        assert stream.has_sent.wait(WAIT_SECONDS)
    server.process.send_signal(signal.SIGCONT)
    busy_seconds = []  # CPU time of the server, because the machine may be busy with other tests
    while all(stream.is_alive() for stream in streams):
        before = cpu_seconds(server)
        raw_client.send(sent)
        raw_client.receive_reply()
        busy_seconds.append(cpu_seconds(server) - before)
    shares = sorted(stream.received_bytes for stream in streams)
    for stream in streams:
        stream.join()
    assert shares[0] > 0.6 * shares[1]
    assert statistics.median(busy_seconds) < 0.02
