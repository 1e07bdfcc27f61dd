"""Workers that issue IDs while everything goes wrong, and what must hold all the same.

Hosts have clocks and a disk of their own. A place is where a worker can run: a host, a pod name and settings. Several
processes can run in one place at a time, as when a pod was deleted by force and its container still runs.
"""

import asyncio
import contextlib
import gc
import itertools
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest

from respid.highwater import keeper
from respid.highwater.keeper import Keeper
from respid.highwater.stores import Store, StoreError
from respid.highwater.stores.file import FileStore
from respid.highwater.stores.lease import LeaseStore
from respid.highwater.stores.none import NoStore
from respid.ids.generator import Obstacle, max_sequence_reset
from respid.ids.layout import Layout
from respid.server import STORE_STOP_SECONDS, make_worker
from respid.worker.config import Config
from respid.worker.lifecycle import State
from respid.worker.worker import Worker
from tests.simulation import system_calls
from tests.simulation.host import JUMP_MS, LOST_MS, START_MS, Host
from tests.simulation.promises import Issuer, Loss
from tests.simulation.rare_states import Rare, Reached
from tests.simulation.scheduler import SECOND, Process, Scheduler
from tests.simulation.simulated_api import ApiClient, SimulatedApi

SETTLING_SECONDS = 5  # that it may take until a confirmed step of the clock shows in IDs: requests are slow
LAG_MS = 2_200  # timestamps may lie so far back, and a reservation: a store was slow, or a request has waited
NOTICE_SECONDS = 0.25  # within which a keeper looks at its clocks, once its process runs
COUNTS = (1, 1, 3, 7, 16, 100)  # how many IDs clients draw at a time
MOST_BLOCKS = 3  # in one draw
STALLS_MS = 20  # that a process may be held up, in all, while it draws
LAYOUT = Layout.parse("41/2/4")
OBSTACLES = {
    Obstacle.CEILING: Rare.STOPPED_AT_THE_CEILING,
    Obstacle.LEAD: Rare.STOPPED_IN_A_LEAD,
    Obstacle.LAYOUT_END: Rare.STOPPED_AT_THE_LAYOUT_END,
}


@dataclass(frozen=True)
class Settings:
    """How a worker is started."""

    worker_id: int
    store: str  # file, lease or none
    space: str = "a"  # the state directory, or the ID space
    layout: Layout = LAYOUT
    accepts_layout_change: bool = False
    start_above: int | None = None
    lead_limit_seconds: float = 60
    reserve_ms: int = 2_000
    is_exclusive: bool = False  # no other worker ever uses the state directory


@dataclass
class Place:
    """Where a worker can run."""

    host: int
    pod: str
    settings: Settings


@dataclass(eq=False)
class Incarnation:
    """One process of respid, from its start to its end."""

    process: Process
    place: Place
    settings: Settings
    worker: Worker
    keeper: Keeper
    issuer: Issuer
    lead_limit_ms: float  # that the documents promise, and a margin for rounding
    is_stopping: bool = False
    ended_by: BaseException | None = None  # when it ended by itself
    disk_failed: bool = False  # in its life
    was_held_up: bool = False  # frozen or asleep
    stopped_cleanly: bool = False
    paced: tuple[int, int] = (0, 0)  # time in ns and timestamp of an ID, from which on the clock was not set


@contextlib.contextmanager
def simulated() -> Iterator[None]:
    """The system calls are simulated; keepers look less often, which takes half of the steps, and do not log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "LOOK_SECONDS", 0.2)
        system_calls.install(patch)
        logging.disable()
        was_collecting = gc.isenabled()
        gc.disable()
        yield
        if was_collecting:
            gc.enable()
        logging.disable(logging.NOTSET)


class World:
    """Everything that a history plays in."""

    def __init__(self, places: list[Place], random: Random, *, reached: Reached | None = None) -> None:
        self.places = places
        self.random = random
        self.build_ms = START_MS - 3_600_000  # when respid was built: a clock that shows an earlier time is wrong
        self.reached = Reached() if reached is None else reached
        self.draws_every_seconds: tuple[float, ...] = (0.001, 0.02, 0.3)
        self.starts_at_random = False  # whether milliseconds start at any sequence
        self.confirm_seconds = 2.0
        self.scheduler = Scheduler(random)
        numbers = range(1 + max(place.host for place in places))
        self.hosts = [Host(self.scheduler, number, self._first_offset_ms(), self.reached) for number in numbers]
        self.api = SimulatedApi(self.scheduler, self.reached)
        self.incarnations: list[Incarnation] = []
        self.losses: list[Loss] = []
        self.jumps_followed: set[str] = set()  # stores of which workers may have followed a clock that jumped
        self.damaged: set[str] = set()  # stores in which an operator has damaged a mark
        self.greatest_ahead_ms = 0.0  # of a start that was told to begin above an ID
        self.healed_ns = 0
        self.troubled_ns = 0  # when a store was last seen to fail
        self._process_numbers = itertools.count(1)
        self._crash: BaseException | None = None

    def _first_offset_ms(self) -> float:
        return self.random.choice((0, 0, -900, 900)) + self.random.random()

    def run_for(self, seconds: float) -> None:
        self.scheduler.run_for(seconds)
        if self._crash is not None:
            raise self._crash

    def set_clock(self, host: Host, offset_ms: float) -> None:
        """Sets a host's wall clock to be wrong by so much."""
        for one in self.alive():
            if one.process.host is host and self._has_jump_lasted(host):
                self.jumps_followed.add(one.issuer.store)
        was_wrong = self.is_wrong(host)
        for _ in range(2):
            for one in self.alive():
                if one.process.host is host and not one.issuer.has_issued:
                    one.issuer.least_wall_ms = min(one.issuer.least_wall_ms, host.clock.wall_ms())
            host.clock.set_offset(offset_ms)
        if was_wrong and offset_ms == JUMP_MS:  # there was no better time
            self.jumps_followed |= {one.issuer.store for one in self.alive() if one.process.host is host}

    def is_wrong(self, host: Host) -> bool:
        """Whether the host's wall clock shows a time that cannot be right in one of the layouts."""
        end_ms = min(place.settings.layout.end_ms for place in self.places)
        return not self.build_ms <= host.clock.wall_ms() < end_ms

    def _has_jump_lasted(self, host: Host) -> bool:
        is_long = host.clock.seconds_since_step() > self.confirm_seconds - 0.1
        return host.clock.has_jumped and is_long

    def host_of(self, place: Place) -> Host:
        return self.hosts[place.host]

    def alive(self, place: Place | None = None) -> list[Incarnation]:
        return [one for one in self.incarnations if not one.process.is_dead and place in (None, one.place)]

    @property
    def greatest(self) -> int:
        """The greatest ID that was issued; -1 before any."""
        return max((one.issuer.greatest for one in self.incarnations), default=-1)

    @property
    def reserve_ms(self) -> int:
        """The longest reservation in the places."""
        return max(one.settings.reserve_ms for one in self.incarnations if one.place in self.places)

    def store_name(self, place: Place, process: Process | None = None) -> str:
        """Equal for workers that share stored marks."""
        settings = place.settings
        if settings.store == "none":
            return f"none of process {process.number if process else 0}"
        return f"file {place.host}/{settings.space}" if settings.store == "file" else f"lease {settings.space}"

    def start(self, place: Place) -> Incarnation:
        """Starts a worker with the settings of the place, beside whatever runs there."""
        settings, host = place.settings, self.host_of(place)
        process = Process(self.scheduler, host, next(self._process_numbers))  # type: ignore[abstract]
        config = Config(
            worker_id=settings.worker_id,
            worker_id_source="test",
            layout=settings.layout,
            sequence_reset=max_sequence_reset(settings.layout) if self.starts_at_random else None,
            max_clock_lead_seconds=settings.lead_limit_seconds,
            clock_jump_confirm_seconds=self.confirm_seconds,
            accept_layout_change=settings.accepts_layout_change,
            start_above=settings.start_above,
        )
        store = self._make_store(place, process)
        worker = make_worker(config, store, host.clock, earliest_ms=self.build_ms)
        worker.generator._random_bits = Random(process.number).getrandbits
        issuer = Issuer(
            settings.worker_id,
            settings.layout,
            self.store_name(place, process),
            self.scheduler.now_ns,
            -1 if settings.start_above is None else settings.start_above,
            host.clock.wall_ms(),
            earliest_ms=self.build_ms,
            is_exclusive=settings.is_exclusive and settings.store == "file",
            pod=place.pod if settings.store == "lease" else "",
        )
        one = Incarnation(
            process, place, settings, worker, Keeper(worker, store), issuer, settings.lead_limit_seconds * 1000 + 2
        )
        one.disk_failed = host.disk.fails
        if host.clock.has_jumped:
            self.jumps_followed.add(issuer.store)
        self._note_ahead(settings, host)
        self.incarnations.append(one)
        process.on_death.append(lambda: self._note_end(one))
        self.scheduler.after(0, process, self._begin, one)
        return one

    def _note_ahead(self, settings: Settings, host: Host) -> None:
        if settings.start_above is None:
            return
        first_ms = settings.layout.first_above(settings.start_above)
        if first_ms - host.clock.wall_ms() <= settings.lead_limit_seconds * 1000:  # else it is refused
            self.greatest_ahead_ms = max(self.greatest_ahead_ms, first_ms - host.clock.true_ms())

    def _make_store(self, place: Place, process: Process) -> Store:
        settings, host = place.settings, self.host_of(place)
        if settings.store == "none":
            return NoStore()
        if settings.store == "file":
            return FileStore(
                system_calls.state_directory(settings.space),
                settings.worker_id,
                settings.layout,
                start_above=settings.start_above,
                reserve_ms=settings.reserve_ms,
                is_exclusive=settings.is_exclusive,
            )
        return LeaseStore(
            ApiClient(self.api, process),
            space=settings.space,
            worker_id=settings.worker_id,
            pod=place.pod,
            layout=settings.layout,
            reserve_ms=settings.reserve_ms,
            monotonic_ns=host.clock.monotonic_ns,
        )

    def _note_end(self, one: Incarnation) -> None:
        one.issuer.ended_ns = self.scheduler.now_ns

    def _begin(self, one: Incarnation) -> None:
        one.process.create_task(self._serve(one))
        self._draw(one)

    async def _serve(self, one: Incarnation) -> None:
        """As a server does."""
        try:
            await one.keeper.begin()
            await one.keeper.keep()
        except StoreError as error:
            one.ended_by = error
        except AssertionError as error:
            self._crash = error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a defect
            self._crash = AssertionError(f"{type(error).__name__}: {error}")
            self._crash.__cause__ = error
        await self._end(one)

    async def _end(self, one: Incarnation) -> None:
        if one.is_stopping:
            return
        one.is_stopping = True
        if one.worker.lifecycle.state is not State.STOPPED:
            one.worker.lifecycle.enter(State.DRAINING)
        await asyncio.sleep(self.random.choice((0, 0.01, 0.5)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STORE_STOP_SECONDS):
                await one.keeper.end()
                one.stopped_cleanly = self._can_store(one)
                while one.process.threads:  # asyncio waits for them before the process ends
                    await asyncio.sleep(0.05)
        one.process.kill()

    def _can_store(self, one: Incarnation) -> bool:
        return one.ended_by is None and not one.disk_failed and self.is_calm(one.place)

    def note_trouble(self) -> None:
        """To be called after each event, and before what keeps workers from their stores ends."""
        if not all(self.is_calm(place) for place in self.places):
            self.troubled_ns = self.scheduler.now_ns

    def is_calm(self, place: Place) -> bool:
        """Whether nothing keeps a worker there from reaching its store."""
        host = self.host_of(place)
        is_disk_well = not host.disk.fails and not host.disk.is_slow
        is_near = not host.is_cut_off and not host.hears_late
        api = self.api
        is_api_well = not (api.fails or api.lists_fail or api.is_stale or api.write_seconds)
        return is_disk_well and is_near and is_api_well

    def stop(self, one: Incarnation) -> None:
        """As SIGTERM does."""
        self.scheduler.after(0, one.process, lambda: one.process.create_task(self._end(one)))

    def _draw(self, one: Incarnation) -> None:
        """Clients draw some IDs now, and again after a while."""
        chance, now_ns, issuer, generator = self.random.random, self.scheduler.now_ns, one.issuer, one.worker.generator
        clock = one.process.host.clock
        wall_ms = clock.wall_ms()
        if not issuer.has_issued:
            issuer.least_wall_ms = min(issuer.least_wall_ms, wall_ms)
        for _ in range(1 + int(chance() * 3)):
            count = COUNTS[int(chance() * len(COUNTS))]
            is_block = chance() >= 0.6 and count <= one.settings.layout.sequence_size
            generator.queued = chance() < 0.2
            since_ms = max(issuer.least_wall_ms, wall_ms - 50) if chance() < 0.7 else None
            if is_block:
                first, blocks = generator.take_blocks(count, MOST_BLOCKS, since_ms)
                taken = count * blocks
            else:
                first, taken = generator.take(count, since_ms)
            if taken:
                if not issuer.has_issued:
                    issuer.first_wall_ms = wall_ms
                issuer.receive(first, taken, now_ns, *self._span_ms(one, wall_ms))
        if not taken and (obstacle := generator.obstacle()) in OBSTACLES:
            self.reached.add(OBSTACLES[obstacle])
        pauses = self.draws_every_seconds
        self.scheduler.after(pauses[int(chance() * len(pauses))], one.process, self._draw, one)

    def _span_ms(self, one: Incarnation, wall_ms: float) -> tuple[float, float]:
        """The least and the greatest timestamp that an ID may have now.

        A clock that jumped far ahead is followed only when that has lasted, or when a worker has started meanwhile.
        """
        clock, issuer = one.process.host.clock, one.issuer
        quiet_seconds = min(clock.seconds_since_step(), (self.scheduler.now_ns - self.troubled_ns) / SECOND)
        has_settled = (
            quiet_seconds > self.confirm_seconds + SETTLING_SECONDS and self.is_calm(one.place) and not one.was_held_up
        )
        step_ms = clock.greatest_step_ms if clock.greatest_step_ms < JUMP_MS / 2 else 0  # may wait for an extension
        least_ms = wall_ms - LAG_MS - one.settings.reserve_ms - step_ms if has_settled else 0
        greatest_ms = self._paced_ms(one, wall_ms)
        is_noticed = self.scheduler.now_ns > self._noticed_ns(one)
        if is_noticed and clock.greatest_step_ms <= one.settings.lead_limit_seconds * 1000 and not clock.was_far_ahead:
            return least_ms, min(greatest_ms, wall_ms + one.lead_limit_ms)
        if self._has_jump_lasted(one.process.host):
            self.jumps_followed.add(issuer.store)
        if issuer.store in self.jumps_followed:
            return least_ms, greatest_ms
        offsets_ms = (each for _, each in clock.offsets if each != JUMP_MS and abs(each) < LOST_MS)
        return least_ms, min(greatest_ms, clock.true_ms() + max(offsets_ms) + one.lead_limit_ms)

    @staticmethod
    def _noticed_ns(one: Incarnation) -> float:
        """When its keeper has looked at the clock since that was last set."""
        return max(one.process.host.clock.offsets[-1][0], one.process.resumed_ns) + NOTICE_SECONDS * SECOND

    def _paced_ms(self, one: Incarnation, wall_ms: float) -> float:
        """The greatest timestamp of a worker whose lead does not grow while nobody sets the clock."""
        clock, issuer, noticed_ns = one.process.host.clock, one.issuer, self._noticed_ns(one)
        if one.paced[0] <= noticed_ns:
            if issuer.last_ns <= noticed_ns:
                return math.inf
            one.paced = issuer.last_ns, issuer.greatest_ms
        since_ns, timestamp_ms = one.paced
        reached_ms = timestamp_ms + (self.scheduler.now_ns - since_ns) * 1000 / SECOND
        blur_ms = 2 + clock.tick_ns * 1000 / SECOND + (STALLS_MS if clock.stalls else 0)
        return max(wall_ms, reached_ms) + blur_ms

    def end(self) -> None:
        for one in self.incarnations:
            one.process.end()
