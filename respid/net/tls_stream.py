"""The server's end of one TLS connection without its socket: bytes in, bytes out. Uses no asyncio."""

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

Bytes = bytes | bytearray | memoryview

# The buffers between OpenSSL and us never shrink, so what passes through them at once is bounded.
PIECE_BYTES = 4 * 1024
RECORD_BYTES = 16 * 1024  # the most that one read returns
_HEADER_BYTES = 5  # of a record; the last two are its length


class TlsStream:
    """Decrypts what the client sends and encrypts what it gets.

    The protocols of asyncio and uvloop read once more after the last record: the exception that ends their loop takes
    as long as the record. uvloop's also keeps 256 KB for each client.
    """

    __slots__ = (
        "_header",
        "_incoming",
        "_missing_bytes",
        "_outgoing",
        "_read",
        "_tls",
        "_write",
        "has_ended",
        "has_part",
        "output",
    )

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._read, self._write = self._tls.read, self._tls.write
        self.output = b""  # for the client, which `decrypt` has made: the answers to renewals of its keys
        self.has_part = False  # whether a record has arrived in part
        self._header, self._missing_bytes = b"", 0  # of this record
        self.has_ended = False  # whether the client has announced that it sends no more

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The client's certificate; None if it sent none, and empty if it was not verified."""
        return self._tls.getpeercert()

    def take_output(self) -> bytes:
        """Returns the bytes for the client that no caller has asked for, such as those of the handshake."""
        output, self.output = self.output + self._outgoing.read(), b""
        return output

    def shake_hands(self, data: bytes) -> bytes | None:
        """Returns None until the handshake is complete, then the data after it. Raises ssl.SSLError."""
        for start in range(0, len(data), PIECE_BYTES):
            end = start + PIECE_BYTES
            self._incoming.write(data[start:end])
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                return self._incoming.read() + data[end:]
        return None

    def decrypt(self, data: Bytes) -> bytes:
        """Returns the contents of the records that are complete. Raises ssl.SSLError."""
        if len(data) > PIECE_BYTES:
            return b"".join(map(self.decrypt, _pieces(data)))
        self._incoming.write(data)
        try:  # contextlib.suppress takes 0.35 us more, of 1.3
            plain = self._read(RECORD_BYTES)
        except ssl.SSLWantReadError:
            plain = b""
            self._find_part(data)
        else:
            if self._incoming.pending or not plain:  # most reads hold one record
                plain = self._decrypt_rest(plain, data)
            else:
                self.has_part = False
        if self._outgoing.pending:
            self.output += self._outgoing.read()
        return plain

    def _decrypt_rest(self, first: bytes, data: Bytes) -> bytes:
        """Returns the contents of the first record of `data`, and of the others that are complete."""
        records = [first]
        try:
            while records[-1] and self._incoming.pending:
                records.append(self._read(RECORD_BYTES))
            self.has_part, self.has_ended = False, not records[-1]
        except ssl.SSLWantReadError:  # the last record is incomplete, or has no data for us
            self._find_part(data)
        return b"".join(records)

    def _find_part(self, data: Bytes) -> None:
        """Follows the lengths of the records: OpenSSL does not say how much of its input is an incomplete one."""
        end = 0
        if self.has_part:
            data, end = self._header + data, self._missing_bytes
        while end + _HEADER_BYTES <= len(data):
            end += _HEADER_BYTES + int.from_bytes(data[end + _HEADER_BYTES - 2 : end + _HEADER_BYTES])
        self._header, self._missing_bytes = bytes(data[end:]), max(0, end - len(data))
        self.has_part = self._missing_bytes > 0 or self._header != b""

    def encrypt(self, data: Bytes) -> bytes:
        """Returns the records of this data. Raises ssl.SSLError if the client has sent a part of a TLS message only."""
        if len(data) <= PIECE_BYTES:
            self._write(data)
            return self.take_output() if self.output else self._outgoing.read()
        return b"".join(map(self.encrypt, _pieces(data)))

    def end(self) -> bytes:
        """Returns the announcement that we send no more."""
        with contextlib.suppress(ssl.SSLError):  # the client has not announced its end yet, or cannot any more
            self._tls.unwrap()
        return self.take_output()


def _pieces(data: Bytes) -> Iterator[Bytes]:
    return (data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES))
