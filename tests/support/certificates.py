"""Creates certificate files for a test."""

import contextlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization


@dataclass
class CertificateFiles:
    """A certificate authority, a server's certificate and key, and a client's."""

    directory: Path

    def __post_init__(self) -> None:
        self.ca = trustme.CA()
        self.ca_file = self.directory / "ca.pem"
        self.ca.cert_pem.write_to_path(self.ca_file)
        self.cert_file = self.directory / "server.pem"
        self.key_file = self.directory / "server.key"
        self.client_file = self.directory / "client.pem"
        self.client_key_file = self.directory / "client.key"
        self.renew()
        self.client = self.ca.issue_cert("client@example.org")
        self.client.private_key_and_cert_chain_pem.write_to_path(self.client_file)
        self.client.private_key_pem.write_to_path(self.client_key_file)

    def renew(self) -> None:
        """Replaces the server's certificate and key with new ones."""
        issued = self.ca.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(self.key_file)
        issued.cert_chain_pems[0].write_to_path(self.cert_file)

    def options(self, tls_port: int) -> list[str]:
        """Returns the options that make a server listen with TLS."""
        files = ["--tls-cert-file", str(self.cert_file), "--tls-key-file", str(self.key_file)]
        return ["--tls-port", str(tls_port), *files]

    def revoke(self, path: Path, *revoked: trustme.LeafCert, end: datetime | None = None) -> None:
        """Writes the CA's revocation list of these certificates. It ends tomorrow, unless an end is given."""
        end = end or datetime.now(UTC) + timedelta(1)
        issuer = x509.load_pem_x509_certificate(self.ca.cert_pem.bytes())
        revocations = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
        revocations = revocations.last_update(end - timedelta(2)).next_update(end)
        for each in revoked:
            number = x509.load_pem_x509_certificate(each.cert_chain_pems[0].bytes()).serial_number
            revocation = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(end - timedelta(2))
            revocations = revocations.add_revoked_certificate(revocation.build())
        key = serialization.load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        signed = revocations.sign(key, hashes.SHA256())  # type: ignore[arg-type]
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def context_of(self, client: trustme.LeafCert) -> ssl.SSLContext:
        """Returns the context of a client that shows this certificate."""
        context = self.client_context()
        client.configure_cert(context)
        return context

    def client_context(self, *, shows_certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if shows_certificate:
            context.load_cert_chain(self.client_file)
        return context


def client_hello() -> bytes:
    """The first bytes of a TLS handshake."""
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(received, sent, server_hostname="localhost").do_handshake()
    return sent.read()
