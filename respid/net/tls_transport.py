"""TLS between a socket and the protocol of its client. Never parses what the client sends."""

import asyncio
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from respid.net.flow_control import LINGER_SECONDS
from respid.net.tls_stream import Bytes, TlsStream

# The most that is read at once. A client may renew its keys by 27 bytes, which take 20 us: 13 ms for so many bytes, and
# 200 ms for those of uvloop's buffer.
READ_BYTES = 16 * 1024
# A shorter read renews the keys twice at most. Most requests are as short, and reading the clock takes 0.1 us. Of a
# thousand clients that sent 243 bytes of renewals each, the PING of another one came after 0.2 s.
TIMED_READ_BYTES = 81
LONG_READ_NS = 50_000  # to decrypt; 16 KB of requests take less than half of that
_BUFFER = memoryview(bytearray(READ_BYTES))  # of all transports: each copies what it has read at once


class TlsTransport(asyncio.Transport, asyncio.BufferedProtocol):
    """The transport of a client's protocol, and the protocol of the socket's transport.

    The client's protocol gets its `connection_made` when the handshake is complete, and then `established` is done. If
    the handshake fails, `established` raises OSError.

    Each read of the handshake waits until `wait_for_turn` calls its argument, which returns False if the handshake was
    given up meanwhile. `note_long_read` gets the nanoseconds that it took to decrypt a read, if these are many.
    """

    __slots__ = (
        "_client",
        "_is_open",
        "_loop",
        "_note_long_read",
        "_socket",
        "_stream",
        "_wait_for_turn",
        "established",
    )

    _socket: asyncio.Transport  # from connection_made on

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ssl.SSLContext,
        client: asyncio.Protocol,
        *,
        wait_for_turn: Callable[[Callable[[], bool]], None],
        note_long_read: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._loop = loop
        self._wait_for_turn, self._note_long_read = wait_for_turn, note_long_read
        self._stream = TlsStream(context)
        self._client = client
        self._is_open = False  # from the end of the handshake until we close
        self.established: asyncio.Future[None] = loop.create_future()

    # What the socket's transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.Transport", transport)

    def get_buffer(self, _sizehint: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_open:
            self._receive(_BUFFER[:nbytes])
        elif not self.established.done():
            self._socket.pause_reading()
            self._wait_for_turn(partial(self._shake_hands, bytes(_BUFFER[:nbytes])))

    def _receive(self, data: Bytes) -> None:
        begun_ns = time.monotonic_ns() if len(data) >= TIMED_READ_BYTES else 0
        try:
            plain = self._stream.decrypt(data)
        except ssl.SSLError:
            self._end_badly()
            return
        taken_ns = time.monotonic_ns() - begun_ns if begun_ns else 0
        if plain:
            self._client.data_received(plain)
        # After that, since both may pause the client, which takes no requests then.
        if self._stream.output and self._is_open:
            self._socket.write(self._stream.take_output())
        if taken_ns >= LONG_READ_NS and self._is_open:
            self._note_long_read(taken_ns)
        if self._stream.has_ended and not self._client.eof_received():
            self.close()

    def _shake_hands(self, data: bytes) -> bool:
        if self.established.done():
            return False
        try:
            rest = self._stream.shake_hands(data)
        except ssl.SSLError as error:
            self._end_badly()
            self._fail(error)
            return True
        self._socket.write(self._stream.take_output())
        self._socket.resume_reading()
        if rest is not None:
            self._is_open = True
            self.established.set_result(None)
            self._client.connection_made(self)
            if rest and self._is_open:
                self._receive(rest)
        return True

    def _fail(self, error: Exception) -> None:
        self.established.set_exception(error)
        self.established.exception()  # to log nothing if the handshake was given up, and nobody awaits it

    def _end_badly(self) -> None:
        """Closes after a violation of the protocol, with the alert that tells the client."""
        self._is_open = False
        self._socket.write(self._stream.take_output())
        self._socket.close()
        self._loop.call_later(LINGER_SECONDS, self._socket.abort)  # if the client reads neither replies nor the alert

    def eof_received(self) -> bool:
        """Returns whether to keep the connection although the client sends no more."""
        return self._is_open and bool(self._client.eof_received())

    def pause_writing(self) -> None:
        if self._is_open:
            self._client.pause_writing()

    def resume_writing(self) -> None:
        if self._is_open:
            self._client.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_open = False
        client = self._client
        del self._client, self._note_long_read  # these refer to this transport: all would be kept until a collection
        if not self.established.done():
            self._fail(error or ConnectionResetError("the client disconnected"))
        elif not self.established.cancelled() and self.established.exception() is None:
            client.connection_lost(error)

    # What the client's protocol calls

    @property
    def has_part(self) -> bool:
        """Whether a part of what the client sends has arrived, which cannot be decrypted before the rest."""
        return self._stream.has_part

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_open:
            return
        try:
            self._socket.write(self._stream.encrypt(data))
        except ssl.SSLError:  # no other error of writing is one, though all are OSError
            self._end_badly()

    def get_write_buffer_size(self) -> int:
        return self._socket.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._socket.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        if self._is_open:
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        if self._is_open:
            self._socket.resume_reading()

    def is_closing(self) -> bool:
        return not self._is_open or self._socket.is_closing()

    def can_write_eof(self) -> bool:
        """TLS ends both directions at once."""
        return False

    def close(self) -> None:
        """Ends our side when all is written, and waits a moment for the client to end its own.

        Closing at once with unread data would make the kernel reset the connection, which throws away replies that
        the client has not read yet.
        """
        if not self._is_open:
            return
        self._is_open = False
        self._socket.write(self._stream.end())
        self._socket.write_eof()
        self._socket.resume_reading()
        self._loop.call_later(LINGER_SECONDS, self._socket.close)

    def abort(self) -> None:
        self._is_open = False
        self._socket.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peercert":
            return self._stream.certificate
        return self._socket.get_extra_info(name, default)
