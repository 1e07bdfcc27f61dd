"""A TLS client without a socket: OpenSSL's own, which sends what it is told."""

import contextlib
import ssl
from pathlib import Path

from tests.support.certificates import CertificateFiles

_RECORD_BYTES = 16 * 1024


class TlsClient:
    """One end of a connection: bytes in, bytes out."""

    def __init__(self, files: CertificateFiles, version: ssl.TLSVersion, key_log: Path | None = None) -> None:
        context = files.client_context()
        if key_log:
            context.keylog_filename = str(key_log)
        context.minimum_version = context.maximum_version = version
        self._received, self._sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._received, self._sent, server_hostname="localhost")

    def shake_hands(self, received: bytes) -> bytes:
        self._received.write(received)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._sent.read()

    def encrypt(self, data: bytes) -> bytes:
        while data:
            data = data[self.tls.write(data) :]
        return self._sent.read()

    def decrypt(self, data: bytes) -> bytes:
        self._received.write(data)
        plain = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            while record := self.tls.read(_RECORD_BYTES):
                plain += record
        return plain

    def end(self) -> bytes:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self._sent.read()
