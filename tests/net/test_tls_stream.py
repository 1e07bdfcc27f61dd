"""TLS without sockets, against OpenSSL's own client: all data passes, however it is cut."""

import random
import ssl
from itertools import accumulate
from pathlib import Path

import pytest

from respid.net.tls_stream import PIECE_BYTES, RECORD_BYTES, TlsStream
from tests.support.byte_streams import request
from tests.support.certificates import CertificateFiles
from tests.support.tls_client import TlsClient
from tests.support.tls_records import Records

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
REQUEST = request("INCR", "orders")
SIZES = (1, 100, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, RECORD_BYTES, 5 * RECORD_BYTES + 7)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


def make_server(files: CertificateFiles) -> TlsStream:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert_file, files.key_file)
    return TlsStream(context)


def connect(files: CertificateFiles, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> tuple[TlsClient, TlsStream]:
    client, server = TlsClient(files, version), make_server(files)
    shake_hands(client, server)
    return client, server


def shake_hands(client: TlsClient, server: TlsStream) -> None:
    sent, is_complete = client.shake_hands(b""), False
    while not is_complete:
        is_complete = server.shake_hands(sent) is not None
        sent = client.shake_hands(server.take_output())


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [1, 7, 1_448, PIECE_BYTES, 100_000])
def test_requests_pass_however_they_are_cut(files: CertificateFiles, version: ssl.TLSVersion, size: int) -> None:
    client, server = connect(files, version)
    sent = [random.Random(each).randbytes(each) for each in SIZES]
    pieces = cut(b"".join(map(client.encrypt, sent)), size)
    assert b"".join(map(server.decrypt, pieces)) == b"".join(sent)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_record_is_returned_as_soon_as_it_is_complete(files: CertificateFiles, version: ssl.TLSVersion) -> None:
    client, server = connect(files, version)
    for _ in range(3):
        encrypted = client.encrypt(REQUEST)
        assert server.decrypt(encrypted[:-1]) == b""
        assert server.decrypt(encrypted[-1:]) == REQUEST


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [1, 3, 7, PIECE_BYTES + 1, 100_000])
def test_part_of_a_record_is_noticed(files: CertificateFiles, version: ssl.TLSVersion, size: int) -> None:
    client, server = connect(files, version)
    records = [client.encrypt(REQUEST * requests) for requests in (1, 1, 500, 1)]
    ends = set(accumulate(map(len, records)))
    received = 0
    for piece in cut(b"".join(records), size):
        server.decrypt(piece)
        received += len(piece)
        assert server.has_part == (received not in ends)


def test_new_keys_are_no_part_of_a_record(files: CertificateFiles, tmp_path: Path) -> None:
    client, server = TlsClient(files, ssl.TLSVersion.TLSv1_3, tmp_path / "keys"), make_server(files)
    shake_hands(client, server)
    records = Records(tmp_path / "keys")
    server.decrypt(records.renew_keys() + records.renew_keys())
    assert not server.has_part
    renewal = records.renew_keys()
    server.decrypt(renewal[:-1])
    assert server.has_part
    assert server.decrypt(renewal[-1:]) == b""
    assert not server.has_part
    assert server.decrypt(records.renew_keys() + records.seal(REQUEST)) == REQUEST
    assert not server.has_part


@pytest.mark.parametrize("version", VERSIONS)
def test_replies_of_any_length_pass(files: CertificateFiles, version: ssl.TLSVersion) -> None:
    client, server = connect(files, version)
    for size in SIZES:
        reply = random.Random(size).randbytes(size)
        assert client.decrypt(server.encrypt(reply)) == reply


@pytest.mark.parametrize("size", [1, 100_000])
def test_handshake_passes_however_it_is_cut(files: CertificateFiles, size: int) -> None:
    client, server = TlsClient(files, ssl.TLSVersion.TLSv1_3), make_server(files)
    for piece in cut(client.shake_hands(b""), size):
        assert server.shake_hands(piece) is None
    last = client.shake_hands(server.take_output())
    assert [server.shake_hands(piece) for piece in cut(last, size)][-1] == b""
    assert client.decrypt(server.encrypt(REQUEST)) == REQUEST


@pytest.mark.parametrize("requests", [1, 1_000])
def test_requests_that_come_with_the_end_of_the_handshake_are_kept(files: CertificateFiles, requests: int) -> None:
    client, server = TlsClient(files, ssl.TLSVersion.TLSv1_3), make_server(files)
    server.shake_hands(client.shake_hands(b""))
    last = client.shake_hands(server.take_output())
    rest = server.shake_hands(last + client.encrypt(REQUEST * requests))
    assert rest is not None
    assert server.decrypt(rest) == REQUEST * requests


def test_part_of_a_request_that_comes_with_the_end_of_the_handshake_is_noticed(files: CertificateFiles) -> None:
    client, server = TlsClient(files, ssl.TLSVersion.TLSv1_3), make_server(files)
    server.shake_hands(client.shake_hands(b""))
    last = client.shake_hands(server.take_output())
    encrypted = client.encrypt(REQUEST)
    rest = server.shake_hands(last + encrypted[:10])
    assert rest is not None
    assert server.decrypt(rest) == b""
    assert server.has_part
    assert server.decrypt(encrypted[10:]) == REQUEST
    assert not server.has_part


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("is_alone", [False, True])
def test_end_of_the_client_comes_after_its_last_request(
    files: CertificateFiles, version: ssl.TLSVersion, *, is_alone: bool
) -> None:
    client, server = connect(files, version)
    encrypted, end = client.encrypt(REQUEST), client.end()
    pieces = [encrypted, end] if is_alone else [encrypted + end]
    assert b"".join(map(server.decrypt, pieces)) == REQUEST
    assert server.has_ended
    assert client.decrypt(server.encrypt(b"+OK\r\n")) == b"+OK\r\n"


@pytest.mark.parametrize("version", VERSIONS)
def test_our_end_is_announced(files: CertificateFiles, version: ssl.TLSVersion) -> None:
    client, server = connect(files, version)
    assert client.decrypt(server.encrypt(b"+OK\r\n") + server.end()) == b"+OK\r\n"
    assert client.tls.read(1) == b""  # and not ssl.SSLWantReadError


@pytest.mark.parametrize("version", VERSIONS)
def test_damaged_record_is_an_error_that_the_client_is_told(files: CertificateFiles, version: ssl.TLSVersion) -> None:
    client, server = connect(files, version)
    encrypted = bytearray(client.encrypt(REQUEST))
    encrypted[-1] ^= 1
    with pytest.raises(ssl.SSLError):
        server.decrypt(bytes(encrypted))
    with pytest.raises(ssl.SSLError, match="alert"):
        client.decrypt(server.take_output())
