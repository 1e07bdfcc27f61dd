"""The memory that clients hold, and which of them is closed when it is too much. Never touches a socket.

Clients hold requests that are incomplete, transactions, and replies that they do not read. The limits of each client
add up, so there is one for all of them, as Redis's maxmemory-clients.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from respid.net.growth import Growth
from respid.worker.stats import Stats

CHECK_SECONDS = 1.0
CHECKS_PER_BUDGET = 8  # a check follows whenever clients have sent this part of it, however soon


class Holder(Protocol):
    @property
    def held_bytes(self) -> int: ...

    def give_up_memory(self) -> None: ...


def largest_above(limit_bytes: int, held: Iterable[tuple[int, Holder]], total_bytes: int) -> list[Holder]:
    """Returns the largest holders, without which the others hold no more than the limit."""
    chosen = []
    for held_bytes, holder in sorted(held, key=lambda each: each[0], reverse=True):
        if total_bytes <= limit_bytes:
            break
        chosen.append(holder)
        total_bytes -= held_bytes
    return chosen


class ClientMemory:
    """Closes the largest clients when all together hold too much."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, holders: Iterable[Holder], limit_bytes: int, stats: Stats
    ) -> None:
        """`holders` are the clients at any time. A limit of 0 means none."""
        self._loop = loop
        self._stats = stats
        self._holders = holders
        self._limit_bytes = limit_bytes
        self.growth = Growth(limit_bytes // CHECKS_PER_BUDGET, self._check_soon)

    async def run(self) -> None:
        """Checks until it is cancelled. Returns at once when there is no limit."""
        while self._limit_bytes:
            await asyncio.sleep(CHECK_SECONDS)
            self.check()

    def check(self) -> None:
        held = [(held_bytes, holder) for holder in self._holders if (held_bytes := holder.held_bytes)]
        total_bytes = self._stats.client_memory_bytes = sum(held_bytes for held_bytes, _ in held)
        if total_bytes > self._limit_bytes:
            for holder in largest_above(self._limit_bytes, held, total_bytes):
                holder.give_up_memory()

    def _check_soon(self) -> None:
        if self._limit_bytes:
            self._loop.call_soon(self.check)  # not now: a client is in its turn
