"""Creates certificate files for a test."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


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
        client = self.ca.issue_cert("client@example.org")
        client.private_key_and_cert_chain_pem.write_to_path(self.client_file)
        client.private_key_pem.write_to_path(self.client_key_file)

    def renew(self) -> None:
        """Replaces the server's certificate and key with new ones."""
        issued = self.ca.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(self.key_file)
        issued.cert_chain_pems[0].write_to_path(self.cert_file)

    def options(self, tls_port: int) -> list[str]:
        """Returns the options that make a server listen with TLS."""
        files = ["--tls-cert-file", str(self.cert_file), "--tls-key-file", str(self.key_file)]
        return ["--tls-port", str(tls_port), *files]

    def client_context(self, *, shows_certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if shows_certificate:
            context.load_cert_chain(self.client_file)
        return context
