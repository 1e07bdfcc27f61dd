"""The connected clients: the registry, the ticks of the waiting queue, and the drain. Never reads a socket."""

import asyncio
import itertools
from typing import Protocol

from respid.net.waiting_queue import Waiter, WaitingQueue
from respid.resp.reader import RequestLimits
from respid.worker.worker import Worker

STOPPED_POLL_SECONDS = 0.01  # how often the queue is served while no ID can be issued
STREAM_POLL_SECONDS = 0.005  # how often while only ID.NEXT COUNT and ID.RANGE wait


class ClientSocket(Waiter, Protocol):
    """One client's socket, as the registry and the idle sweep use it."""

    @property
    def unsent_bytes(self) -> int: ...

    @property
    def is_answering(self) -> bool: ...

    @property
    def is_between_requests(self) -> bool: ...

    def close_if_idle(self) -> None: ...

    def give_up(self, reason: str) -> None: ...

    def abort(self) -> None: ...


class QueueTicker:
    """Serves the waiting queue from the event loop, no more often than necessary."""

    def __init__(self, queue: WaitingQueue, worker: Worker, loop: asyncio.AbstractEventLoop) -> None:
        self._queue = queue
        self._worker = worker
        self._loop = loop
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None  # of a tick that is due later

    def schedule(self) -> None:
        """Arranges for the next tick, unless there already is one that is as early."""
        delay_seconds = self._delay_seconds()
        if self._timer is not None and not delay_seconds:
            self._timer.cancel()
        elif self._scheduled:
            return
        self._scheduled = True
        # The event loop polls its sockets between two ticks, however short the delay.
        self._timer = self._loop.call_later(delay_seconds, self._tick) if delay_seconds else None
        if not delay_seconds:
            self._loop.call_soon(self._tick)

    def _delay_seconds(self) -> float:
        generator = self._worker.generator
        if generator.obstacle() is not None:
            return STOPPED_POLL_SECONDS
        if self._queue.is_stream_only() and not generator.has_ids_now():
            # Bulk requests lose nothing by a late timer, because they get the IDs of the time that passed. ID.RANGE
            # takes a twentieth of a core instead of a whole one.
            return STREAM_POLL_SECONDS
        return 0

    def _tick(self) -> None:
        self._scheduled = False
        self._timer = None
        self._queue.serve()
        if self._queue:
            self.schedule()


class Clients:
    """The connected clients, and what they share: the worker, the waiting queue, and the event loop."""

    def __init__(self, worker: Worker, loop: asyncio.AbstractEventLoop) -> None:
        self.worker = worker
        self.loop = loop
        self.sockets: set[ClientSocket] = set()
        self.draining = False
        config = worker.config
        self.limits = RequestLimits(config.max_request_bytes, config.max_arguments, config.max_inline_bytes)
        self._identifiers = itertools.count(1)
        self._queue = WaitingQueue(worker)
        self._ticker = QueueTicker(self._queue, worker, loop)

    def next_identifier(self) -> int:
        return next(self._identifiers)

    def add(self, client: ClientSocket) -> None:
        self.sockets.add(client)
        self.worker.clients[client.session.identifier] = client.session
        self.worker.stats.connections += 1

    def remove(self, client: ClientSocket) -> None:
        """Does nothing for a client that was never added."""
        if client in self.sockets:
            self.sockets.remove(client)
            del self.worker.clients[client.session.identifier]
            client.session.describe_socket = None  # it refers to the socket, which would be kept until a collection

    def wait_for_id(self, client: ClientSocket) -> None:
        """Adds a client to the waiting queue, and schedules a tick."""
        self._queue.join(client)
        self._ticker.schedule()

    def drain(self) -> None:
        """Closes each connection between two requests: at once if it is idle, else after its last reply."""
        self.draining = True
        for client in list(self.sockets):
            client.close_if_idle()

    def abort(self) -> None:
        """Closes all connections at once, whatever they do."""
        for client in list(self.sockets):
            client.abort()
