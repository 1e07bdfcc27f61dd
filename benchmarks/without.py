"""`python -m benchmarks.without NAME serve …`: runs respid without one of the optimisations of its hot path.

Each optimisation is removed by replacing a function with its obvious, unmeasured version. Replies stay the same, except
that IDs may be skipped.
"""

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import respid.server
from respid.cli.main import main
from respid.ids.generator import Generator
from respid.net.protocol import RespProtocol
from respid.resp import encoder
from respid.resp.fast_path import RunReader
from respid.resp.known_frames import KnownFrames
from respid.worker.stats import Stats


def uvloop() -> None:
    vars(respid.server)["_event_loop_factory"] = lambda: None


def fast_path(replace: Callable[[type, str, object], None] = setattr) -> None:
    def repeats(runs: RunReader[Any], *_: Any) -> bool:
        runs.pause = sys.maxsize
        return False

    def find(
        known: KnownFrames[Any], _kinds: Any, _buffer: bytes, position: int, **_may_run: bool
    ) -> tuple[tuple[Any, ...], int]:
        known.pause = sys.maxsize
        return (), position

    replace(RunReader, "repeats", repeats)
    replace(KnownFrames, "find", find)
    replace(KnownFrames, "find_first", lambda *_: ((), 0))


def memory_of_runs() -> None:
    setattr(RunReader, "find_in_read", lambda self, data: self.find(data, 0))  # noqa: B010 - a method


def allocation_in_blocks() -> None:
    take_one = Generator.take

    def take(self: Generator, count: int, since_ms: int | None = None) -> tuple[int, int]:
        first, taken = take_one(self, 1, since_ms)
        while taken and taken < count and take_one(self, 1, since_ms) == (first + taken, 1):
            taken += 1
        return first, taken

    setattr(Generator, "take", take)  # noqa: B010


def formatting_in_blocks() -> None:
    vars(encoder)["consecutive_integers"] = lambda first, count: b"".join(
        [encoder.integer(number) for number in range(first, first + count)]
    )


class _WritingOneByOne:
    """A transport that writes one reply at a time."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, replies: bytes) -> None:
        for reply in replies.splitlines(keepends=True):
            cast("asyncio.Transport", self._transport).write(reply)


def one_write_a_batch() -> None:
    made = RespProtocol.connection_made

    def connection_made(self: RespProtocol, transport: asyncio.BaseTransport) -> None:
        made(self, cast("asyncio.BaseTransport", _WritingOneByOne(transport)))

    setattr(RespProtocol, "connection_made", connection_made)  # noqa: B010


def freezing() -> None:
    gc.freeze = lambda: None


def plain_counters() -> None:
    initialise = Stats.__init__

    def counted(self: Stats) -> None:
        initialise(self)
        self.commands = Counter()  # type: ignore[assignment]

    setattr(Stats, "__init__", counted)  # noqa: B010


OPTIMISATIONS: dict[str, Callable[[], None]] = {
    "uvloop": uvloop,
    "fast-path": fast_path,
    "memory-of-runs": memory_of_runs,
    "allocation-in-blocks": allocation_in_blocks,
    "formatting-in-blocks": formatting_in_blocks,
    "one-write-a-batch": one_write_a_batch,
    "gc-freeze": freezing,
    "plain-counters": plain_counters,
}

if __name__ == "__main__":
    OPTIMISATIONS[sys.argv.pop(1)]()
    main()
