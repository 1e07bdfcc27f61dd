"""A client of bare sockets, for bytes that no client library would send."""

import contextlib
import itertools
import socket
import struct
import threading
from types import TracebackType
from typing import Self

from tests.support.reply_parser import IncompleteReplyError, parse_reply

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

    def receive(self) -> bytes:
        """What comes next; nothing once the server has closed its side. A reset raises."""
        return self._socket.recv(1 << 20)

    def receive_to_end(self) -> bytes:
        """All that comes until the server closes its side. A reset raises."""
        return b"".join(iter(self.receive, b""))

    def receive_some(self) -> bytes:
        """What comes next. Raises EOFError at the end."""
        data = self.receive()
        if not data:
            raise EOFError
        return data

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

    def receive_lines(self, count: int) -> list[bytes]:
        """As many lines, when nothing else is on its way."""
        received: list[bytes] = []
        missing = count
        while missing > 0:
            received.append(data := self.receive_some())
            missing -= data.count(b"\n")
        return b"".join(received).split(b"\r\n")[:-1]

    def draw(self, sent: bytes, count: int) -> list[int]:
        """The integers that are answered; more can be asked for than the sockets' buffers hold."""
        sender = threading.Thread(target=self.send, args=[sent])
        sender.start()
        lines = self.receive_lines(count)
        sender.join()
        return integers(lines)

    def send_until_blocked(self, data: bytes, most: int = 1 << 28, patience_seconds: float = 0.3) -> int:
        """Sends it again and again until the server takes no more; returns how many bytes that took."""
        sent = 0
        self._socket.settimeout(patience_seconds)
        with contextlib.suppress(TimeoutError):
            while sent < most:
                sent += self._socket.send(memoryview(data)[sent % len(data) :])
        self._socket.settimeout(TIMEOUT_SECONDS)
        return sent

    def vanish(self) -> None:
        """Resets the connection, as a client that is killed with replies unread."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def finish(self) -> bytes:
        """Says that it will send no more; returns all that the server sends until it closes the connection."""
        with contextlib.suppress(OSError):  # it may be closed already
            self._socket.shutdown(socket.SHUT_WR)
        return self.receive_to_the_end()

    def receive_to_the_end(self) -> bytes:
        """All that the server sends until it closes the connection."""
        received = []
        with contextlib.suppress(ConnectionError):
            while data := self._socket.recv(1 << 20):
                received.append(data)
        return b"".join(received)


def integers(lines: list[bytes]) -> list[int]:
    """The numbers of integer replies."""
    assert all(line.startswith(b":") for line in lines)
    return [int(line[1:]) for line in lines]


def are_rising(numbers: list[int]) -> bool:
    """Whether each is greater than the one before it."""
    return all(earlier < later for earlier, later in itertools.pairwise(numbers))


def exchange(port: int, *pieces: bytes) -> bytes:
    """All that is answered to the pieces by a server that learns at once that no more will come."""
    with RawClient(port) as client:
        client.send(*pieces)
        return client.finish()
