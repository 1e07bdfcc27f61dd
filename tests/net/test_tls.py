"""TLS with real handshakes and real certificates, which are renewed while the server runs."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest
import redis

from benchmarks.ports import free_port
from respid.net.clients import Clients
from respid.net.states import State
from respid.net.tls_listener import HANDSHAKE_NS, MAX_HANDSHAKES, ROUND_NS, _HandshakeTurn, _TlsProtocol
from respid.net.turns import ROUND_NS as CLIENT_ROUND_NS
from respid.net.turns import Turns
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.certificates import CertificateFiles, client_hello
from tests.support.command_line import run_check, run_command_line
from tests.support.mock_transport import mock_transport
from tests.support.needed_tools import need_tool
from tests.support.raw_client import RawClient
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until

INCR = request("INCR", "orders")
PING = request("PING")
PONG = b"+PONG\r\n"
FAILED = 'id_generator_connections_rejected_total{reason="tls_handshake_failed"}'
REFUSED = 'id_generator_connections_rejected_total{reason="tls_handshakes"}'


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def own_files(tmp_path: Path) -> CertificateFiles:
    """Certificates for a single test, which may change them."""
    return CertificateFiles(tmp_path)


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(start_module_server: StartServer, files: CertificateFiles, tls_port: int) -> RunningServer:
    return start_module_server(*files.options(tls_port), "--log-level", "debug")


def connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), WAIT_SECONDS), server_hostname="localhost")


def ping(connection: ssl.SSLSocket) -> bytes:
    connection.sendall(PING)
    return connection.recv(100)


def is_refused(port: int, context: ssl.SSLContext) -> bool:
    """Reads once: with TLS 1.3 a client learns only then that its certificate was refused."""
    try:
        with connect(port, context) as connection:
            return ping(connection) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def serial(port: int, files: CertificateFiles) -> str:
    """The serial number of the certificate that the server sends to new connections."""
    with connect(port, files.client_context()) as connection:
        certificate = connection.getpeercert()
        assert certificate is not None
        return str(certificate["serialNumber"])


async def test_handshakes_that_made_room_take_no_time_from_others() -> None:
    turns, gone_on = Turns(asyncio.get_running_loop().call_soon, ROUND_NS), Mock(return_value=True)
    for _ in range(ROUND_NS // HANDSHAKE_NS + 1):
        turns.join(_HandshakeTurn(lambda: False, turns.budget))
    turns.join(_HandshakeTurn(gone_on, turns.budget))
    await asyncio.sleep(0)
    gone_on.assert_called_once()


async def test_few_handshakes_go_on_in_one_pass_of_the_event_loop() -> None:
    turns, gone_on = Turns(asyncio.get_running_loop().call_soon, ROUND_NS), Mock(return_value=True)
    for _ in range(MAX_HANDSHAKES):
        turns.join(_HandshakeTurn(gone_on, turns.budget))
    await asyncio.sleep(0)
    assert gone_on.call_count == ROUND_NS // HANDSHAKE_NS


def test_tls_and_plain_port_serve_ids(server: RunningServer, files: CertificateFiles, tls_port: int) -> None:
    drawn = []
    with redis.Redis(port=tls_port, ssl=True, ssl_ca_certs=str(files.ca_file)) as client, server.client() as plain:
        for _ in range(100):
            drawn += [client.incr("orders"), plain.incr("orders")]
    assert drawn == sorted(drawn)


@pytest.mark.usefixtures("server")
async def test_long_pipeline_keeps_order(files: CertificateFiles, tls_port: int) -> None:
    reader, writer = await asyncio.open_connection("localhost", tls_port, ssl=files.client_context())
    writer.write(INCR * 200_000)
    lines = [await reader.readline() for _ in range(200_000)]
    writer.close()
    await writer.wait_closed()
    numbers = [int(line[1:]) for line in lines]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 200_000


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_work(files: CertificateFiles, tls_port: int, version: ssl.TLSVersion) -> None:
    context = files.client_context()
    context.minimum_version = context.maximum_version = version
    with connect(tls_port, context) as connection:
        assert ping(connection) == PONG


@pytest.mark.usefixtures("server")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_tls_is_refused(files: CertificateFiles, tls_port: int) -> None:
    context = files.client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    assert is_refused(tls_port, context)


@pytest.mark.usefixtures("server")
def test_redis_cli_uses_tls(files: CertificateFiles, tls_port: int) -> None:
    command = [need_tool("redis-cli"), "-p", str(tls_port), "--tls", "--cacert", str(files.ca_file), "INCR", "orders"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(printed) > 1 << 53


@pytest.mark.usefixtures("server")
def test_respid_check_uses_tls(files: CertificateFiles, tls_port: int) -> None:
    trusted = [f"127.0.0.1:{tls_port}", "--tls", "--connections", "2"]
    outcome = run_check(*trusted, "--tls-ca-cert-file", str(files.ca_file), "--json", seconds=0.3)
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert json.loads(outcome.stdout)
    assert "certificate not trusted: " in run_check(*trusted, seconds=0.3).stderr


def test_plain_text_on_tls_port_is_counted(files: CertificateFiles, server: RunningServer, tls_port: int) -> None:
    before = server.metric(FAILED)
    with connect(tls_port, files.client_context()) as connection:
        for sent in (INCR, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(100)):
            with socket.create_connection(("127.0.0.1", tls_port), WAIT_SECONDS) as plain:
                plain.sendall(sent)
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(100):
                    pass
        assert ping(connection) == PONG
    wait_until(lambda: server.metric(FAILED) == before + 3)
    assert "Traceback" not in server.log
    assert server.log.count("debug TLS handshake with 127.0.0.1:") >= 3


@pytest.mark.parametrize("sent", [b"", b"\x16\x03"], ids=["silent", "begun"])
def test_oldest_handshake_makes_room(start_server: StartServer, files: CertificateFiles, sent: bytes) -> None:
    port = free_port()
    server = start_server(*files.options(port))
    held = [socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) for _ in range(MAX_HANDSHAKES)]
    for each in held:
        each.sendall(sent)
    with connect(port, files.client_context()) as connection:
        assert ping(connection) == PONG
    assert server.metric(REFUSED) == 1
    assert held[0].recv(1) == b""
    assert server.client().ping()
    assert server.log.count(": too many TLS handshakes at a time") == 1
    for each in held:
        each.close()
    wait_until(lambda: server.metric(FAILED) == MAX_HANDSHAKES - 1)
    wait_until(lambda: server.open_files() < MAX_HANDSHAKES)


def test_silent_handshakes_make_room_first(start_server: StartServer, files: CertificateFiles) -> None:
    port = free_port()
    server = start_server(*files.options(port))
    begun = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)
    begun.sendall(b"\x16\x03")
    silent = [socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) for _ in range(MAX_HANDSHAKES)]
    wait_until(lambda: server.metric(REFUSED) == 1)
    assert silent[0].recv(1) == b""
    begun.settimeout(0)
    with pytest.raises(BlockingIOError):
        begun.recv(1)
    for each in (begun, *silent):
        each.close()


def test_reset_before_handshake_is_counted(start_server: StartServer, files: CertificateFiles) -> None:
    port = free_port()
    server = start_server(*files.options(port))
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as leaver:
            leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: server.metric(FAILED) == 20)
    assert "Traceback" not in server.log


def test_slow_handshakes_time_out(start_server: StartServer, files: CertificateFiles) -> None:
    port = free_port()
    server = start_server(*files.options(port), "--log-level", "debug")
    with contextlib.ExitStack() as stack:
        late, _, begun = clients = [stack.enter_context(RawClient(port)) for _ in range(3)]
        begun.send(client_hello())
        begun.receive_some()
        late.send(client_hello())  # the time counts from the connection on, so this one still ends first
        addresses = [client.address for client in clients]
        for client in clients:
            client.receive_to_the_end()
    wait_until(lambda: server.metric(FAILED) == 3)
    failed = re.findall(r"TLS handshake with (\S+) failed: not complete after 10 s", server.log)
    assert failed == addresses


def test_damaged_record_ends_only_its_own_connection(
    server: RunningServer, files: CertificateFiles, tls_port: int
) -> None:
    with connect(tls_port, files.client_context()) as other, connect(tls_port, files.client_context()) as damaged:
        os.write(damaged.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
            damaged.recv(1)
        assert ping(other) == PONG
    assert "Traceback" not in server.log


@pytest.mark.usefixtures("server")
def test_client_may_renew_its_keys(files: CertificateFiles, tls_port: int) -> None:
    command = [need_tool("openssl"), "s_client", "-connect", f"localhost:{tls_port}", "-CAfile", str(files.ca_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for sent, expected in ((b"", b"Verify return code: 0"), (b"K\n", b"KEYUPDATE"), (b"PING\r\n", b"+PONG")):
            client.stdin.write(sent)
            client.stdin.flush()
            assert any(expected in line for line in client.stdout)
        client.stdin.close()


async def test_client_whose_data_takes_long_to_decrypt_waits_for_its_turn(worker: Worker) -> None:
    clients = Clients(worker, asyncio.get_running_loop())
    deceiving, drawing, silent = (_TlsProtocol(clients, Mock()) for _ in range(3))
    for each in (deceiving, drawing, silent):
        each.connection_made(mock_transport())
    for each in (deceiving, drawing):
        each.data_received(INCR)
    deceiving.note_long_read(ROUND_NS // 4)
    assert [each._state for each in (deceiving, drawing, silent)] == [State.READING] * 3
    deceiving.note_long_read(4 * CLIENT_ROUND_NS)
    assert [each._state for each in (deceiving, drawing, silent)] == [State.TURN, State.READING, State.TURN]
    assert list(clients._turns._queue) + list(clients._turns._early) == [deceiving, silent]


@pytest.fixture(params=["optional", "yes"])
def verifying(start_server: StartServer, files: CertificateFiles, request: pytest.FixtureRequest) -> tuple[int, str]:
    port = free_port()
    start_server(*files.options(port), "--tls-auth-clients", request.param, "--tls-ca-cert-file", str(files.ca_file))
    return port, request.param


def test_client_certificates_are_verified(verifying: tuple[int, str], files: CertificateFiles, tmp_path: Path) -> None:
    port, mode = verifying
    with connect(port, files.client_context(shows_certificate=True)) as connection:
        assert ping(connection) == PONG
    if mode == "optional":
        with connect(port, files.client_context()) as connection:
            assert ping(connection) == PONG
    else:
        assert is_refused(port, files.client_context())
    foreign = files.client_context()
    foreign.load_cert_chain(CertificateFiles(tmp_path).client_file)
    assert is_refused(port, foreign)


def test_sighup_reloads_certificates(start_server: StartServer, own_files: CertificateFiles) -> None:
    port = free_port()
    server = start_server(*own_files.options(port))
    former = serial(port, own_files)
    with connect(port, own_files.client_context()) as connection:
        own_files.renew()
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: f"reloaded TLS certificate {own_files.cert_file}" in server.log)
        assert serial(port, own_files) != former
        assert ping(connection) == PONG


def test_failed_reload_keeps_certificate(start_server: StartServer, own_files: CertificateFiles) -> None:
    port = free_port()
    server = start_server(*own_files.options(port))
    former = serial(port, own_files)
    key = own_files.key_file.read_bytes()
    own_files.renew()
    own_files.key_file.write_bytes(key)
    server.process.send_signal(signal.SIGHUP)
    told = f"TLS: the key {own_files.key_file} does not match the certificate {own_files.cert_file}"
    wait_until(lambda: f"reload failed, keeping the previous contents: {told}" in server.log)
    assert serial(port, own_files) == former


def test_swapped_secret_is_reloaded(start_server: StartServer, own_files: CertificateFiles) -> None:
    """Kubernetes mounts `server.pem -> ..data/server.pem`, and replaces the link `..data`."""
    mounted = own_files.directory / "mounted"
    mounted.mkdir()
    _swap(own_files, mounted, "first")
    for name in ("server.pem", "server.key"):
        (mounted / name).symlink_to(Path("..data") / name)
    port = free_port()
    files = ["--tls-cert-file", str(mounted / "server.pem"), "--tls-key-file", str(mounted / "server.key")]
    server = start_server("--tls-port", str(port), *files)
    former = serial(port, own_files)
    own_files.renew()
    _swap(own_files, mounted, "second")
    wait_until(lambda: "reloaded TLS certificate" in server.log)
    assert serial(port, own_files) != former


def _swap(files: CertificateFiles, mounted: Path, version: str) -> None:
    (mounted / version).mkdir()
    for path in (files.cert_file, files.key_file):
        (mounted / version / path.name).write_bytes(path.read_bytes())
    link = mounted / "..new"
    link.symlink_to(version)
    link.rename(mounted / "..data")


@pytest.mark.parametrize("wrong", ["no certificate", "no key", "another key", "no PEM", "no CA", "an encrypted key"])
def test_unusable_tls_files_stop_the_start(start_server: StartServer, own_files: CertificateFiles, wrong: str) -> None:
    cert, key, ca = own_files.cert_file, own_files.key_file, own_files.ca_file
    more: list[str] = []
    match wrong:
        case "no certificate":
            cert.unlink()
            told = f"{cert}: No such file or directory"
        case "no key":
            key.unlink()
            told = f"{key}: No such file or directory"
        case "another key":
            key.write_bytes(own_files.client_key_file.read_bytes())
            told = f"the key {key} does not match the certificate {cert}"
        case "no PEM":
            cert.write_bytes(b"x")
            told = f"{cert} or {key}: no PEM certificate or key found"
        case "no CA":
            ca.write_bytes(b"x")
            more = ["--tls-ca-cert-file", str(ca)]
            told = f"{ca}: no PEM certificate found"
        case _:
            encrypt = ["openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:secret", "-out", str(key) + "2"]
            need_tool("openssl")
            subprocess.run(encrypt, check=True)
            Path(str(key) + "2").rename(key)
            told = "the key is encrypted; decrypt it, and protect the file by its permissions"
    server = start_server(*own_files.options(free_port()), *more, wait=False)
    assert server.wait() == 1
    assert server.log == f"respid: TLS: {told}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--port 0", "--port 0 leaves no listener: set --tls-port or --unix-socket"),
        ("--tls-port 6380", "--tls-port needs --tls-cert-file and --tls-key-file"),
        ("--tls-cert-file x --tls-key-file x", "TLS files without a TLS port: set --tls-port, or remove --tls-*-file"),
        ("--tls-ca-cert-file x", "TLS files without a TLS port: set --tls-port, or remove --tls-*-file"),
        ("--tls-port 6380 --tls-cert-file x", "--tls-port needs --tls-cert-file and --tls-key-file"),
        ("--tls-auth-clients yes", "--tls-auth-clients yes needs --tls-ca-cert-file"),
        ("--username orders", "--username needs a password: set RESPID_PASSWORD_FILE or RESPID_PASSWORD"),
    ],
)
def test_conflicting_settings_are_refused(arguments: str, message: str) -> None:
    outcome = run_command_line("serve", "--worker-id", "1", *arguments.split())
    assert (outcome.exit_code, outcome.config, outcome.stderr) == (2, None, f"respid: {message}\n")


def test_port_0_serves_tls_only(start_server: StartServer, files: CertificateFiles) -> None:
    port = free_port()
    server = start_server(*files.options(port), "--port", "0")
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    assert f" serves RESP on 127.0.0.1:{port} (TLS) and HTTP on " in server.log
    with connect(port, files.client_context()) as connection:
        assert ping(connection) == PONG


def test_drain_ends_tls_cleanly(start_server: StartServer, files: CertificateFiles) -> None:
    port = free_port()
    server = start_server(*files.options(port))
    with connect(port, files.client_context()) as idle, connect(port, files.client_context()) as busy:
        assert ping(idle) == PONG
        busy.sendall(request("ID.NEXT", "COUNT", "100000"))
        header = busy.recv(9)
        server.process.send_signal(signal.SIGTERM)
        received = bytearray(header)
        while data := busy.recv(1 << 16):  # raises if the connection is cut off
            received += data
        assert idle.recv(1) == b""
    assert received.count(b"\r\n") == 100_001
    assert server.wait() == 0
