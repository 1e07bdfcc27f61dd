"""A TCP proxy that takes servers in turn, and can delay their replies and record the conversations."""

import contextlib
import itertools
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial


@dataclass
class Recording:
    """The bytes of one connection."""

    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)


@contextlib.contextmanager
def proxy(
    *ports: int,
    choose: Callable[[], int] | None = None,
    delay_seconds: float = 0,
    recordings: list[Recording] | None = None,
    knows_hello: bool = True,
) -> Iterator[int]:
    """Yields the port of the proxy. Appends each connection to the recordings, in the order in which they open.

    `choose` returns the port for each new connection, instead of taking turns. A proxy that does not know HELLO speaks
    RESP2 only: the client gets an error in reply.
    """
    turns = itertools.cycle(ports)
    next_port = choose or partial(next, turns)

    class Conversation(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            recording = Recording()
            if recordings is not None:
                recordings.append(recording)
            with socket.create_connection(("127.0.0.1", next_port())) as server:
                arguments = [server, self.request, recording.received, delay_seconds]
                back = threading.Thread(target=_hand_on, args=arguments)
                back.start()
                _hand_on(self.request, server, recording.sent, hides_hello=not knows_hello)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation) as listener:
        listener.daemon_threads = True  # so that a conversation that does not end is not waited for
        threading.Thread(target=listener.serve_forever, args=[0.01]).start()
        try:
            yield int(listener.server_address[1])
        finally:
            listener.shutdown()


def _hand_on(
    source: socket.socket,
    target: socket.socket,
    copy: bytearray,
    delay_seconds: float = 0,
    *,
    hides_hello: bool = False,
) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            time.sleep(delay_seconds)
            if hides_hello:
                data = re.sub(b"\\bhello\\r", b"HELL0\\r", data, flags=re.IGNORECASE)  # which is no command
            copy += data
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
