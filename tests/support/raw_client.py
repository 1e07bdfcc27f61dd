"""A client on plain sockets, for bytes that no client library would send."""

import contextlib
import itertools
import socket
import struct
import threading
from types import TracebackType
from typing import Self

from tests.support.reply_parser import IncompleteReplyError, parse_reply
from tests.support.running import WAIT_SECONDS


class RawClient:
    """One connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def address(self) -> str:
        """Its own, as the server logs it."""
        return "{}:{}".format(*self._socket.getsockname())

    def send(self, *pieces: bytes) -> None:
        """Sends the pieces one by one. If the server closes the connection early, some of them remain unsent."""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                self._socket.sendall(piece)

    def receive(self) -> bytes:
        """Returns the next bytes; none once the server has closed its side. Raises ConnectionResetError on a reset."""
        return self._socket.recv(1 << 20)

    def receive_to_end(self) -> bytes:
        """Returns all bytes until the server closes its side. Raises ConnectionResetError on a reset."""
        return b"".join(iter(self.receive, b""))

    def receive_some(self) -> bytes:
        """Returns the next bytes. Raises EOFError at the end."""
        data = self.receive()
        if not data:
            raise EOFError
        return data

    def receive_reply(self) -> bytes:
        """Returns one reply; nothing may follow it."""
        received = b""
        while True:
            received += self.receive_some()
            with contextlib.suppress(IncompleteReplyError):
                if parse_reply(received)[1] == len(received):
                    return received

    def receive_until(self, ending: bytes) -> bytes:
        """Returns all bytes up to this ending. Raises EOFError if the connection ends before."""
        received = b""
        while not received.endswith(ending):
            received += self.receive_some()
        return received

    def receive_lines(self, count: int) -> list[bytes]:
        """Returns this many lines; nothing may follow them."""
        received: list[bytes] = []
        missing = count
        while missing > 0:
            received.append(data := self.receive_some())
            missing -= data.count(b"\n")
        return b"".join(received).split(b"\r\n")[:-1]

    def draw(self, sent: bytes, count: int) -> list[int]:
        """Sends requests and returns this many integer replies. They may exceed the sockets' buffers."""
        sender = threading.Thread(target=self.send, args=[sent])
        sender.start()
        lines = self.receive_lines(count)
        sender.join()
        return integers(lines)

    def send_until_blocked(self, data: bytes, most: int = 1 << 28, patience_seconds: float = 0.3) -> int:
        """Repeats the data until the server reads no more. Returns the number of bytes sent."""
        sent = 0
        self._socket.settimeout(patience_seconds)
        with contextlib.suppress(TimeoutError):
            while sent < most:
                sent += self._socket.send(memoryview(data)[sent % len(data) :])
        self._socket.settimeout(WAIT_SECONDS)
        return sent

    def vanish(self) -> None:
        """Resets the connection, like a client that is killed with unread replies."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def finish(self) -> bytes:
        """Shuts down the sending side. Returns all bytes until the connection ends, by a reset too."""
        with contextlib.suppress(OSError):  # it may already be closed
            self._socket.shutdown(socket.SHUT_WR)
        return self.receive_to_the_end()

    def receive_to_the_end(self) -> bytes:
        """Returns all bytes until the connection ends, by a reset too."""
        received = []
        with contextlib.suppress(ConnectionError):
            while data := self.receive():
                received.append(data)
        return b"".join(received)


def integers(lines: list[bytes]) -> list[int]:
    """Returns the values of integer replies. Raises AssertionError for any other reply."""
    assert all(line.startswith(b":") for line in lines)
    return [int(line[1:]) for line in lines]


def are_rising(numbers: list[int]) -> bool:
    """Whether each number is greater than the one before it."""
    return all(earlier < later for earlier, later in itertools.pairwise(numbers))


def exchange(port: int, *pieces: bytes) -> bytes:
    """Sends the pieces, shuts down the sending side, and returns all replies."""
    with RawClient(port) as client:
        client.send(*pieces)
        return client.finish()
