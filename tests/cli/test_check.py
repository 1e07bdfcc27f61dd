"""The options of `respid check`; tests/check has what it verifies."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from benchmarks.ports import free_port
from tests.support.certificates import CertificateFiles
from tests.support.command_line import Outcome, run_check, run_command_line
from tests.support.running import StartServer


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def port(start_module_server: StartServer, files: CertificateFiles) -> int:
    """The port of a server that requires client certificates."""
    port = free_port()
    start_module_server(*files.options(port), "--tls-auth-clients", "yes", "--tls-ca-cert-file", str(files.ca_file))
    return port


@pytest.fixture(scope="module")
def certificate(files: CertificateFiles) -> Path:
    """The client certificate without its key."""
    _, mark, chain = files.client_file.read_text().partition("-----BEGIN CERTIFICATE")
    path = files.directory / "client-certificate.pem"
    path.write_text(mark + chain)
    return path


def check(port: int, files: CertificateFiles, *options: str | Path) -> Outcome:
    arguments = ["--connections", "1", "--tls", "--tls-ca-cert-file", str(files.ca_file)]
    return run_check(f"localhost:{port}", *arguments, *map(str, options), seconds=0.5)


def test_takes_a_certificate_and_its_key(port: int, files: CertificateFiles, certificate: Path) -> None:
    outcome = check(port, files, "--tls-cert-file", certificate, "--tls-key-file", files.client_key_file)
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_takes_one_file_with_both(port: int, files: CertificateFiles) -> None:
    outcome = check(port, files, "--tls-cert-file", files.client_file)
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_fails_without_a_required_certificate(port: int, files: CertificateFiles) -> None:
    assert check(port, files).exit_code == 1


def test_key_requires_certificate(files: CertificateFiles) -> None:
    outcome = check(1, files, "--tls-key-file", files.client_key_file)
    assert (outcome.exit_code, outcome.error_line) == (2, "respid: --tls-key-file needs --tls-cert-file")


def test_refuses_an_encrypted_key(files: CertificateFiles, certificate: Path, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(files.client_key_file.read_bytes(), None)
    encrypted = tmp_path / "encrypted.key"
    encryption = serialization.BestAvailableEncryption(b"secret")
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    encrypted.write_bytes(key.private_bytes(*formats, encryption))
    outcome = check(1, files, "--tls-cert-file", certificate, "--tls-key-file", encrypted)
    assert outcome.exit_code == 2
    assert f"{encrypted}: the key is encrypted" in outcome.error_line


def test_names_a_file_without_a_certificate(files: CertificateFiles) -> None:
    arguments = ("--tls", "--tls-ca-cert-file", str(files.client_key_file))
    outcome = run_command_line("check", "localhost:1", *arguments)
    assert outcome.exit_code == 2
    assert outcome.error_line.startswith(f"respid: {files.client_key_file}: TLS failed: no certificate")
    assert "_ssl.c" not in outcome.error_line


@pytest.mark.parametrize("command", ["check", "status"])
@pytest.mark.parametrize("option", ["--tls-ca-cert-file", "--tls-cert-file", "--tls-key-file"])
def test_tls_files_without_tls_are_no_plain_connection(command: str, option: str, files: CertificateFiles) -> None:
    outcome = run_command_line(command, "localhost:1", option, str(files.client_key_file))
    assert outcome.exit_code == 2
    assert f"{option} needs --tls" in outcome.error_line


@pytest.mark.parametrize("address", ["localhost", "localhost:0", "localhost:65536", "::1:6379", "a b:1"])
def test_refuses_an_invalid_address(address: str) -> None:
    outcome = run_command_line("check", address)
    assert outcome.exit_code == 2
    assert "is not of the form HOST:PORT" in outcome.error_line
