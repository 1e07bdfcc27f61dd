"""The program of a client pod: draws IDs continuously, whatever happens to the workers, and prints the replies.

Arguments: host, port, connections, seconds between two batches, INCRs per batch, whether to print the IDs, and the
driver: none or redis-py. At SIGINT it prints a line of JSON and exits. Without a driver it reopens closed connections,
and renews each one after some seconds, to reach new workers; with redis-py the pool does what it does.
"""

import asyncio
import contextlib
import json
import random
import socket
import sys
import threading
import time
from typing import Any

BLOCK_IDS = 100
RENEWAL_SECONDS = 3
CONNECT_SECONDS = 3  # a connection that begins while its pod vanishes stays with that pod's address
REPLY_SECONDS = 90  # longer than a worker is frozen
LOADING = "-LOADING respid cannot issue IDs"
NO_CONNECTION = "no connection"


class Client(threading.Thread):
    """Has one connection at a time. `spans` has the first and last ID of each reply, in order."""

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
                with self._connect() as connection:
                    self._draw(connection)
            except OSError as error:
                self._note_error("closed" if isinstance(error, ConnectionError) else f"{type(error).__name__}: {error}")
                time.sleep(0.05)

    def _connect(self) -> socket.socket:
        try:
            connection = socket.create_connection(self._address, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise TimeoutError(NO_CONNECTION) from None
        connection.settimeout(REPLY_SECONDS)
        return connection

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
        self._note_ids(int(line[1:]), size)

    def _note_ids(self, last: int, size: int) -> None:
        now = time.monotonic()
        self.longest_pause = max(self.longest_pause, now - self.last_answer)
        self.last_answer = now
        self.answered += 1
        if self._keeps:
            self.spans.append((last - size + 1, last))

    def _note_error(self, text: str) -> None:
        self.errors[text] = self.errors.get(text, 0) + 1


class PoolClient(Client):
    """A thread of an application; all threads share redis-py's default pool."""

    pool: Any

    def run(self) -> None:
        while True:
            try:
                for size in self._sizes:
                    self._note_ids(self.pool.incr("orders", size), size)
            except Exception as error:  # noqa: BLE001 - whatever the application would see
                self._note_error(f"{type(error).__name__}: {error}")
            time.sleep(self._pause)


def _connect_pool(host: str, port: int, connections: int) -> Any:
    """Returns a client whose pool is full, so that it reaches new workers only when connections are closed."""
    sys.modules.setdefault(
        "async_timeout", asyncio
    )  # redis-py imports it before Python 3.11.3, and it is not used here
    import redis  # noqa: PLC0415 - the image does not hold it

    client = redis.Redis(host, port)
    pool = client.connection_pool
    for connection in [pool.get_connection() for _ in range(connections)]:
        pool.release(connection)
    return client


def main(*arguments: str) -> None:
    host, port, connections, pause, singles, keeps, driver = arguments
    kind = PoolClient if driver == "redis-py" else Client
    if kind is PoolClient:
        PoolClient.pool = _connect_pool(host, int(port), int(connections))
    clients = [
        kind(host, int(port), float(pause), int(singles), keeps=keeps == "True") for _ in range(int(connections))
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
