"""The queue of connections that wait for an ID, served in rounds. Never touches the event loop.

A round gives each connection one turn, in order. Connections that want one ID, or one small block, come first, then
pipelines and large blocks, then streams of IDs: a single request does not wait for thousands of pipelines. In some
rounds pipelines and blocks come first, and in others the first stream, so that they are not starved. A connection that
gets nothing, because its block does not fit into the rest of the millisecond, keeps its place.
"""

from collections import deque
from typing import Protocol

from respid.commands import RequestKind, Session
from respid.net.turns import ROUND_NS
from respid.worker.worker import Worker

_MOST_SPARE_MS = 10
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
        "_bulk_waited",
        "_bulk_waiting",
        "_exhausted_seen",
        "_has_more",
        "_is_interrupted",
        "_pipelines",
        "_rounds",
        "_served_ns",
        "_singles",
        "_streams",
        "_wanted",
        "_worker",
    )

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._singles: deque[Waiter] = deque()
        self._pipelines: deque[Waiter] = deque()
        self._streams: deque[Waiter] = deque()
        self._rounds = 0
        self._wanted = 0  # IDs, by the connections in the queue
        self._bulk_waiting = 0  # of these connections
        self._bulk_waited = 0  # of those that were in the queue at the last call
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

        No ID is lost while the clients want those of a longer time than has passed since the last ID, as pipelines of
        blocks do. Then waking up for each millisecond, or for each client, would cost more than the IDs. A client that
        wants a single ID, or a single small block, waits for one millisecond. So do all in a lead, in which IDs would
        be lost.
        """
        generator = self._worker.generator
        if self._is_interrupted:
            return 0
        spare_ms = self._spare_ms_after_id()
        if self._singles or generator.loses_time:
            spare_ms = min(spare_ms, 1)
        passed_ms = max(0, self._worker.clock.wall_ms() - generator.timestamp_ms)
        return max(0, spare_ms - passed_ms)

    def _spare_ms_after_id(self) -> int:
        """Leaves a quarter of the time whose IDs are wanted, and a millisecond, for timers that are late."""
        wanted_ms = self._wanted // self._worker.generator.layout.sequence_size
        return min(wanted_ms - wanted_ms // 4 - 1, _MOST_SPARE_MS)

    def wait_ns(self) -> int:
        """For how many nanoseconds, up to a millisecond, no connection can be served; 0 if one may be now."""
        return 0 if self._is_interrupted or self._has_more else self._worker.generator.opens_in_ns()

    def join(self, waiter: Waiter) -> bool:
        """Adds a connection at the end. Returns False if that cannot change when the queue should be served next."""
        self._account()
        wait, generator = waiter.session.wait, self._worker.generator
        spare_ms = self._spare_ms_after_id()
        is_first = len(self._append(waiter)) == 1
        # Others may wait for a larger block, while it need not wait for the next millisecond.
        can_go_on = (is_first or wait.is_single) and not self._has_more and generator.has_ids_now(wait.block)
        self._has_more = self._has_more or can_go_on
        generator.queued = True
        self._count_exhausted()
        return is_first or can_go_on or (self._spare_ms_after_id() > spare_ms and not self._singles)

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
            if number:
                self._serve(queue, number)
        self._worker.generator.queued = bool(self)
        self._count_exhausted()

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
            self._count(waiter, -1)  # before its turn, which changes what it wants
            issued_before = generator.ids_issued
            if not waiter.go_on():
                continue
            self._has_more = True
            if generator.ids_issued == issued_before:
                self._count(waiter, 1)
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
        self._count(waiter, 1)
        queue.append(waiter)
        return queue

    def _count(self, waiter: Waiter, times: int) -> None:
        wait = waiter.session.wait
        self._wanted += times * wait.ids
        self._bulk_waiting += times * wait.is_bulk

    def _account(self) -> None:
        """Adds the time since the last call, for each connection that waited."""
        now_ns = self._worker.clock.monotonic_ns()
        self._worker.stats.exhausted_wait_ns += (now_ns - self._served_ns) * len(self)
        self._served_ns = now_ns

    def _count_exhausted(self) -> None:
        """Counts exhausted milliseconds: as "bulk" if a bulk request waits now or waited at the last call."""
        label = "bulk" if self._bulk_waiting or self._bulk_waited else "single"
        self._bulk_waited = self._bulk_waiting
        exhausted = self._worker.generator.milliseconds_exhausted
        self._worker.stats.sequence_exhausted[label] += exhausted - self._exhausted_seen
        self._exhausted_seen = exhausted
