"""Workers that draw IDs while everything goes wrong, and what must hold all the same.

A history is a list of events, each after a pause. Hosts have a wall clock and a disk of their own; a place is where a
worker can run: a host, a worker ID, and a pod name. Several incarnations can run in one place at a time, as when a pod
was deleted by force and its container still runs.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st

from respid.highwater import keeper
from respid.highwater.keeper import Keeper
from respid.highwater.stores import HolderLostError, StoreError
from respid.highwater.stores.file import FileStore
from respid.highwater.stores.lease import LeaseStore
from respid.ids.layout import Layout
from respid.server import make_worker
from respid.worker.config import Config
from respid.worker.worker import Worker
from tests.simulation.simulated_api import SimulatedApi
from tests.simulation.simulated_disk import SimulatedDisk
from tests.simulation.simulated_loop import Process, SimulatedLoop
from tests.support.scripted_clock import ScriptedClock

LAYOUT = Layout.parse("41/2/4")
LEASE_RESERVE_MS = 2_000
LEAD_LIMIT_SECONDS = 60


class Event(Enum):
    """What happens at a place."""

    START = "start"  # beside whatever runs there
    RESTART = "restart"  # after a kill
    STOP = "stop"
    KILL = "kill"
    KILL_WRITING = "kill writing"  # in the middle of what a thread does on the disk
    FREEZE = "freeze"
    THAW = "thaw"
    LOSE_POWER = "lose power"
    STORE_FAILS = "store fails"
    STORE_WORKS = "store works"
    DELETE_LOCK = "delete lock"


@dataclass(frozen=True)
class Step:
    """An event at one of the places, after a pause, and after its clock was set by so much."""

    pause_ms: int
    event: Event
    place: int
    clock_ms: int = 0


PAUSES_MS = [0, 1, 7, 100, 700, 3000]
CLOCK_MS = [0, 0, 0, 0, -60, -4000, -50_000, 4000, 10**9]  # by how much the clock is set before the event


def histories(events: tuple[Event, ...], places: int) -> st.SearchStrategy[list[Step]]:
    steps = st.builds(
        Step, st.sampled_from(PAUSES_MS), st.sampled_from(events), st.integers(0, places - 1), st.sampled_from(CLOCK_MS)
    )
    return st.lists(steps, max_size=14)


def random_history(random: Random, events: tuple[Event, ...], places: int) -> list[Step]:
    return [
        Step(random.choice(PAUSES_MS), random.choice(events), random.randrange(places), random.choice(CLOCK_MS))
        for _ in range(random.randrange(3, 14))
    ]


@dataclass
class Place:
    """Where a worker can run."""

    host: int
    worker_id: int
    pod: str


@dataclass(eq=False)
class WallClock:
    """A host's clocks: a wall clock that can be set, over the true time."""

    true: ScriptedClock
    offset_ms: int = 0

    def wall_ms(self) -> int:
        return self.true.wall + self.offset_ms

    def wall_ns(self) -> int:
        return self.wall_ms() * 1_000_000

    def monotonic_ns(self) -> int:
        return self.true.monotonic

    boot_ns = monotonic_ns


FILE_PLACES = [Place(host=0, worker_id=1, pod="a-1"), Place(host=0, worker_id=2, pod="a-2")]
FILE_EVENTS = (*Event, Event.RESTART, Event.LOSE_POWER)
# The same worker ID twice: two releases without an offset between them.
LEASE_PLACES = [Place(host=0, worker_id=1, pod="a-1"), Place(host=1, worker_id=1, pod="b-1")]
LEASE_EVENTS = tuple(event for event in FILE_EVENTS if event not in (Event.DELETE_LOCK, Event.KILL_WRITING))


@contextlib.contextmanager
def quick_and_quiet() -> Iterator[None]:
    """Keepers look less often, which takes a quarter of the steps, and do not log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "LOOK_SECONDS", 0.2)
        logging.disable()
        yield
        logging.disable(logging.NOTSET)


class UnfoundedLossError(AssertionError):
    """A process gave up its worker ID, although no other has taken it."""


class RepeatError(AssertionError):
    """IDs of one worker ID that repeat, fall, or lie between those of another incarnation."""


@dataclass(eq=False)
class Incarnation:
    """One process that draws IDs, and the least and greatest that it got."""

    process: Process
    place: int
    worker: Worker
    keeper: Keeper
    nonce: str  # that it writes into its store
    least: int = -1
    greatest: int = -1
    lost: HolderLostError | None = None
    violation: AssertionError | None = None

    def note(self, first: int, count: int) -> None:
        if first <= self.greatest:
            self.violation = RepeatError(f"{first} after {self.greatest}")
        if self.least < 0:
            self.least = first
        self.greatest = first + count - 1


@dataclass(eq=False)
class World:
    """Everything that a history plays in."""

    places: list[Place]
    kind: str
    random: Random
    reserve_ms: int = LEASE_RESERVE_MS
    draws_every_seconds: tuple[float, ...] = (0.001, 0.02, 0.3)
    true: ScriptedClock = field(default_factory=ScriptedClock)
    incarnations: list[Incarnation] = field(default_factory=list)

    def __post_init__(self) -> None:
        hosts = {place.host for place in self.places}
        self.clocks = {host: WallClock(self.true, self.random.choice([0, 0, -900, 900])) for host in hosts}
        self.disks = {host: SimulatedDisk(self.random) for host in hosts}
        self.api = SimulatedApi(self.random)

    def play(self, history: list[Step]) -> None:
        """Raises AssertionError when something happened that must not."""
        loop = SimulatedLoop(self.true, self.random)
        with quick_and_quiet():
            loop.run_until_complete(self._play(history))
            for one in self.incarnations:
                one.process.end()
        loop.close()
        self.check()

    async def _play(self, history: list[Step]) -> None:
        for place in range(len(self.places)):
            self._start(place)
        for step in history:
            await asyncio.sleep(step.pause_ms / 1000)
            self._happen(step)
        await asyncio.sleep(4)

    def check(self) -> None:
        """The IDs of each holder of a worker ID lie above those of all holders before it."""
        for worker_id in {place.worker_id for place in self.places}:
            holders = [
                one
                for nonce in [*self.api.nonces, *self.disks[0].nonces]
                for one in self.incarnations
                if one.nonce == nonce and self.places[one.place].worker_id == worker_id and one.greatest >= 0
            ]
            for former, successor in pairwise(holders):
                if former.greatest >= successor.least:
                    raise RepeatError(f"worker ID {worker_id}: {former.greatest}, then {successor.least}")
        if self.api.violation is not None:
            raise self.api.violation
        for one in self.incarnations:
            if one.violation is not None:
                raise one.violation
            if one.lost is not None and not any(self._has_taken(other, one) for other in self.incarnations):
                raise UnfoundedLossError(str(one.lost))

    def _has_taken(self, taker: Incarnation, former: Incarnation) -> bool:
        """Whether it became the holder of the same worker ID, or may have: a lock is taken before a mark is written."""
        same_id = self.places[taker.place].worker_id == self.places[former.place].worker_id
        return taker is not former and same_id and (self.kind == "file" or taker.nonce in self.api.nonces)

    def _happen(self, step: Step) -> None:  # noqa: C901, PLR0912 - a case an event
        place = self.places[step.place]
        here = [one for one in self.incarnations if one.place == step.place and not one.process.killed]
        self.clocks[place.host].offset_ms += step.clock_ms
        match step.event:
            case Event.START:
                self._start(step.place)
            case Event.RESTART:
                for one in here:
                    one.process.killed = True
                self._start(step.place)
            case Event.STOP:
                for one in here:
                    self._run(one.process, one.keeper.end())
            case Event.KILL:
                for one in here:
                    one.process.killed = True
            case Event.KILL_WRITING:
                for one in here:
                    one.process.dies_at_disk_access = self.random.randrange(1, 9)
            case Event.FREEZE:
                for one in here:
                    one.process.frozen = True
            case Event.THAW:
                for one in here:
                    one.process.thaw()
            case Event.LOSE_POWER:
                for one in self.incarnations:
                    one.process.killed |= self.places[one.place].host == place.host
                self.disks[place.host].lose_power()
                self._start(step.place)
            case Event.STORE_FAILS | Event.STORE_WORKS:
                self.api.fails = self.disks[place.host].fails = step.event is Event.STORE_FAILS
            case Event.DELETE_LOCK:
                self.disks[place.host].names.pop(Path(f"worker-{place.worker_id}.lock"), None)

    def _start(self, index: int) -> None:
        place, process = self.places[index], Process()
        clock = self.clocks[place.host]
        store = self._make_store(place, clock)
        config = Config(
            worker_id=place.worker_id,
            worker_id_source="test",
            store="none",
            layout=LAYOUT,
            max_clock_lead_seconds=LEAD_LIMIT_SECONDS,
            clock_jump_confirm_seconds=2,
        )
        worker = make_worker(config, store, clock)
        incarnation = Incarnation(process, index, worker, Keeper(worker, store), store._nonce)
        self.incarnations.append(incarnation)
        self._run(process, self._keep(incarnation))
        process.context.run(self._draw, incarnation)

    def _make_store(self, place: Place, clock: WallClock) -> FileStore | LeaseStore:
        if self.kind == "file":
            return FileStore(Path(), place.worker_id, LAYOUT, self.disks[place.host])
        return LeaseStore(
            self.api,
            space="test",
            worker_id=place.worker_id,
            pod=place.pod,
            layout=LAYOUT,
            reserve_ms=self.reserve_ms,
            monotonic_ns=clock.monotonic_ns,
        )

    def _run(self, process: Process, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.get_running_loop().create_task(coroutine, context=process.context)

    async def _keep(self, one: Incarnation) -> None:
        """As a server does: it ends when the store says so."""
        try:
            await one.keeper.begin()
            await one.keeper.keep()
        except HolderLostError as error:
            one.lost = error
            one.process.killed = True
        except StoreError as error:
            if "damaged" in str(error):
                one.violation = AssertionError(str(error))
            one.process.killed = True

    def _draw(self, one: Incarnation) -> None:
        """Draws some IDs now, and again after a while: by a timer, which takes half of what a task's sleep does."""
        generator = one.worker.generator
        for count in self.random.choices([1, 3, 16, 100], k=3):
            take = generator.take if self.random.random() < 0.5 or count > 16 else generator.take_block
            first, taken = take(count, one.worker.clock.wall_ms() - 50)
            if taken:
                one.note(first, taken)
        pause_seconds = self.random.choice(self.draws_every_seconds)
        asyncio.get_running_loop().call_later(pause_seconds, self._draw, one)
