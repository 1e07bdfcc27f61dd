"""The queue of connections that wait for an ID, served in rounds. Never touches the event loop.

A round gives each connection one turn, in order. Connections that want one ID, or one small block, come first, then
pipelines and large blocks, then streams of IDs: a single request does not wait for thousands of pipelines. In some
rounds pipelines and blocks come first, and in others the first stream, so that they are not starved. A connection that
gets nothing, because its block does not fit into the rest of the millisecond, keeps its place.
"""

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import Protocol

from respid.commands import RequestKind, Session
from respid.net.turns import ROUND_NS
from respid.worker.worker import Worker

_MOST_SPARE_MS = 10
_LOOKED_AT = 64  # waiting clients
SINGLES_FIRST_ROUNDS = 4  # the last round of so many begins with pipelines or with a stream, in turn


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
        "_has_more",
        "_is_interrupted",
        "_pipelines",
        "_rounds",
        "_served_ns",
        "_singles",
        "_streams",
        "_worker",
    )

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._singles: deque[Waiter] = deque()
        self._pipelines: deque[Waiter] = deque()
        self._streams: deque[Waiter] = deque()
        self._rounds = 0
        self._bulk_waiting = 0  # of the connections in the queue
        self._exhausted_seen = 0
        self._served_ns = 0
        self._is_interrupted = False  # whether the last round ended before its time
        self._has_more = False  # whether a connection may need another turn before the next millisecond

    def __len__(self) -> int:
        return len(self._singles) + len(self._pipelines) + len(self._streams)

    def is_stream_only(self) -> bool:
        """Whether all waiting requests take any IDs that there are, so that they can be served late."""
        return not self._singles and not self._pipelines

    def spare_ms(self) -> int:
        """For how many milliseconds, up to 10, the queue can be left alone although IDs will be available earlier.

        No ID is lost while the clients want those of twice the time since the last ID, as pipelines of blocks do. Then
        waking up for each millisecond, or for each client, would cost more than the IDs. A client that wants a single
        ID, or a single small block, waits for one millisecond. So do all in a lead, in which IDs would be lost.
        """
        generator = self._worker.generator
        if self._is_interrupted:
            return 0
        wanted = sum(waiter.session.wait.ids for waiter in islice(self._waiters(), _LOOKED_AT))
        most_ms = 1 if self._singles or generator.loses_time else _MOST_SPARE_MS
        spare_ms = min(wanted // (2 * generator.layout.sequence_size), most_ms)
        passed_ms = max(0, self._worker.clock.wall_ms() - generator.timestamp_ms)
        return max(0, spare_ms - passed_ms)

    def wait_ns(self) -> int:
        """For how many nanoseconds, up to a millisecond, no connection can be served; 0 if one may be now."""
        return 0 if self._is_interrupted or self._has_more else self._worker.generator.opens_in_ns()

    def join(self, waiter: Waiter) -> bool:
        """Adds a connection at the end. Returns False if the others should be served before it changes anything."""
        self._account()
        wait, generator = waiter.session.wait, self._worker.generator
        is_first = len(self._append(waiter)) == 1
        # Others may wait for a larger block, while it need not wait for the next millisecond.
        can_go_on = (is_first or wait.is_single) and not self._has_more and generator.has_ids_now(wait.block)
        self._has_more = self._has_more or can_go_on
        generator.queued = True
        self._count_exhausted(self._bulk_waiting + wait.is_bulk)
        return is_first or can_go_on

    def serve(self) -> None:
        """Gives each connection one turn, as long as there are IDs, or a refusal for all."""
        self._account()
        self._is_interrupted = self._has_more = False
        queues = (self._singles, self._pipelines, self._streams)
        turns = [len(queue) for queue in queues]
        self._rounds += self._worker.generator.has_ids_now()
        if self._rounds % SINGLES_FIRST_ROUNDS == 0:
            index = 1 + self._rounds // SINGLES_FIRST_ROUNDS % 2
            first = turns[1] if index == 1 else min(1, turns[2])
            self._serve(queues[index], first)
            turns[index] -= first
        for queue, number in zip(queues, turns, strict=True):
            self._serve(queue, number)
        self._worker.generator.queued = bool(self)
        self._count_exhausted(sum(waiter.session.wait.is_bulk for waiter in self._waiters()))

    def _waiters(self) -> Iterator[Waiter]:
        return chain(self._singles, self._pipelines, self._streams)

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
            self._has_more = True
            if generator.ids_issued == issued_before:
                unserved.append(waiter)
            else:
                self._append(waiter)

    def _append(self, waiter: Waiter) -> deque[Waiter]:
        """Returns the queue that it was added to."""
        wait = waiter.session.wait
        if wait.kind is RequestKind.STREAM:
            queue = self._streams
        else:
            queue = self._singles if wait.is_single else self._pipelines
        queue.append(waiter)
        return queue

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
