"""Which client certificates are let in: revocation lists, and names, with real handshakes."""

import signal
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from benchmarks.ports import free_port
from respid.net.revocation import lists_end_seconds
from tests.support.byte_streams import request
from tests.support.certificates import CertificateFiles
from tests.support.command_line import run_command_line
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until

PONG = b"+PONG\r\n"
DENIED = b"-DENIED the client certificate has none of the names that this server lets in\r\n"
FAILED = 'id_generator_connections_rejected_total{reason="tls_handshake_failed"}'
UNNAMED = 'id_generator_connections_rejected_total{reason="tls_client_name"}'
END = "id_generator_tls_crl_end_timestamp_seconds"


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return CertificateFiles(tmp_path)


@pytest.fixture
def crl(files: CertificateFiles) -> Path:
    """The path of a revocation list that revokes nothing."""
    path = files.directory / "ca.crl"
    files.revoke(path)
    return path


def verifying(files: CertificateFiles, port: int, *more: str) -> list[str]:
    """The options of a server that verifies its clients."""
    return [*files.options(port), "--tls-auth-clients", "yes", "--tls-ca-cert-file", str(files.ca_file), *more]


def answer(port: int, context: ssl.SSLContext) -> bytes:
    """The reply to a PING; nothing if the certificate is refused, which TLS 1.3 reports at the first read."""
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as connection:
        try:
            with context.wrap_socket(connection, server_hostname="localhost") as client:
                client.sendall(request("PING"))
                return client.recv(200)
        except (ssl.SSLError, ConnectionError):
            return b""


def reload(server: RunningServer) -> None:
    before = server.log.count("reloaded TLS")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.log.count("reloaded TLS") > before)


def test_revoked_certificate_is_refused(start_server: StartServer, files: CertificateFiles, crl: Path) -> None:
    port = free_port()
    server = start_server(*verifying(files, port, "--tls-crl-file", str(crl)))
    other = files.context_of(files.ca.issue_cert("other@example.org"))
    revoked = files.client_context(shows_certificate=True)
    assert answer(port, revoked) == answer(port, other) == PONG
    files.revoke(crl, files.client)
    reload(server)
    assert (answer(port, revoked), answer(port, other)) == (b"", PONG)
    assert server.metric(FAILED) == 1
    files.revoke(crl)
    reload(server)
    assert answer(port, revoked) == PONG


def test_issuer_without_list_is_refused(start_server: StartServer, files: CertificateFiles, crl: Path) -> None:
    """Else a client could choose a CA whose revocations are unknown."""
    port = free_port()
    start_server(*verifying(files, port, "--tls-crl-file", str(crl)))
    intermediate = trustme.CA(parent_cert=files.ca)
    assert answer(port, files.context_of(intermediate.issue_cert("client@example.org"))) == b""


def test_ended_list_is_logged_and_refuses(start_server: StartServer, files: CertificateFiles, crl: Path) -> None:
    port, end = free_port(), (datetime.now(UTC) - timedelta(hours=1)).replace(microsecond=0)
    files.revoke(crl, end=end)
    server = start_server(*verifying(files, port, "--tls-crl-file", str(crl)))
    assert server.metric(END) == end.timestamp()
    assert " error a revocation list expired at " in server.log
    assert answer(port, files.client_context(shows_certificate=True)) == b""
    files.revoke(crl)
    reload(server)
    assert answer(port, files.client_context(shows_certificate=True)) == PONG
    assert server.metric(END) > end.timestamp()


def test_damaged_list_keeps_the_previous_one(start_server: StartServer, files: CertificateFiles, crl: Path) -> None:
    port = free_port()
    files.revoke(crl, files.client)
    server = start_server(*verifying(files, port, "--tls-crl-file", str(crl)))
    crl.write_text("x")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: f"keeping the previous contents: TLS: {crl}: no PEM revocation list found" in server.log)
    assert answer(port, files.client_context(shows_certificate=True)) == b""


def test_first_end_of_several_lists_counts(files: CertificateFiles, crl: Path) -> None:
    later, sooner = datetime(2051, 1, 2, tzinfo=UTC), datetime(2049, 1, 2, tzinfo=UTC)
    files.revoke(crl, end=later)
    text = crl.read_text()
    assert lists_end_seconds(text) == later.timestamp()
    files.revoke(crl, end=sooner)
    assert lists_end_seconds("comment\n" + text + crl.read_text()) == sooner.timestamp()


@pytest.mark.parametrize("wrong", ["", "a certificate", "cut off", "no base64"])
def test_unusable_lists_are_refused(files: CertificateFiles, crl: Path, wrong: str) -> None:
    text = crl.read_text()
    message = "a revocation list is damaged"
    match wrong:
        case "":
            text, message = "", "no PEM revocation list found"
        case "a certificate":
            text, message = text + files.ca_file.read_text(), "contains a certificate"
        case "cut off":
            text = "-----BEGIN X509 CRL-----\nMA==\n-----END X509 CRL-----\n"
        case _:
            text = "-----BEGIN X509 CRL-----\nM\n-----END X509 CRL-----\n"
    with pytest.raises(ValueError, match=message):
        lists_end_seconds(text)


@pytest.mark.parametrize("kind", ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"])
def test_list_adds_no_ca(files: CertificateFiles, crl: Path, kind: str) -> None:
    """OpenSSL would take each of them for a CA, and let its clients in."""
    crl.write_text(crl.read_text() + files.ca_file.read_text().replace("CERTIFICATE", kind))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(crl)
    assert context.cert_store_stats()["x509_ca"] == 1
    with pytest.raises(ValueError, match="contains a certificate"):
        lists_end_seconds(crl.read_text())


def test_only_named_clients_get_in(start_server: StartServer, files: CertificateFiles) -> None:
    port, names = free_port(), "client@example.org, orders.shop.svc,Billing Job"
    server = start_server(*verifying(files, port, "--tls-client-names", names))
    issued = [
        files.client,
        files.ca.issue_cert("orders.shop.svc", "other.example.org"),
        files.ca.issue_cert("x.example.org", common_name="Billing Job"),
        files.ca.issue_cert("orders.shop.svc.example.org"),
        files.ca.issue_cert("x.example.org", common_name="billing job"),
        files.ca.issue_cert("*.shop.svc"),
    ]
    assert [answer(port, files.context_of(each)) for each in issued] == [PONG] * 3 + [DENIED] * 3
    assert server.metric(UNNAMED) == 3
    assert server.metric("id_generator_connections_total") == 3
    assert server.log.count("its certificate has none of the names that are let in (--tls-client-names)") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--tls-crl-file x", "--tls-crl-file without --tls-auth-clients: no client certificate is verified"),
        (
            "--tls-client-names a --tls-auth-clients optional --tls-ca-cert-file x",
            "--tls-client-names needs --tls-auth-clients yes, or clients without a name get in",
        ),
        ("--tls-client-names a,,b", "Invalid value for '--tls-client-names'"),
    ],
)
def test_conflicting_settings_are_refused(arguments: str, message: str) -> None:
    needed = "--tls-port 6380 --tls-cert-file x --tls-key-file x"
    outcome = run_command_line("serve", "--worker-id", "1", *needed.split(), *arguments.split())
    assert (outcome.exit_code, outcome.config) == (2, None)
    assert message in outcome.stderr
