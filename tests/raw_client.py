"""A client of bare sockets, for bytes that no client library would send."""

import contextlib
import socket
from types import TracebackType
from typing import Self

from reply_parser import IncompleteReplyError, parse_reply

TIMEOUT_SECONDS = 20  # more than any conversation of a test takes on a busy machine


class RawClient:
    """One connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, *pieces: bytes) -> None:
        """Sends the pieces one by one. A server that closes the connection early may leave some of them unsent."""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                self._socket.sendall(piece)

    def receive_reply(self) -> bytes:
        """One reply, when nothing else is on its way."""
        received = b""
        while True:
            with contextlib.suppress(IncompleteReplyError):
                if received and parse_reply(received)[1] == len(received):
                    return received
            data = self._socket.recv(1 << 20)
            if not data:
                raise EOFError(received)
            received += data

    def receive_until(self, ending: bytes) -> bytes:
        """All that comes, up to this ending."""
        received = b""
        while not received.endswith(ending):
            data = self._socket.recv(1 << 20)
            if not data:
                raise EOFError(received)
            received += data
        return received

    def finish(self) -> bytes:
        """Says that it will send no more; returns all that the server sends until it closes the connection."""
        with contextlib.suppress(OSError):  # it may be closed already
            self._socket.shutdown(socket.SHUT_WR)
        received = []
        with contextlib.suppress(ConnectionError):
            while data := self._socket.recv(1 << 20):
                received.append(data)
        return b"".join(received)


def exchange(port: int, *pieces: bytes) -> bytes:
    """All that is answered to the pieces by a server that learns at once that no more will come."""
    with RawClient(port) as client:
        client.send(*pieces)
        return client.finish()
