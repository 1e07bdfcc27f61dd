"""A client that draws IDs continuously, even while the server refuses, and records every reply."""

import itertools
import threading
import time

from tests.support.byte_streams import request
from tests.support.raw_client import RawClient

BLOCK_IDS = 100
SINGLES = 200
BATCH = request("INCR", "orders") * SINGLES + request("INCRBY", "block", str(BLOCK_IDS))
LOADING = b"-LOADING respid cannot issue IDs: "


class Drawer(threading.Thread):
    """Draws until it is stopped, or the server closes the connection or dies.

    `spans` has the first and last ID of each reply, in order; `refusals` has the LOADING errors. `finish` raises
    AssertionError if there was any other reply.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.spans: list[tuple[int, int]] = []
        self.refusals: list[bytes] = []
        self._port = port
        self._over = threading.Event()
        self._wrong: list[bytes] = []
        self._lines: list[bytes] = []
        self._begun = b""  # an incomplete line
        self.start()

    def finish(self) -> list[tuple[int, int]]:
        """Stops and returns all spans."""
        self._over.set()
        self.join()
        assert not self._wrong
        return self.spans

    def run(self) -> None:
        try:
            with RawClient(self._port) as client:
                while not self._over.is_set():
                    client.send(BATCH)
                    for size in [1] * SINGLES + [BLOCK_IDS]:
                        self._note(self._next_line(client), size)
        except (OSError, EOFError):
            return

    def _next_line(self, client: RawClient) -> bytes:
        """Keeps the lines already received of a batch whose end is missing."""
        while not self._lines:
            *self._lines, self._begun = (self._begun + client.receive_some()).split(b"\r\n")
        return self._lines.pop(0)

    def _note(self, line: bytes, size: int) -> None:
        if line.startswith(b":"):
            self.spans.append((int(line[1:]) - size + 1, int(line[1:])))
        elif line.startswith(LOADING):
            self.refusals.append(line.removeprefix(LOADING))
            if size == BLOCK_IDS:
                time.sleep(0.01)
        else:
            self._wrong.append(line)


def are_disjoint_and_rising(lives: list[list[list[tuple[int, int]]]]) -> bool:
    """Whether no ID is repeated, each client's IDs rise, and each life's IDs are above those of the life before it.

    A life is the run of one server process: the spans of each of its clients.
    """
    for clients in lives:
        for spans in clients:
            if any(former[1] >= later[0] for former, later in itertools.pairwise(spans)):
                return False
    in_order = [span for clients in lives for span in sorted(span for spans in clients for span in spans)]
    return all(former[1] < later[0] for former, later in itertools.pairwise(in_order))
