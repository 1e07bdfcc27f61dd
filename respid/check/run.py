"""The check itself: its connections draw, verify what they get, and come back when they were closed."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import NamedTuple

from respid.check.client_connection import (
    TROUBLE,
    Address,
    ClientConnection,
    ClockSample,
    Greeting,
    RefusedError,
    connected,
    greet,
    reason_of,
)
from respid.check.draws import Batch, RawBlock, WrongReplyError, join, make_batches
from respid.check.ledger import NO_ID, Issuer, Ledger
from respid.check.wire import ErrorReply, InvalidReplyError, Reply
from respid.ids.clock import BootTimeClock, SystemClock
from respid.ids.layout import Layout

RETRY_SECONDS = 0.2  # between a connection that ended and the next one
LOADING_SECONDS = 0.1  # before IDs are asked for again
PROGRESS_SECONDS = 0.1

UNKNOWN = ClockSample(0, float("inf"))
Progress = Callable[[float], None]


class Plan(NamedTuple):
    """What is to be checked."""

    addresses: tuple[Address, ...]
    seconds: float
    connections: int  # for each address
    password: str
    tls: SSLContext | None = None


@dataclass(slots=True)
class CheckedWorker:
    """A worker ID that was met at an address, and what was seen of it."""

    address: str
    worker_id: int
    layout: Layout
    run_ids: set[str] = field(default_factory=set)
    clock: ClockSample = UNKNOWN  # the most exact one
    lead_seconds: float = 0
    ids: int = 0


@dataclass(slots=True)
class CheckedAddress:
    """An address, and how its connections fared."""

    address: Address
    open: int = 0  # connections that could draw when the check ended
    ended: int = 0  # connections that were closed on the way
    loading: int = 0  # replies that said to try again
    trouble: str = ""  # the last
    last_loading: str = ""  # the error that said so
    refused: bool = False  # there is no sense in asking again


class Check:
    """A check, and after `run` what it has found."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ledger = Ledger()
        self.addresses = [CheckedAddress(address) for address in plan.addresses]
        self.workers: dict[tuple[str, int, Layout], CheckedWorker] = {}
        self.seconds = 0.0  # for which IDs were drawn
        system = SystemClock()
        # Should this machine's wall clock be set meanwhile, the workers' clocks would seem to differ.
        self._clock = BootTimeClock(system, system.wall_ns() - system.boot_ns())
        self._over = False

    def stop(self) -> None:
        """Ends it before its time: what is on its way is received and verified."""
        self._over = True

    async def run(self, on_progress: Progress) -> None:
        """Draws for as long as planned; `on_progress` is told the seconds that have passed."""
        if not any(await asyncio.gather(*map(self._reach, self.addresses))):
            return
        async with asyncio.TaskGroup() as group:
            for checked in self.addresses:
                for number in range(0 if checked.refused else self.plan.connections):
                    group.create_task(self._keep_drawing(checked, number))
            await self._wait(on_progress)

    async def _wait(self, on_progress: Progress) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not self._over and self.seconds < self.plan.seconds:
            on_progress(self.seconds)
            await asyncio.sleep(min(PROGRESS_SECONDS, self.plan.seconds - self.seconds))
            self.seconds = min(loop.time() - began, self.plan.seconds)
        on_progress(self.seconds)
        self._over = True

    async def _reach(self, checked: CheckedAddress) -> bool:
        """Whether a worker answers there: asked before all begin to draw, while round trips are short."""
        try:
            async with connected(checked.address, self.plan.tls) as connection:
                self._note_greeting(await greet(connection, checked.address, self.plan.password, self._clock))
        except TROUBLE as error:
            checked.trouble = reason_of(error)
            checked.refused = isinstance(error, InvalidReplyError) or (
                isinstance(error, RefusedError) and error.is_final
            )
            return False
        return True

    async def _keep_drawing(self, checked: CheckedAddress, number: int) -> None:
        while not self._over:
            issuer = None
            try:
                async with connected(checked.address, self.plan.tls) as connection:
                    greeting = await greet(connection, checked.address, self.plan.password, self._clock)
                    issuer = greeting.issuer
                    self._note_greeting(greeting)
                    await self._draw(connection, issuer, checked, number)
                    checked.open += 1
            except TROUBLE as error:
                checked.trouble = reason_of(error)
                if issuer is not None:
                    checked.ended += 1
                    if isinstance(error, InvalidReplyError):
                        self.ledger.violations.note("reply", [issuer], f"{issuer} sent an invalid reply: {error}")
                await asyncio.sleep(RETRY_SECONDS)

    async def _draw(self, connection: ClientConnection, issuer: Issuer, checked: CheckedAddress, number: int) -> None:
        """Sends one batch after the other until the time is over."""
        batches = make_batches(issuer.layout)
        previous = NO_ID
        for batch in itertools.islice(itertools.cycle(batches), number % len(batches), None):
            if self._over:
                return
            snapshot = self.ledger.snapshot(issuer)
            replies = await connection.exchange(batch.encoded, batch.reply_count)
            runs, loading = self._read(issuer, batch, replies)
            blocks = join(runs, issuer.layout)
            for block in blocks:
                self.ledger.record(issuer, block, snapshot, previous)
                previous = block.last
            self.workers[issuer.key].ids += sum(block.size for block in blocks)
            if loading is not None:
                checked.loading += 1
                checked.trouble = checked.last_loading = loading.message
                await asyncio.sleep(LOADING_SECONDS)

    def _read(self, issuer: Issuer, batch: Batch, replies: list[Reply]) -> tuple[list[RawBlock], ErrorReply | None]:
        """The IDs in the replies, and the last of those that say to try again."""
        runs: list[RawBlock] = []
        loading = None
        for request, reply in batch.answered(replies):
            if isinstance(reply, ErrorReply) and reply.is_loading:
                loading = reply
                continue
            try:
                runs += request.read(reply)
            except WrongReplyError as error:
                words = f"{issuer} answered {request.name} with {error}"
                self.ledger.violations.note("reply", [issuer, request.name], words)
        return runs, loading

    def _note_greeting(self, greeting: Greeting) -> None:
        issuer = greeting.issuer
        worker = self.workers.setdefault(issuer.key, CheckedWorker(*issuer.key))
        worker.run_ids.add(issuer.run_id)
        worker.lead_seconds = max(worker.lead_seconds, greeting.lead_seconds)
        worker.clock = min(worker.clock, greeting.clock, key=lambda sample: sample.error_seconds)
