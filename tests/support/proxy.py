"""A TCP proxy that takes servers in turn and can delay their replies."""

import contextlib
import itertools
import socket
import socketserver
import threading
import time
from collections.abc import Iterator


@contextlib.contextmanager
def proxy(*ports: int, delay_seconds: float = 0) -> Iterator[int]:
    """Yields the port of the proxy."""
    turns = itertools.cycle(ports)

    class Conversation(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", next(turns))) as server:
                back = threading.Thread(target=_hand_on, args=[server, self.request, delay_seconds])
                back.start()
                _hand_on(self.request, server, 0)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation) as listener:
        threading.Thread(target=listener.serve_forever, args=[0.01]).start()
        yield int(listener.server_address[1])
        listener.shutdown()


def _hand_on(source: socket.socket, target: socket.socket, delay_seconds: float) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            time.sleep(delay_seconds)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
