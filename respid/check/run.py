"""Runs a check: connections draw IDs from all workers, verify them, and reconnect when they are closed."""

import asyncio
import contextlib
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import NamedTuple

from respid.check.client_connection import (
    CONNECTION_ERRORS,
    Address,
    ClientConnection,
    ClockSample,
    Greeting,
    RefusedError,
    connected,
    describe_error,
    greet,
)
from respid.check.draws import UNLIMITED, Batch, RawBlock, WrongReplyError, join, make_batches
from respid.check.ledger import NO_ID, Issuer, Ledger
from respid.check.pace import Pace
from respid.check.wire import ErrorReply, InvalidReplyError, Reply
from respid.ids.clock import BootTimeClock, SystemClock
from respid.ids.layout import Layout

RETRY_SECONDS = 0.2  # before a lost connection is reopened
LOADING_SECONDS = 0.1  # after a LOADING reply
PROGRESS_SECONDS = 0.1
BATCH_SECONDS = 0.1  # a batch has at most the IDs that the rate allows in this time

UNKNOWN = ClockSample(0, float("inf"))
Progress = Callable[[float], None]


class Plan(NamedTuple):
    """The workers to check, and how."""

    addresses: tuple[Address, ...]
    seconds: float
    connections: int  # for each address
    password: str
    tls: SSLContext | None = None
    ids_per_second: float = math.inf  # over all connections
    above: int | None = None  # all IDs must be greater

    @property
    def most_ids(self) -> int:
        """The most IDs in one batch."""
        return max(1, int(min(UNLIMITED, self.ids_per_second * BATCH_SECONDS)))


@dataclass(slots=True)
class CheckedWorker:
    """A worker ID that was found at an address, and observations about it."""

    address: str
    worker_id: int
    layout: Layout
    run_ids: set[str] = field(default_factory=set)
    clock: ClockSample = UNKNOWN  # the one with the least error
    lead_seconds: float = 0
    ids: int = 0


@dataclass(slots=True)
class CheckedAddress:
    """An address and the state of its connections."""

    address: Address
    open: int = 0  # connections that were drawing when the check ended
    lost: int = 0  # connections that failed after their greeting
    loading_replies: int = 0
    last_error: str = ""
    last_loading: str = ""
    refused: bool = False  # a retry would get the same answer


class Check:
    """A check; after `run`, its findings."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ledger = Ledger(plan.above)
        self.addresses = [CheckedAddress(address) for address in plan.addresses]
        self.workers: dict[tuple[str, int, Layout], CheckedWorker] = {}
        self.seconds = 0.0  # time spent drawing IDs
        system = SystemClock()
        # Setting this machine's wall clock during the check must not make the workers' clocks appear to differ.
        self._clock = BootTimeClock(system, system.wall_ns() - system.boot_ns())
        self._pace = Pace(plan.ids_per_second)
        self._over = asyncio.Event()

    def stop(self) -> None:
        """Ends the check early; replies to requests that were already sent are still received and verified."""
        self._over.set()

    async def run(self, on_progress: Progress) -> None:
        """Draws IDs for the planned time; calls `on_progress` with the seconds that have passed."""
        if not any(await asyncio.gather(*map(self._reach, self.addresses))):
            return
        async with asyncio.TaskGroup() as group:
            usable = [checked for checked in self.addresses if not checked.refused]
            for number, checked in itertools.product(range(self.plan.connections), usable):
                group.create_task(self._keep_drawing(checked, number))
            await self._wait(on_progress)

    async def _wait(self, on_progress: Progress) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not self._over.is_set() and self.seconds < self.plan.seconds:
            on_progress(self.seconds)
            await asyncio.sleep(min(PROGRESS_SECONDS, self.plan.seconds - self.seconds))
            self.seconds = min(loop.time() - began, self.plan.seconds)
        on_progress(self.seconds)
        self._over.set()

    async def _reach(self, checked: CheckedAddress) -> bool:
        """Returns whether a worker answers. Done before any drawing, while round trips are still short."""
        try:
            async with connected(checked.address, self.plan.tls) as connection:
                self._note_greeting(await greet(connection, checked.address, self.plan.password, self._clock))
        except CONNECTION_ERRORS as error:
            checked.last_error = describe_error(error)
            checked.refused = isinstance(error, InvalidReplyError) or (
                isinstance(error, RefusedError) and error.is_final
            )
            return False
        return True

    async def _keep_drawing(self, checked: CheckedAddress, number: int) -> None:
        while not self._over.is_set():
            issuer = None
            try:
                async with connected(checked.address, self.plan.tls) as connection:
                    greeting = await greet(connection, checked.address, self.plan.password, self._clock)
                    issuer = greeting.issuer
                    self._note_greeting(greeting)
                    await self._draw(connection, issuer, checked, number)
                    checked.open += 1
            except CONNECTION_ERRORS as error:
                checked.last_error = describe_error(error)
                if issuer is not None:
                    checked.lost += 1
                    if isinstance(error, InvalidReplyError):
                        self.ledger.violations.note("reply", [issuer], f"{issuer} sent an invalid reply: {error}")
                await asyncio.sleep(RETRY_SECONDS)

    async def _draw(self, connection: ClientConnection, issuer: Issuer, checked: CheckedAddress, number: int) -> None:
        """Sends one batch after another until the check is over."""
        batches = make_batches(issuer.layout, self.plan.most_ids)
        previous = NO_ID
        for batch in itertools.islice(itertools.cycle(batches), number % len(batches), None):
            await self._wait_for_turn(batch)
            if self._over.is_set():
                return
            snapshot = self.ledger.snapshot(issuer)
            replies = await connection.exchange(batch.encoded, batch.reply_count)
            raw_blocks, loading = self._read(issuer, batch, replies)
            blocks = join(raw_blocks, issuer.layout)
            for block in blocks:
                self.ledger.record(issuer, block, snapshot, previous)
                previous = block.last
            self.workers[issuer.key].ids += sum(block.size for block in blocks)
            if loading is not None:
                checked.loading_replies += 1
                checked.last_error = checked.last_loading = loading.message
                await asyncio.sleep(LOADING_SECONDS)

    async def _wait_for_turn(self, batch: Batch) -> None:
        """Returns when the rate allows the batch, or when the check is over."""
        wait_seconds = self._pace.reserve(batch.ids, asyncio.get_running_loop().time())
        if wait_seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), wait_seconds)

    def _read(self, issuer: Issuer, batch: Batch, replies: list[Reply]) -> tuple[list[RawBlock], ErrorReply | None]:
        """Returns the IDs in the replies, and the last LOADING reply, if any."""
        raw_blocks: list[RawBlock] = []
        loading = None
        for request, reply in batch.answered(replies):
            if isinstance(reply, ErrorReply) and reply.is_loading:
                loading = reply
                continue
            try:
                raw_blocks += request.read(reply)
            except WrongReplyError as error:
                text = f"{issuer} replied to {request.name} with {error}"
                self.ledger.violations.note("reply", [issuer, request.name], text)
        return raw_blocks, loading

    def _note_greeting(self, greeting: Greeting) -> None:
        issuer = greeting.issuer
        worker = self.workers.setdefault(issuer.key, CheckedWorker(*issuer.key))
        worker.run_ids.add(issuer.run_id)
        worker.lead_seconds = max(worker.lead_seconds, greeting.lead_seconds)
        worker.clock = min(worker.clock, greeting.clock, key=lambda sample: sample.error_seconds)
