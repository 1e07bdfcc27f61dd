"""Requests as they are sent, and INCRs with the keys that redis-benchmark uses: one, or a million random ones."""

import contextlib
import functools
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.plan import Plan
from benchmarks.rounds import Cost, taking_turns
from benchmarks.sender import CONNECTIONS, Batch, Batches, lines_received, sending
from benchmarks.servers import Server

RANDOM_KEYS = 1_000_000
FILLED_AT_ONCE = 1_000


def request(*arguments: str) -> bytes:
    parts = [b"$%d\r\n%s\r\n" % (len(argument), argument.encode()) for argument in arguments]
    return b"*%d\r\n" % len(parts) + b"".join(parts)


def frame(words: str) -> bytes:
    return request(*words.split())


@dataclass(frozen=True)
class Load:
    """Requests of one command on a number of connections."""

    command: str  # INCR, or INCRBY by 1 as redis-py and redis-rs send it
    keys: str  # random or fixed
    depth: int
    connections: int = CONNECTIONS

    def batches(self) -> Batches:
        if self.keys == "random":
            return Batches(_slices(self._all_keys(), self.depth), self.depth, self.depth)
        return Batches(itertools.repeat([self._frame("k") * self.depth]), self.depth, self.depth)

    def _frame(self, key: str) -> bytes:
        return frame(f"INCRBY {key} 1" if self.command == "INCRBY" else f"{self.command} {key}")

    def _all_keys(self) -> memoryview:
        return _shuffled(self._frame(f"key:{0:012}"))


@functools.cache
def _shuffled(template: bytes) -> memoryview:
    """Returns the request with each of the random keys, in an order that is always the same."""
    keys = list(range(RANDOM_KEYS))
    random.Random(1).shuffle(keys)  # noqa: S311 - no secret
    before, after = template.split(b"%012d" % 0)
    return memoryview(b"".join([b"%b%012d%b" % (before, key, after) for key in keys]))


def _slices(requests: memoryview, depth: int) -> Iterator[Batch]:
    size = len(requests) // RANDOM_KEYS * depth
    for start in itertools.cycle(range(0, len(requests) - size + 1, size)):
        yield (requests[start : start + size],)


def in_turn(plan: Plan, loads: Sequence[tuple[Server, Load]]) -> list[list[Cost]]:
    """Sends these loads in turn. Returns the costs of each."""
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(sending(server, load.batches(), load.connections)) for server, load in loads]
        return taking_turns(senders, *plan.rounds_of(loads[0][1].depth))


def fill(server: Server) -> None:
    """Creates the random keys beforehand: most INCRs in practice increment an existing counter."""
    batches = Load("INCR", "random", FILLED_AT_ONCE).batches()
    with server.connect() as connection:
        for batch in itertools.islice(batches.series, RANDOM_KEYS // FILLED_AT_ONCE):
            for piece in batch:
                connection.sendall(piece)
            missing = batches.lines
            while missing:
                missing -= lines_received(connection)
