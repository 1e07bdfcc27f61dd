"""The queue of connections that wait for an ID, served in rounds. Never touches the event loop.

A round gives each connection one turn, in order. Streams of IDs come after all other requests, so any number of them
cannot starve single ones; in some rounds the first stream has its turn before those. A connection that gets nothing,
because its block does not fit into the rest of the millisecond, keeps its place. It is served first when the next
millisecond opens.
"""

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import Protocol

from respid.commands import RequestKind, Session
from respid.net.turns import ROUND_NS
from respid.worker.worker import Worker

_MOST_SPARE_MS = 5
_LOOKED_AT = 64  # waiting clients
STREAM_FIRST_ROUNDS = 8  # so that single requests which take all IDs do not starve streams


class Waiter(Protocol):
    """A connection that can wait."""

    @property
    def session(self) -> Session: ...

    def go_on(self) -> bool:
        """Takes one turn. Returns whether it needs more; False also when the client has left."""
        ...


class WaitingQueue:
    """The connections that wait for the next millisecond, or until IDs can be issued again."""

    __slots__ = (
        "_bulk_waiting",
        "_exhausted_seen",
        "_is_interrupted",
        "_queue",
        "_rounds",
        "_served_ns",
        "_streams",
        "_worker",
    )

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._queue: deque[Waiter] = deque()
        self._streams: deque[Waiter] = deque()
        self._rounds = 0
        self._bulk_waiting = 0  # of the connections in the queue
        self._exhausted_seen = 0
        self._served_ns = 0
        self._is_interrupted = False  # whether the last round ended before its time

    def __len__(self) -> int:
        return len(self._queue) + len(self._streams)

    def is_stream_only(self) -> bool:
        """Whether all waiting requests take any IDs that there are, so that they can be served late."""
        return not self._queue

    def spare_ms(self) -> int:
        """For how many milliseconds, up to 5, the queue can be left alone although IDs will be available earlier.

        No ID is lost while the clients want those of twice as many milliseconds, as pipelines of blocks do. Then waking
        up for each millisecond would cost more than the IDs. A client that wants a single ID, or a single small block,
        waits for one millisecond.
        """
        generator = self._worker.generator
        if self._is_interrupted or generator.timestamp_ms < self._worker.clock.wall_ms():
            return 0
        waits = [waiter.session.wait for waiter in islice(self._waiters(), _LOOKED_AT)]
        is_one_small = any(wait.ids == wait.block and wait.kind is not RequestKind.BLOCK for wait in waits)
        wanted = sum(wait.ids for wait in waits)
        return min(wanted // (2 * generator.layout.sequence_size), 1 if is_one_small else _MOST_SPARE_MS)

    def join(self, waiter: Waiter) -> None:
        """Adds a connection at the end."""
        self._account()
        self._append(waiter)
        self._worker.generator.queued = True
        self._count_exhausted(self._bulk_waiting + waiter.session.wait.is_bulk)

    def serve(self) -> None:
        """Gives each connection one turn, as long as there are IDs, or a refusal for all."""
        self._account()
        self._rounds += 1
        self._is_interrupted = False
        streams = len(self._streams)
        if streams and self._rounds % STREAM_FIRST_ROUNDS == 0:
            self._serve(self._streams, 1)
            streams -= 1
        self._serve(self._queue, len(self._queue))
        self._serve(self._streams, streams)
        self._worker.generator.queued = bool(self)
        self._count_exhausted(sum(waiter.session.wait.is_bulk for waiter in self._waiters()))

    def _waiters(self) -> Iterator[Waiter]:
        return chain(self._queue, self._streams)

    def _serve(self, queue: deque[Waiter], turns: int) -> None:
        """Gives this many connections one turn. After the time of a round, the event loop looks at its sockets."""
        unserved: list[Waiter] = []
        try:
            self._give_turns(queue, turns, unserved)
        finally:  # a turn may fail
            queue.extendleft(reversed(unserved))

    def _give_turns(self, queue: deque[Waiter], turns: int, unserved: list[Waiter]) -> None:
        generator = self._worker.generator
        deadline_ns = self._served_ns + ROUND_NS
        too_many = generator.layout.sequence_size + 1  # for the rest of this millisecond
        for _ in range(turns):
            block = queue[0].session.wait.block
            if block >= too_many or (not generator.has_ids_now(block) and self._worker.refusal() is None):
                if block == 1:
                    break
                too_many = block
                unserved.append(queue.popleft())  # a smaller request may still get the rest of the millisecond
                continue
            if self._worker.clock.monotonic_ns() > deadline_ns:
                self._is_interrupted = True
                break
            waiter = queue.popleft()
            issued_before = generator.ids_issued
            if not waiter.go_on():
                continue
            if generator.ids_issued == issued_before:
                unserved.append(waiter)
            else:
                self._append(waiter)

    def _append(self, waiter: Waiter) -> None:
        is_stream = waiter.session.wait.kind is RequestKind.STREAM
        (self._streams if is_stream else self._queue).append(waiter)

    def _account(self) -> None:
        """Adds the time since the last call, for each connection that waited."""
        now_ns = self._worker.clock.monotonic_ns()
        self._worker.stats.exhausted_wait_ns += (now_ns - self._served_ns) * len(self)
        self._served_ns = now_ns

    def _count_exhausted(self, bulk_waiting: int) -> None:
        """Counts exhausted milliseconds: as "bulk" if a bulk request waits now or waited at the last call."""
        label = "bulk" if bulk_waiting or self._bulk_waiting else "single"
        self._bulk_waiting = bulk_waiting
        exhausted = self._worker.generator.milliseconds_exhausted
        self._worker.stats.sequence_exhausted[label] += exhausted - self._exhausted_seen
        self._exhausted_seen = exhausted
