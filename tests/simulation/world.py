"""Workers that draw IDs while everything goes wrong, and the invariants that must hold.

A history is a list of events with pauses between them. Each host has its own wall clock and disk; a place is a host, a
worker ID and a pod name where a worker can run. Several incarnations can run in one place at a time, for example when a
pod was deleted by force and its container still runs.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
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
from respid.ids.reservation import ReserveSpans
from respid.server import make_worker
from respid.worker.config import Config
from respid.worker.worker import Worker
from tests.simulation.simulated_api import SimulatedApi
from tests.simulation.simulated_disk import SimulatedDisk
from tests.simulation.simulated_loop import Process, SimulatedLoop
from tests.support.scripted_clock import ScriptedClock

LAYOUT = Layout.parse("41/2/4")
LEASE_RESERVE_MS = 2_000
FILE_SPANS = ReserveSpans(wall_ms=3_000, lead_ms=250)  # short, so that a history of some seconds uses them up
LEAD_LIMIT_SECONDS = 60


class Event(Enum):
    """An event at a place."""

    START = "start"  # beside anything that runs there
    RESTART = "restart"  # after a kill
    STOP = "stop"
    KILL = "kill"
    KILL_WRITING = "kill writing"  # in the middle of a thread's work on the disk
    FREEZE = "freeze"
    THAW = "thaw"
    LOSE_POWER = "lose power"
    STORE_FAILS = "store fails"
    STORE_WORKS = "store works"
    DELETE_LOCK = "delete lock"


@dataclass(frozen=True)
class Step:
    """An event at one of the places, after a pause and a change of its clock."""

    pause_ms: int
    event: Event
    place: int
    clock_ms: int = 0


PAUSES_MS = [0, 1, 7, 100, 700, 3000]
CLOCK_MS = [0, 0, 0, 0, -60, -4000, -50_000, 4000, 10**9]  # change of the clock before the event


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
    """A place where a worker can run."""

    host: int
    worker_id: int
    pod: str
    layout: Layout = LAYOUT


@dataclass(eq=False)
class WallClock:
    """A host's clocks: the true time, and a wall clock that can be set."""

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
# The same worker ID twice: two releases without different offsets.
LEASE_PLACES = [Place(host=0, worker_id=1, pod="a-1"), Place(host=1, worker_id=1, pod="b-1")]
# Two layouts side by side. An ID of one can be an ID of the other, though the worker IDs differ.
OTHER_LAYOUT = Layout.parse("41/1/5")
LAYOUT_PLACES = [
    Place(host=0, worker_id=1, pod="a-1"),
    Place(host=1, worker_id=0, pod="a-0", layout=OTHER_LAYOUT),
    Place(host=1, worker_id=3, pod="a-3"),
]
FILE_LAYOUT_PLACES = [replace(place, host=0) for place in LAYOUT_PLACES]
LEASE_EVENTS = tuple(event for event in FILE_EVENTS if event not in (Event.DELETE_LOCK, Event.KILL_WRITING))


@contextlib.contextmanager
def quick_and_quiet() -> Iterator[None]:
    """Keepers check less often, which takes a quarter of the steps, and do not log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "LOOK_SECONDS", 0.2)
        logging.disable()
        yield
        logging.disable(logging.NOTSET)


class UnfoundedLossError(AssertionError):
    """A process gave up its worker ID although no other process has taken it."""


class RepeatError(AssertionError):
    """IDs of one worker ID repeat, fall, or interleave with those of another incarnation."""


@dataclass(eq=False)
class Incarnation:
    """A process that draws IDs, and its least and greatest ID."""

    process: Process
    place: int
    worker: Worker
    keeper: Keeper
    nonce: str  # written into its store
    least: int = -1
    greatest: int = -1
    lost: HolderLostError | None = None
    violation: AssertionError | None = None
    issued: set[int] = field(default_factory=set)

    def note(self, first: int, count: int) -> None:
        self.issued.update(range(first, first + count))
        if first <= self.greatest:
            self.violation = RepeatError(f"{first} after {self.greatest}")
        if self.least < 0:
            self.least = first
        self.greatest = first + count - 1


@dataclass(eq=False)
class World:
    """The hosts, disks and API server of a history."""

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
        """Raises AssertionError if an invariant was broken."""
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
        """Checks that the IDs of each holder of a worker ID are above those of all earlier holders."""
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
        if sum(len(one.issued) for one in self.incarnations) > len(
            set().union(*(one.issued for one in self.incarnations))
        ):
            raise RepeatError("an ID was issued twice")
        if self.api.violation is not None:
            raise self.api.violation
        for one in self.incarnations:
            if one.violation is not None:
                raise one.violation
            if one.lost is not None and not any(self._has_taken(other, one) for other in self.incarnations):
                raise UnfoundedLossError(str(one.lost))

    def _has_taken(self, taker: Incarnation, former: Incarnation) -> bool:
        """Whether it became the holder of the same worker ID, or may have: a lock is taken before a mark is written."""
        places = self.places[taker.place], self.places[former.place]
        takes = places[0].worker_id == places[1].worker_id or places[0].layout != places[1].layout
        return taker is not former and takes and (self.kind == "file" or taker.nonce in self.api.nonces)

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
            layout=place.layout,
            accept_layout_change=True,
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
            store = FileStore(Path(), place.worker_id, place.layout, self.disks[place.host])
            store.spans = FILE_SPANS
            return store
        return LeaseStore(
            self.api,
            space="test",
            worker_id=place.worker_id,
            pod=place.pod,
            layout=place.layout,
            reserve_ms=self.reserve_ms,
            monotonic_ns=clock.monotonic_ns,
            boot_ns=clock.boot_ns,
        )

    def _run(self, process: Process, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.get_running_loop().create_task(coroutine, context=process.context)

    async def _keep(self, one: Incarnation) -> None:
        """Runs the keeper as a server does, until the store says to stop."""
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
        """Draws some IDs now, and again later, by a timer, which costs half as much as a task's sleep."""
        generator = one.worker.generator
        for count in self.random.choices([1, 3, 16, 100], k=3):
            take = generator.take if self.random.random() < 0.5 or count > 16 else generator.take_block
            first, taken = take(count, one.worker.clock.wall_ms() - 50)
            if taken:
                one.note(first, taken)
        pause_seconds = self.random.choice(self.draws_every_seconds)
        asyncio.get_running_loop().call_later(pause_seconds, self._draw, one)
