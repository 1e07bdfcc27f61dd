"""What a client pod runs: draws IDs all the time, whatever happens to the workers, and prints what it was given.

Arguments: host, port, connections, seconds between two batches, INCRs of a batch, whether the IDs are printed. Ends at
SIGINT with one line of JSON. A connection that ends is made again, and each is renewed after some seconds, so that new
workers are met. Standard library alone, since the image holds nothing else.
"""

import contextlib
import json
import random
import socket
import sys
import threading
import time

BLOCK_IDS = 100
RENEWAL_SECONDS = 3
TIMEOUT_SECONDS = 90  # longer than a worker is frozen for
LOADING = "-LOADING respid cannot issue IDs"


class Client(threading.Thread):
    """One connection at a time. `spans` are the first and last ID of each reply, in order."""

    def __init__(self, host: str, port: int, pause: float, singles: int, *, keeps: bool) -> None:
        super().__init__(daemon=True)
        self.spans: list[tuple[int, int]] = []
        self.errors: dict[str, int] = {}
        self.answered = 0
        self.last_answer = time.monotonic()
        self.longest_pause = 0.0
        self._address = host, port
        self._pause, self._keeps = pause, keeps
        self._sizes = [1] * singles + [BLOCK_IDS]
        self._batch = b"INCR orders\r\n" * singles + b"INCRBY block %d\r\n" % BLOCK_IDS

    def run(self) -> None:
        while True:
            try:
                with socket.create_connection(self._address, timeout=TIMEOUT_SECONDS) as connection:
                    self._draw(connection)
            except OSError as error:
                self._note_error("closed" if isinstance(error, ConnectionError) else f"{type(error).__name__}: {error}")
                time.sleep(0.05)

    def _draw(self, connection: socket.socket) -> None:
        end = time.monotonic() + RENEWAL_SECONDS * random.uniform(0.5, 1.5)
        with connection.makefile("rb") as replies:
            while time.monotonic() < end:
                connection.sendall(self._batch)
                for size in self._sizes:
                    self._note(replies.readline(), size)
                time.sleep(self._pause)

    def _note(self, line: bytes, size: int) -> None:
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError
        if not line.startswith(b":"):
            text = line.decode().strip()
            self._note_error(LOADING if text.startswith(LOADING) else text)
            return
        now = time.monotonic()
        self.longest_pause = max(self.longest_pause, now - self.last_answer)
        self.last_answer = now
        self.answered += 1
        if self._keeps:
            self.spans.append((int(line[1:]) - size + 1, int(line[1:])))

    def _note_error(self, text: str) -> None:
        self.errors[text] = self.errors.get(text, 0) + 1


def main(*arguments: str) -> None:
    host, port, connections, pause, singles, keeps = arguments
    clients = [
        Client(host, int(port), float(pause), int(singles), keeps=keeps == "True") for _ in range(int(connections))
    ]
    for client in clients:
        client.start()
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)
            print(sum(client.answered for client in clients), flush=True)  # noqa: T201 - what the test reads
    fields = ("spans", "errors", "answered", "longest_pause")
    print(json.dumps([{name: getattr(client, name) for name in fields} for client in clients]), flush=True)  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main(*sys.argv[1:])
