"""The memory that clients hold, and which of them are closed when it is too much. Never touches a socket.

Clients hold requests that are incomplete, transactions, replies that they do not read, and the state of their
connections. The limits of each client add up, so there is one for all of them, like Redis's maxmemory-clients.

Clients are noted when they may hold more than before, and the largest are found by their size class, so that noting
one and closing one take constant time: a crowd of ten thousand costs each of them no more than a crowd of ten.
"""

import asyncio
import sys
from collections import OrderedDict
from typing import NamedTuple, Protocol

from respid.net.heap import trim_heap
from respid.worker.stats import Stats

RECOUNT_SECONDS = 1.0
SLICE = 200  # clients recounted before the event loop gets its turn
NEWCOMERS_PART = 2  # clients that have not run a command may hold a half: the others need not make room for them
TRIMMED_PART = 8  # of the limit
_SIZE_CLASSES = 48  # a class has the sizes with the same number of binary digits


class Holder(Protocol):
    """A client, as its memory is counted."""

    @property
    def held_bytes(self) -> int: ...

    @property
    def is_newcomer(self) -> bool: ...

    def give_up_memory(self) -> None:
        """Closes at once. Calls `ClientMemory.remove`."""
        ...


# Unlike a dict, it finds its first and its last key in constant time after others have been removed.
_Ordered = OrderedDict[Holder, None]


class _Noted(NamedTuple):
    """The memory of a client when it was last noted."""

    held_bytes: int
    size_class: _Ordered


class ClientMemory:
    """Closes clients when all together hold too much."""

    def __init__(self, limit_bytes: int, stats: Stats) -> None:
        """A limit of 0 means none."""
        self._stats = stats
        self._limit_bytes = limit_bytes or sys.maxsize
        self._noted: dict[Holder, _Noted] = {}
        self._size_classes = [_Ordered() for _ in range(_SIZE_CLASSES)]
        self._newcomers = _Ordered()  # in the order in which they came; some may have run a command since
        self._newcomers_bytes = 0
        self._given_up_bytes = 0

    def add(self, holder: Holder) -> None:
        """Counts a new client."""
        self._noted[holder] = _Noted(0, self._size_classes[0])
        self._newcomers[holder] = None
        self.note(holder)

    def remove(self, holder: Holder) -> None:
        """Does nothing for a client that is not counted."""
        noted = self._noted.pop(holder, None)
        if noted is None:
            return
        noted.size_class.pop(holder, None)
        self._given_up_bytes += noted.held_bytes
        self._stats.client_memory_bytes -= noted.held_bytes
        self._forget_newcomer(holder, noted)

    def note(self, holder: Holder) -> None:
        """Counts again what a client holds, and closes clients if that is too much for all of them.

        It need not be called when a client holds less: a client is counted again before it is closed.
        """
        noted = self._noted.get(holder)
        if noted is None:
            return
        self._count(holder, noted)
        if self._stats.client_memory_bytes > self._limit_bytes:
            self._make_room()

    async def run(self) -> None:
        """Counts all clients again and again until it is cancelled, for what is not noted: small unread replies.

        Also keeps the heap small.
        """
        while True:
            await asyncio.sleep(RECOUNT_SECONDS)
            self._trim()
            await self._recount()

    async def _recount(self) -> None:
        """Counts all clients. Returns before the next pause, in which its list would keep those that have left."""
        holders = list(self._noted)
        for start in range(0, len(holders), SLICE):
            for holder in holders[start : start + SLICE]:
                self.note(holder)
            await asyncio.sleep(0)

    def _trim(self) -> None:
        """Returns to the system what clients have given up. Takes milliseconds, so it waits for many of them."""
        if self._given_up_bytes >= self._limit_bytes // TRIMMED_PART:
            self._given_up_bytes = 0
            trim_heap()

    def _count(self, holder: Holder, noted: _Noted) -> _Noted:
        if holder in self._newcomers and not holder.is_newcomer:
            self._forget_newcomer(holder, noted)
        held_bytes = holder.held_bytes
        grown_bytes = held_bytes - noted.held_bytes
        if not grown_bytes:  # as for nearly all clients once a second: all else would take 2 us for each
            return noted
        size_class = self._size_classes[held_bytes.bit_length()]
        if size_class is not noted.size_class:
            noted.size_class.pop(holder, None)
            size_class[holder] = None
        self._noted[holder] = counted = _Noted(held_bytes, size_class)
        self._stats.client_memory_bytes += grown_bytes
        if holder in self._newcomers:
            self._newcomers_bytes += grown_bytes
        return counted

    def _make_room(self) -> None:
        """Closes clients until all hold no more than the limit.

        Newcomers that hold more than their part make room first, the longest waiting before the others. Then come the
        largest clients, the last one of a size class first.
        """
        while self._stats.client_memory_bytes > self._limit_bytes:
            if self._newcomers_bytes > self._limit_bytes // NEWCOMERS_PART:
                self._close_newcomer(next(iter(self._newcomers)))
            else:
                self._close_large(next(size_class for size_class in reversed(self._size_classes) if size_class))

    def _close_newcomer(self, holder: Holder) -> None:
        if holder.is_newcomer:
            holder.give_up_memory()
        else:
            self._forget_newcomer(holder, self._noted[holder])

    def _close_large(self, size_class: _Ordered) -> None:
        """Closes a client unless it has become smaller. Then it is counted, and others are looked at."""
        holder = next(reversed(size_class))
        counted = self._count(holder, self._noted[holder])
        if counted.size_class is size_class and self._stats.client_memory_bytes > self._limit_bytes:
            holder.give_up_memory()

    def _forget_newcomer(self, holder: Holder, noted: _Noted) -> None:
        if holder in self._newcomers:
            del self._newcomers[holder]
            self._newcomers_bytes -= noted.held_bytes
