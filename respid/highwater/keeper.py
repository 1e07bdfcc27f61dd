"""Keeps the reservation ahead of the clock, and watches clock and event loop. Off the hot path: a look every 100 ms."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from respid.highwater.clock_watch import ClockWatch
from respid.highwater.floor import find_floor
from respid.highwater.stores import HolderLostError, Store, StoreError, StoreUnavailableError, Survey
from respid.ids.generator import Obstacle
from respid.worker.lifecycle import State
from respid.worker.worker import Worker

LOOK_SECONDS = 0.1
RETRY_SECONDS = 0.5  # after a failed extension
SILENCE_SECONDS = 6.0  # after which a store that does not answer is told of; longer than a lease store's request lasts
GONE_MS = 1 << 62  # the age of a mark that is no longer where it was stored: it is stored again at once
_log = logging.getLogger(__name__)


class Keeper:
    """The worker's reservation, from the first to the last."""

    def __init__(self, worker: Worker, store: Store) -> None:
        config = worker.config
        self._worker = worker
        self._store = store
        self._clock_watch = ClockWatch(
            worker.clock,
            limit_ms=worker.generator.lead_limit_ms,
            reached_ms=lambda: worker.generator.timestamp_ms,
            confirm_ms=round(config.clock_jump_confirm_seconds * 1000),
            steps=worker.stats.clock_steps,
        )
        self._is_holder = False
        self._ending = False
        self._storing = asyncio.Lock()
        self._stored_ns = 0  # boot time when the last mark that is stored was sent to the store

    async def begin(self) -> None:
        """Takes the first reservation, as soon as the store gives it: from then on IDs are issued.

        Raises StoreError when that needs somebody's help.
        """
        worker = self._worker
        worker.lifecycle.enter(State.RESERVING)
        while not self._ending:
            worker.use_clock(self._clock_watch.look())  # it may be hours until another holder has gone
            try:
                await self._take_first_reservation()
            except StoreUnavailableError as error:
                self._note_failure(error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                break
        if worker.lifecycle.state is State.RESERVING:
            worker.lifecycle.enter(State.SERVING)

    async def keep(self) -> None:
        """Extends the reservation whenever that is due and watches the clock, until the end. Raises HolderLostError."""
        loop, worker = asyncio.get_running_loop(), self._worker
        extending = loop.create_task(self._keep_extending())  # beside the looks: a slow store must not delay them
        try:
            while not extending.done():
                before = loop.time()
                await asyncio.sleep(LOOK_SECONDS)
                worker.stats.event_loop_lag_seconds = max(0.0, loop.time() - before - LOOK_SECONDS)
                worker.use_clock(self._clock_watch.look())
                worker.generator.obstacle()  # so that it is known since when nothing is issued, though nobody asks
            await extending
        finally:
            extending.cancel()

    async def end(self) -> None:
        """Stops issuing, then stores the exact end, so that the successor has no lead."""
        self._ending = True
        self._worker.generator.seal()
        async with self._storing:  # not beside an extension or the first reservation, which may set where IDs begin
            try:
                if self._is_holder:
                    await self._store.release(self._worker.generator.seal())
            except StoreError as error:
                _log.warning("the high-water mark could not be lowered to the last ID: %s", error)
            await self._store.close()

    async def _take_first_reservation(self) -> None:
        worker, reservation = self._worker, self._worker.reservation
        async with self._storing, self._impatience():
            asked_ns = worker.clock.boot_ns()
            survey = await self._store.load()
            worker.use_clock(self._clock_watch.look())  # which may have been set while the store was slow
            now_ms = self._clock_watch.wall_ms
            floor_ms = self._floor_ms(survey, now_ms)
            ceiling_ms = reservation.first_ceiling_ms(floor_ms, now_ms)
            await self._store.extend(ceiling_ms)
            self._is_holder = True
            self._stored_ns = asked_ns
            reservation.last_error = None
            reservation.begin(floor_ms, ceiling_ms)
        self._tell_of_mark(floor_ms, now_ms)

    def _floor_ms(self, survey: Survey, now_ms: int) -> int | None:
        """The first millisecond in which IDs may be issued; None if no mark says. Raises StoreError."""
        generator = self._worker.generator
        return find_floor(
            survey,
            generator.layout,
            now_ms=now_ms,
            lead_limit_ms=generator.lead_limit_ms,
            accepts_change=self._worker.config.accept_layout_change,
        )

    def _tell_of_mark(self, floor_ms: int | None, now_ms: int) -> None:
        if floor_ms is None:
            _log.warning(
                "no high-water mark found in store %s: nothing keeps IDs above earlier ones but the clock",
                self._store.name,
            )
            return
        lead_ms = floor_ms - now_ms
        if self._worker.generator.obstacle() is Obstacle.LEAD:
            _log.error(
                "the high-water mark is %d s ahead of the wall clock: no ID is issued until the clock comes within %d s"
                " of it; set the clock if it is wrong, else raise --max-clock-lead to have IDs ahead of it",
                lead_ms // 1000,
                self._worker.generator.lead_limit_ms // 1000,
            )
        elif lead_ms > 0:
            _log.warning(
                "the high-water mark is %d ms ahead of the wall clock: IDs lead it until it catches up", lead_ms
            )

    async def _keep_extending(self) -> None:
        while not self._ending:
            await asyncio.sleep(LOOK_SECONDS if await self._extend_if_due() else RETRY_SECONDS)

    async def _extend_if_due(self) -> bool:
        """False when it was due and failed. Raises HolderLostError."""
        reservation, now_ns = self._worker.reservation, self._worker.clock.boot_ns()
        age_ms = (now_ns - self._stored_ns) // 1_000_000 if self._store.stands() else GONE_MS
        ceiling_ms = reservation.due_ceiling_ms(self._clock_watch.wall_ms, age_ms)
        if ceiling_ms is None:
            return True
        reservation.extending(ceiling_ms)
        try:
            async with self._storing, self._impatience():
                if self._ending:
                    return True
                await self._store.extend(ceiling_ms)
        except HolderLostError as error:
            self._is_holder = False
            self._worker.generator.seal()
            reservation.extension_failed(str(error))  # it is the line that the server ends with
            raise
        except StoreError as error:
            self._note_failure(error)
            return False
        if reservation.last_error is not None:
            _log.info("the reservation is extended again")
        self._stored_ns = now_ns
        reservation.extended(ceiling_ms)
        return True

    @contextlib.asynccontextmanager
    async def _impatience(self) -> AsyncIterator[None]:
        """Tells of a store that has not answered for long, and goes on waiting for it."""
        silence = StoreUnavailableError(f"the store {self._store.name} does not answer")
        timer = asyncio.get_running_loop().call_later(SILENCE_SECONDS, self._note_failure, silence)
        try:
            yield
        finally:
            timer.cancel()

    def _note_failure(self, error: StoreError) -> None:
        reservation = self._worker.reservation
        if reservation.last_error != str(error):
            _log.error("the reservation cannot be extended: %s", error)
        reservation.extension_failed(str(error))
