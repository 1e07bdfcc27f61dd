"""The memory that clients hold, and which of them are closed when it is too much. Never touches a socket.

Clients hold requests that are incomplete, transactions, replies that they do not read, and the state of their
connections. The limits of each client add up, so there is one for all of them, like Redis's maxmemory-clients.
"""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from respid.net.growth import Growth
from respid.worker.stats import Stats

CHECK_SECONDS = 1.0
CHECKS_PER_BUDGET = 8  # between two checks, clients may exceed the limit by this fraction of it
NEWCOMERS_PART = 2  # clients that have not run a command may hold a half: the others need not make room for them


class Holder(Protocol):
    """A client, as its memory is counted."""

    @property
    def held_bytes(self) -> int: ...

    @property
    def is_newcomer(self) -> bool: ...

    @property
    def number(self) -> int: ...

    def give_up_memory(self) -> None: ...


class Held(NamedTuple):
    """The memory of one client."""

    held_bytes: int
    number: int  # of the connection, in the order in which they came
    is_newcomer: bool
    holder: Holder


def above_limit(limit_bytes: int, held: Iterable[Held]) -> list[Holder]:
    """Returns those to close, so that the others hold no more than the limit.

    Newcomers that hold more than their part make room first, the longest waiting before the others. Then come the
    largest clients.
    """
    rest = sorted(held, reverse=True)  # the largest first; among equals, the newest
    total_bytes = sum(each.held_bytes for each in rest)
    if total_bytes <= limit_bytes:
        return []
    newcomers = sorted((each for each in rest if each.is_newcomer), key=lambda each: each.number)
    chosen = _first_above(limit_bytes // NEWCOMERS_PART, newcomers)
    chosen_numbers = {each.number for each in chosen}
    chosen += _first_above(limit_bytes, [each for each in rest if each.number not in chosen_numbers])
    return [each.holder for each in chosen]


def _first_above(limit_bytes: int, held: list[Held]) -> list[Held]:
    """Returns the first ones, without which the others hold no more than the limit."""
    total_bytes = sum(each.held_bytes for each in held)
    for count, each in enumerate(held):
        if total_bytes <= limit_bytes:
            return held[:count]
        total_bytes -= each.held_bytes
    return held


class ClientMemory:
    """Closes clients when all together hold too much."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, holders: Iterable[Holder], limit_bytes: int, stats: Stats
    ) -> None:
        """`holders` are the clients at any time. A limit of 0 means none."""
        self._loop = loop
        self._stats = stats
        self._holders = holders
        self._limit_bytes = limit_bytes
        self.growth = Growth(limit_bytes, self._check, self._check_soon)

    async def run(self) -> None:
        """Checks until it is cancelled. Returns at once when there is no limit."""
        while self._limit_bytes:
            await asyncio.sleep(CHECK_SECONDS)
            self._check()

    def _check(self) -> None:
        if not self._limit_bytes:
            return
        total_bytes = self._stats.client_memory_bytes = sum(holder.held_bytes for holder in self._holders)
        if total_bytes > self._limit_bytes:
            held = [Held(each.held_bytes, each.number, each.is_newcomer, each) for each in self._holders]
            for holder in above_limit(self._limit_bytes, held):
                holder.give_up_memory()
        self.growth.restart(max(self._limit_bytes - total_bytes, self._limit_bytes // CHECKS_PER_BUDGET))

    def _check_soon(self) -> None:
        if self._limit_bytes:
            self._loop.call_soon(self._check)
