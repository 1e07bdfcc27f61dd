"""The connected clients: the registry, the ticks of the waiting queue, and the drain. Never reads a socket."""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from typing import Protocol

from respid.net.client_memory import ClientMemory, Holder
from respid.net.connection import Budgets, Connection
from respid.net.crowd import Crowd
from respid.net.latency import SAMPLE_SECONDS, time_next_batch
from respid.net.short_timer import ShortTimer
from respid.net.turns import ROUND_NS, UNAUTHENTICATED_ROUND_NS, Budget, Turns
from respid.net.waiting_queue import Waiter, WaitingQueue
from respid.resp.reader import RequestLimits
from respid.worker.worker import Worker

STOPPED_POLL_NS = 10_000_000  # how often the queue is served while no ID can be issued
# In which a client authenticates, or gets the answers to some requests. Before further ones, it waits for clients that
# have had fewer: those that send most cannot keep others from a short request.
EARLY_TURNS = 2
# How long a drain waits for the rest of a request, and for EXEC, which Lettuce would send to the next worker in vain.
PATIENCE_SECONDS = 1.0
STREAM_POLL_NS = 5_000_000  # how often while only ID.NEXT COUNT and ID.RANGE wait
LEAD_POLL_NS = 1_000_000  # the same while IDs lead the clock
LEAST_PUT_OFF_NS = 500_000  # a tick is not moved if it would be later by less than this


class ClientSocket(Waiter, Holder, Protocol):
    """One client's socket, as the registry and the idle sweep use it."""

    @property
    def unsent_bytes(self) -> int: ...

    @property
    def is_answering(self) -> bool: ...

    @property
    def is_between_requests(self) -> bool: ...

    @property
    def turns(self) -> int: ...

    def take_turn(self) -> None: ...

    def hold_back(self, budget: Budget) -> None: ...

    def stop_timing(self) -> None: ...

    def close_if_idle(self) -> None: ...

    def give_up(self, reason: str) -> None: ...

    def push(self, message: bytes) -> bool: ...

    def abort(self) -> None: ...


class QueueTicker:
    """Serves the waiting queue from the event loop, no more often than necessary."""

    def __init__(
        self,
        queue: WaitingQueue,
        worker: Worker,
        loop: asyncio.AbstractEventLoop,
        budget: Budget,
        short_timer: ShortTimer | None = None,
    ) -> None:
        self._queue = queue
        self._budget = budget
        self._worker = worker
        self._loop = loop
        self._short_timer = short_timer
        self._due_ns: int | None = None  # when the next tick is due, if it is scheduled
        self._handle: asyncio.Handle | None = None  # of that tick, unless the short timer is set for it

    def schedule(self) -> None:
        """Arranges for the next tick, or moves it if it should be earlier, or quite a bit later.

        It is not put off while no ID can be issued: then it would be with each call, and refusals would be late.
        """
        delay_ns, now_ns = self._delay_ns(), self._worker.clock.monotonic_ns()
        if self._due_ns is not None:
            later_ns = now_ns + delay_ns - self._due_ns
            if later_ns >= 0 and (later_ns < LEAST_PUT_OFF_NS or self._worker.generator.stopped_for_ms()):
                return
        is_timer_set = self._due_ns is not None and self._handle is None
        self._due_ns = now_ns + delay_ns
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._short_timer is not None and (delay_ns or is_timer_set):
            self._short_timer.start(max(1, delay_ns), self._tick)
        elif delay_ns:
            self._handle = self._loop.call_later(delay_ns / 1e9, self._tick)
        else:  # the event loop polls its sockets between two ticks
            self._handle = self._loop.call_soon(self._tick)

    def _delay_ns(self) -> int:
        """Without a short timer, the queue is looked at in each iteration of the event loop if it has to be soon."""
        generator, queue = self._worker.generator, self._queue
        if generator.obstacle() is not None:
            return STOPPED_POLL_NS
        if queue.is_stream_only() and not generator.has_ids_now():
            # Bulk requests lose nothing by a late timer, because they get the IDs of the time that passed. ID.RANGE
            # takes a twentieth of a core instead of a whole one.
            return LEAD_POLL_NS if generator.loses_time else STREAM_POLL_NS
        spare_ms = queue.spare_ms()
        if spare_ms or self._short_timer is None:
            return spare_ms * 1_000_000
        return queue.wait_ns()

    def _tick(self) -> None:
        self._due_ns = self._handle = None
        self._budget.begin_round()
        try:
            self._queue.serve()
        finally:  # one client's failure must not make the others wait for ever
            if self._queue:
                self.schedule()


class Clients:
    """The connected clients, and what they share: the worker, the waiting queue, and the event loop."""

    def __init__(self, worker: Worker, loop: asyncio.AbstractEventLoop, short_timer: ShortTimer | None = None) -> None:
        self.worker = worker
        self.loop = loop
        self.sockets: set[ClientSocket] = set()
        self._newcomers: Crowd[ClientSocket] = Crowd()  # some may have run a command meanwhile
        self.draining = False
        self.cuts_off = False  # in a drain, clients that are in the middle of a request or a transaction
        self.staying: set[ClientSocket] = set()  # those that a drain still serves
        # Whether a client has more to do after a batch: to drain, or to have its next one timed.
        self.is_attentive = True
        config = worker.config
        self.limits = RequestLimits(config.max_request_bytes, config.max_arguments, config.max_inline_bytes)
        self._identifiers = itertools.count(1)
        self._turns = Turns(loop.call_soon, ROUND_NS)
        self._unauthenticated_turns = Turns(loop.call_soon, UNAUTHENTICATED_ROUND_NS)
        self.budgets = Budgets(self._turns.budget, self._unauthenticated_turns.budget)
        self.memory = ClientMemory(config.max_client_memory_bytes or 0, worker.stats)
        self._queue = WaitingQueue(worker)
        self._ticker = QueueTicker(self._queue, worker, loop, self.budgets.authenticated, short_timer)

    def next_identifier(self) -> int:
        return next(self._identifiers)

    def add(self, client: ClientSocket) -> None:
        self.sockets.add(client)
        self._newcomers.add(client, client.session.address)
        self.worker.clients[client.session.identifier] = client.session
        self.worker.stats.connections += 1
        self.memory.add(client)

    def remove(self, client: ClientSocket) -> None:
        """Does nothing for a client that was never added."""
        if client in self.sockets:
            self.sockets.remove(client)
            self.staying.discard(client)
            self._newcomers.discard(client)
            self.memory.remove(client)
            del self.worker.clients[client.session.identifier]
            client.stop_timing()
            client.session.describe_socket = None  # it refers to the socket, which would be kept until a collection

    def make_room(self) -> bool:
        """Closes a client that has not run a command, if all places are taken.

        It is the one that has waited longest, of the peer that has most of them. Returns whether there is room now.
        """
        if len(self.sockets) < self.worker.config.max_clients:
            return True
        client = self._longest_waiting()
        if client is None:
            return False
        self.remove(client)
        self.worker.count_closing("max_clients", client.session.address)
        client.abort()
        return True

    def close_unauthenticated(self, seconds: float, most: int) -> bool:
        """Closes clients that have not authenticated this many seconds after they connected.

        Looks at up to `most` clients that have connected so long ago. Returns whether there may be more.
        """
        latest_ns = self.worker.clock.monotonic_ns() - round(seconds * 1e9)
        for _ in range(most):
            client = self._newcomers.oldest()
            if client is None or client.session.connected_ns > latest_ns:
                return False
            self._newcomers.discard(client)
            if not client.session.authenticated:
                client.give_up("auth_timeout")
        return True

    def _longest_waiting(self) -> ClientSocket | None:
        while self._newcomers:
            client = self._newcomers.longest_waiting()
            if client.is_newcomer:
                return client
            self._newcomers.discard(client)
        return None

    def wait_for_turn(self, client: ClientSocket) -> None:
        """Arranges for one call of the client's `take_turn`, after the clients that already wait for theirs."""
        turns = self._turns if client.session.authenticated else self._unauthenticated_turns
        turns.join(client, is_early=client.turns <= EARLY_TURNS)

    def hold_back(self, budget: Budget) -> None:
        """Ends a pass of the event loop over its sockets, which reads from all clients that are not paused.

        Those that just draw some IDs go on, and so do those with another budget: an unauthenticated crowd pauses no
        authenticated client. The others wait for their turns, in the rounds to come.
        """
        budget.left_ns = 0
        for client in self.sockets:
            client.hold_back(budget)

    def wait_for_id(self, client: ClientSocket) -> None:
        """Adds a client to the waiting queue, and schedules a tick."""
        if self._queue.join(client):  # else the tick that is scheduled is early enough
            self._ticker.schedule()

    def time_next_batch(self, connection: Connection, end: Callable[[], None]) -> Connection:
        """Returns a stand-in that times the connection's next batch, and calls `end` when it is answered."""
        self.is_attentive = self.draining
        self.loop.call_later(SAMPLE_SECONDS, self.choose_next)
        return time_next_batch(connection, self.worker, end)

    def choose_next(self) -> None:
        """Times the next batch of the client that sends next."""
        self.is_attentive = True

    def drain(self, staying: Iterable[ClientSocket] = ()) -> None:
        """Closes each connection between two requests: at once if it is idle, else after its last reply.

        Those that are `staying` are served until `let_go` is called.
        """
        self.staying.update(staying)
        self.draining = self.is_attentive = True
        self._close_idle()
        self.loop.call_later(PATIENCE_SECONDS, self._cut_off)

    def let_go(self, client: ClientSocket) -> None:
        """Closes a connection that stayed in the drain, as `drain` closes the others."""
        self.staying.discard(client)
        client.close_if_idle()

    def _cut_off(self) -> None:
        self.cuts_off = True
        self._close_idle()

    def _close_idle(self) -> None:
        for client in list(self.sockets):
            client.close_if_idle()

    def abort(self) -> None:
        """Closes all connections at once, whatever they do."""
        for client in list(self.sockets):
            client.abort()
