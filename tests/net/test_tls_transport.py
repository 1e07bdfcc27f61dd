"""The TLS transport between a socket and a client's protocol, with clients that send what no library would."""

import asyncio
import gc
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from respid.net import tls_transport
from respid.net.clients import Clients
from respid.net.states import State
from respid.net.tls_listener import _TlsProtocol
from respid.net.tls_stream import PIECE_BYTES
from respid.net.tls_transport import TlsTransport
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.certificates import CertificateFiles
from tests.support.scripted_clock import ScriptedClock
from tests.support.tls_client import TlsClient
from tests.support.tls_records import CIPHER, HANDSHAKE, NEW_KEYS, Records

REQUEST = request("INCR", "orders")


class Socket(asyncio.Transport):
    """A socket's transport that keeps what is written. When `is_full`, each write pauses the writer."""

    def __init__(self, protocol: TlsTransport) -> None:
        super().__init__()
        self._protocol = protocol
        self.written = b""
        self.is_full = self.is_paused = self.is_closed = False
        self.is_aborted = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        if self.is_full and data:
            self._protocol.pause_writing()

    def take(self) -> bytes:
        written, self.written = self.written, b""
        return written

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted.set()


class Received(asyncio.Protocol):
    """A client's protocol that takes data until it is paused, as `RespProtocol` does."""

    def __init__(self) -> None:
        self.data = b""
        self.is_paused = False

    def data_received(self, data: bytes) -> None:
        if not self.is_paused:
            self.data += data

    def pause_writing(self) -> None:
        self.is_paused = True


class Connected:
    """A transport after its handshake with a client that sends hand-made records."""

    def __init__(self, directory: Path, protocol: asyncio.Protocol | None = None) -> None:
        files, key_log = CertificateFiles(directory), directory / "keys"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.cert_file, files.key_file)
        self.client = TlsClient(files, ssl.TLSVersion.TLSv1_3, key_log)
        self.received = Received()
        self.turns: list[Callable[[], bool]] = []
        self.long_reads: list[int] = []
        self.transport = TlsTransport(
            asyncio.get_running_loop(),
            context,
            protocol or self.received,
            wait_for_turn=self.turns.append,
            note_long_read=self.long_reads.append,
        )
        self.socket = Socket(self.transport)
        self.transport.connection_made(self.socket)
        sent = self.client.shake_hands(b"")
        while not self.transport.established.done():
            self.receive(sent)
            assert self.socket.is_paused
            assert self.turns.pop()()
            assert not self.socket.is_paused
            sent = self.client.shake_hands(self.socket.take())
        cipher = self.client.tls.cipher()
        assert cipher is not None
        assert cipher[0] == CIPHER
        self.records = Records(key_log)

    def receive(self, data: bytes) -> None:
        while data:
            buffer = self.transport.get_buffer(-1)
            piece, data = data[: len(buffer)], data[len(buffer) :]
            buffer[: len(piece)] = piece
            self.transport.buffer_updated(len(piece))


async def test_request_after_new_keys_is_kept_although_the_answer_to_them_pauses_the_client(tmp_path: Path) -> None:
    connected = Connected(tmp_path)
    connected.socket.is_full = True
    renewals = [connected.records.renew_keys() for _ in range(3)]
    connected.receive(b"".join(renewals) + connected.records.seal(REQUEST))
    assert connected.received.data == REQUEST
    assert connected.received.is_paused


async def test_replies_follow_the_answers_to_new_keys(tmp_path: Path) -> None:
    connected = Connected(tmp_path)
    renewals = b"".join([connected.records.renew_keys() for _ in range(3 * PIECE_BYTES // 27)])
    connected.receive(renewals)
    connected.transport.write(b"+OK\r\n")
    assert connected.client.decrypt(connected.socket.take()) == b"+OK\r\n"


async def test_answers_to_new_keys_do_not_pile_up_in_openssl(tmp_path: Path) -> None:
    """Its buffer would keep its size for as long as the client is connected."""
    connected = Connected(tmp_path)
    renewals = b"".join([connected.records.renew_keys() for _ in range(8 * PIECE_BYTES // 27)])
    stream = connected.transport._stream
    stream.decrypt(renewals)
    assert stream._outgoing.pending <= PIECE_BYTES
    assert len(stream.take_output()) > 7 * PIECE_BYTES


async def test_time_to_renew_keys_is_noted(tmp_path: Path) -> None:
    """16 KB of renewals take 13 ms, so they must count as what they take, and no read may be longer."""
    connected = Connected(tmp_path)
    size = len(connected.transport.get_buffer(-1))
    assert size <= 16 * 1024
    connected.receive(b"".join([connected.records.renew_keys() for _ in range(size // 27)]))
    assert len(connected.long_reads) == 1


@pytest.fixture
async def protocol(worker: Worker) -> _TlsProtocol:
    """A client of a worker, before it is connected."""
    return _TlsProtocol(Clients(worker, asyncio.get_running_loop()), Mock())


async def test_client_that_has_sent_half_a_record_is_not_between_requests(
    tmp_path: Path, protocol: _TlsProtocol
) -> None:
    connected = Connected(tmp_path, protocol)
    sent = connected.client.encrypt(REQUEST)
    connected.receive(sent[:-1])
    assert not protocol.is_between_requests
    connected.receive(sent[-1:])
    assert protocol.is_between_requests


async def test_drain_waits_for_the_rest_of_a_record(tmp_path: Path, protocol: _TlsProtocol) -> None:
    connected = Connected(tmp_path, protocol)
    sent = connected.client.encrypt(REQUEST)
    connected.receive(sent[:-1])
    connected.socket.take()
    protocol._clients.drain()
    assert protocol._state.name == "READING"
    connected.receive(sent[-1:])
    assert connected.client.decrypt(connected.socket.take()).startswith(b":")
    assert protocol._state is State.CLOSING


async def test_client_that_has_left_is_freed_without_a_collection(tmp_path: Path, worker: Worker) -> None:
    protocol = _TlsProtocol(Clients(worker, asyncio.get_running_loop()), Mock())
    connected = Connected(tmp_path, protocol)
    del protocol
    connected.transport.connection_lost(None)
    del connected.socket._protocol  # as an event loop does
    gc.collect()
    gc.disable()
    try:
        del connected
        assert not [each for each in gc.get_objects() if type(each) in (TlsTransport, _TlsProtocol)]
    finally:
        gc.enable()


async def test_no_ids_are_drawn_for_a_client_that_has_ended_its_side(
    tmp_path: Path, worker: Worker, clock: ScriptedClock, protocol: _TlsProtocol
) -> None:
    connected = Connected(tmp_path, protocol)
    connected.receive(connected.client.encrypt(request("ID.NEXT", "COUNT", "4000000")) + connected.client.end())
    drawn = worker.generator.ids_issued
    for _ in range(5):
        clock.pass_ms(1)
        await asyncio.sleep(0.001)
    assert worker.generator.ids_issued == drawn


async def test_time_of_short_reads_that_renew_keys_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take 20 us each, and thousands of clients may send some at the same time."""
    monkeypatch.setattr(tls_transport, "LONG_READ_NS", 1)
    connected = Connected(tmp_path)
    connected.receive(connected.records.seal(REQUEST))
    assert not connected.long_reads
    connected.receive(b"".join([connected.records.renew_keys() for _ in range(3)]))
    assert len(connected.long_reads) == 1


async def test_part_of_a_handshake_message_closes_at_the_next_reply(tmp_path: Path) -> None:
    """OpenSSL writes nothing until the rest of it has come."""
    connected = Connected(tmp_path)
    request = connected.records.seal(REQUEST)
    connected.receive(request + connected.records.seal(NEW_KEYS[:4], HANDSHAKE))
    assert connected.received.data == REQUEST
    connected.transport.write(b"+OK\r\n")
    assert connected.socket.is_closed
    connected.transport.write(b"+OK\r\n")


@pytest.mark.parametrize("passes", range(4))
async def test_handshake_that_is_given_up_logs_nothing(passes: int) -> None:
    errors = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, error: errors.append(error))
    await give_up_handshake(passes)
    gc.collect()
    assert not errors


async def give_up_handshake(passes: int) -> None:
    """Stops waiting after so many passes of the event loop."""
    loop = asyncio.get_running_loop()
    transport = TlsTransport(
        loop, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), asyncio.Protocol(), wait_for_turn=print, note_long_read=print
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        accepting = loop.create_task(loop.connect_accepted_socket(lambda: transport, ours))
        for _ in range(passes):
            await asyncio.sleep(0)
        accepting.cancel()
        await asyncio.wait([accepting])
        if not accepting.cancelled():
            transport.abort()
        for _ in range(5):
            await asyncio.sleep(0)  # until the connection is lost


async def test_client_that_sends_nonsense_keeps_no_place_by_leaving_replies_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_transport, "LINGER_SECONDS", 0.01)
    connected = Connected(tmp_path)
    connected.receive(b"nonsense")
    assert connected.socket.is_closed
    await connected.socket.is_aborted.wait()
