"""Extends the reservation in time, and watches the clock and the event loop. It runs every 100 ms, off the hot path.

While no ID is issued, it runs every 125 ms, since waking up is most of what an idle server does. Even then, a mark that
was deleted or replaced is noticed within 200 ms.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from respid.highwater.clock_watch import ClockWatch
from respid.highwater.floor import find_floor
from respid.highwater.start_log import log_start
from respid.highwater.stores import (
    HolderLostError,
    Store,
    StoreError,
    StoreUnavailableError,
    Survey,
    UnconfirmedError,
)
from respid.ids.generator import Obstacle
from respid.ids.timestamp import format_timestamp
from respid.worker.lifecycle import State
from respid.worker.worker import Worker

LOOK_SECONDS = 0.1
IDLE_LOOK_SECONDS = 0.125  # if no ID was issued since the last look
RETRY_SECONDS = 0.5  # after a failed extension
# The pauses between retries to confirm one grow to a sixteenth of the remaining reservation, or to 2 s if that is more:
# the API server of many workers may be overloaded.
PAUSES = 16
LEAST_PAUSE_SECONDS = 2.0
SILENCE_SECONDS = 6.0  # after which a store that does not answer is reported; longer than a request to a lease store
GONE_MS = 1 << 62  # the age of a mark that is no longer where it was stored: it is stored again at once
_log = logging.getLogger(__name__)


class Keeper:
    """Takes, extends and releases the worker's reservation."""

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
            is_plausible=worker.generator.is_plausible,
            is_reserved=worker.reservation.covers,
        )
        self._is_used_up = False
        self._is_clock_wrong = False  # as of the last look
        self._is_holder = False
        self._ending = False
        self._due = asyncio.Event()  # an extension, or the end
        self._storing = asyncio.Lock()
        self._stored_ns = 0  # boot time when the stored mark was sent to the store

    async def begin(self) -> None:
        """Takes the first reservation as soon as the store and the clock allow it. From then on IDs are issued.

        Raises StoreError if that needs an operator.
        """
        worker = self._worker
        worker.lifecycle.enter(State.RESERVING)
        while not self._ending:
            self._look()  # another holder may keep it waiting for hours
            if self._is_clock_wrong:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            try:
                if await self._take_first_reservation():
                    break
            except StoreUnavailableError as error:
                self._note_failure(error)
                await asyncio.sleep(RETRY_SECONDS)
        if worker.lifecycle.state is State.RESERVING:
            worker.lifecycle.enter(State.SERVING)

    async def keep(self) -> None:
        """Extends the reservation when it is due, and watches the clock, until `end`. Raises HolderLostError."""
        loop, worker = asyncio.get_running_loop(), self._worker
        issued = worker.generator.ids_issued
        extending = loop.create_task(self._keep_extending())  # a task, so that a slow store delays no look at the clock
        try:
            while not extending.done():
                pause_seconds = IDLE_LOOK_SECONDS if worker.generator.ids_issued == issued else LOOK_SECONDS
                issued, ends_at = worker.generator.ids_issued, loop.time() + pause_seconds
                await asyncio.sleep(pause_seconds)
                worker.stats.event_loop_lag_seconds = max(0.0, loop.time() - ends_at)
                self._look()
                if self._ending or self._is_extension_due():
                    self._due.set()
            await extending
        finally:
            extending.cancel()

    async def end(self) -> None:
        """Stops issuing, then stores the exact end of the issued timestamps, so that the successor has no lead."""
        self._ending = True
        self._worker.generator.seal()
        async with self._storing:  # an extension or the first reservation, which sets where IDs begin, ends first
            try:
                if self._is_holder:
                    await self._store.release(self._worker.generator.seal())
            except StoreError as error:
                message = "the high-water mark was not lowered to the last ID; the next start continues from it: %s"
                _log.warning(message, error, extra={"event": "release_failed"})
            await self._store.close()

    def _look(self) -> None:
        """Looks at the wall clock, sets the clock that the worker goes by, and notes if nothing can be issued."""
        self._worker.use_clock(self._clock_watch.look())
        self._note_obstacle(self._worker.generator.obstacle())
        shown_ms, was_wrong = self._clock_watch.wall_ms, self._is_clock_wrong
        self._is_clock_wrong = not self._worker.generator.is_plausible(shown_ms)
        if self._is_clock_wrong and not was_wrong:
            _log.error(
                "the wall clock shows %s, which cannot be right: no ID is issued until it is set",
                format_timestamp(shown_ms),
                extra={"event": "clock_wrong"},
            )
        elif was_wrong and not self._is_clock_wrong:
            message = "the wall clock shows %s: it has been set right"
            _log.info(message, format_timestamp(shown_ms), extra={"event": "clock_right"})

    def _note_obstacle(self, obstacle: Obstacle | None) -> None:
        """Logs once per outage of the store that the reservation is used up."""
        is_outage = self._is_holder and self._worker.reservation.last_error is not None
        if obstacle is Obstacle.CEILING and is_outage and not self._is_used_up:
            self._is_used_up = True
            message = "the reservation is used up: no ID is issued until it can be extended"
            _log.error(message, extra={"event": "reservation_used_up"})

    async def _take_first_reservation(self) -> bool:
        """False if the wall clock has turned out to be wrong: no mark is stored from it."""
        worker, reservation = self._worker, self._worker.reservation
        async with self._storing:
            asked_ns = worker.clock.boot_ns()
            async with self._impatience():
                survey = await self._store.load()
            self._look()  # the clock may have been set while the store was slow
            if self._is_clock_wrong:
                return False
            now_ms = self._clock_watch.wall_ms
            floor_ms = self._floor_ms(survey, now_ms)
            above_ms = self._above_ms(floor_ms, now_ms)
            ceiling_ms = reservation.first_ceiling_ms(floor_ms, now_ms, above_ms)
            reservation.found_mark = survey.own is not None or floor_ms is not None
            async with self._impatience():
                await self._store.extend(ceiling_ms)
            self._stored_ns = asked_ns
            reservation.last_error = None
            reservation.begin(floor_ms, ceiling_ms)
            # Last: if memory runs out above, the generator does not know the floor, and `end` must not store its end.
            self._is_holder = True
        log_start(worker, self._store.name, survey, floor_ms, now_ms)
        if above_ms:
            _log.info(
                "every ID of this start is greater than %d", worker.config.start_above, extra={"event": "start_above"}
            )
        return True

    def _above_ms(self, floor_ms: int | None, now_ms: int) -> int:
        """The first Unix millisecond whose IDs are all above `start_above`; 0 without it. Raises StoreError."""
        identifier, generator = self._worker.config.start_above, self._worker.generator
        if identifier is None:
            return 0
        above_ms = generator.layout.first_above(identifier)
        if above_ms > (floor_ms or 0):  # else the mark was stored from it
            try:
                generator.layout.refuse_above(identifier, now_ms, generator.lead_limit_ms)
            except ValueError as error:
                raise StoreError(f"--start-above: {error}") from None
        return above_ms

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

    async def _keep_extending(self) -> None:
        while not self._ending:
            if await self._extend_if_due():
                # Not by a timer of its own, nor at each look: an idle process does little else.
                self._due.clear()
                await self._due.wait()
            else:
                await asyncio.sleep(RETRY_SECONDS)

    async def _extend_if_due(self) -> bool:
        """False if an extension was due and failed. Raises HolderLostError."""
        reservation, now_ns = self._worker.reservation, self._worker.clock.boot_ns()
        trusted_ns = self._clock_watch.trusted_ns
        ceiling_ms = self._due_ceiling_ms()
        if ceiling_ms is None:
            return True
        reservation.extending(ceiling_ms)
        try:
            if not await self._store_ceiling(ceiling_ms, now_ns):
                return True
        except HolderLostError as error:
            self._is_holder = False
            self._worker.generator.seal()
            reservation.extension_failed(str(error))  # not logged here: the server ends with it
            raise
        except StoreError as error:
            self._note_failure(error)
            return False
        if reservation.last_error is not None:
            self._is_used_up = False
            _log.info("the reservation is extended again", extra={"event": "reservation_restored"})
        self._stored_ns = now_ns
        reservation.extended(ceiling_ms)
        self._clock_watch.note_extension(trusted_ns)
        self._look()  # a step of the wall clock may have waited for this extension
        return True

    async def _store_ceiling(self, ceiling_ms: int, sent_ns: int) -> bool:
        """Stores a ceiling. If it is stored but not confirmed, retries only the latter, less and less often.

        Returns False if the end came first. Raises StoreError.
        """
        store: Callable[[], Awaitable[None]] = partial(self._store.extend, ceiling_ms)
        pause_seconds = RETRY_SECONDS
        while True:
            try:
                async with self._storing, self._impatience():
                    if self._ending:
                        return False
                    await store()
                    return True
            except UnconfirmedError as error:
                if not self._is_wanted(ceiling_ms, sent_ns):
                    raise
                self._note_failure(error)
                store = error.confirm
            await self._pause(pause_seconds)
            left_seconds = self._worker.reservation.remaining_ms(self._clock_watch.wall_ms) / 1000
            pause_seconds = min(2 * pause_seconds, max(LEAST_PAUSE_SECONDS, left_seconds / PAUSES))

    def _is_wanted(self, ceiling_ms: int, sent_ns: int) -> bool:
        """Whether a ceiling that was sent to the store at that boot time need not be replaced by another one yet."""
        age_ms, due_ms = (self._worker.clock.boot_ns() - sent_ns) // 1_000_000, self._due_ceiling_ms()
        return due_ms is not None and due_ms >= ceiling_ms and age_ms * 2 < self._worker.reservation.span_ms

    async def _pause(self, seconds: float) -> None:
        """Sleeps, but not for long after the end has begun."""
        while seconds > 0 and not self._ending:
            await asyncio.sleep(RETRY_SECONDS)
            seconds -= RETRY_SECONDS

    def _is_extension_due(self) -> bool:
        """False while the store writes, which makes a mark look replaced."""
        return not self._storing.locked() and self._due_ceiling_ms() is not None

    def _due_ceiling_ms(self) -> int | None:
        """The ceiling to store now; None if no extension is due."""
        now_ns, reservation = self._worker.clock.boot_ns(), self._worker.reservation
        age_ms = (now_ns - self._stored_ns) // 1_000_000 if self._store.stands() else GONE_MS
        if self._is_clock_wrong:
            return reservation.renewal_ms(age_ms)
        return reservation.due_ceiling_ms(self._clock_watch.trusted_ms, age_ms)

    @contextlib.asynccontextmanager
    async def _impatience(self) -> AsyncIterator[None]:
        """Reports a store that has not answered for long, and goes on waiting for it."""
        silence = StoreUnavailableError(f"the store {self._store.name} does not answer")
        timer = asyncio.get_running_loop().call_later(SILENCE_SECONDS, self._note_failure, silence)
        try:
            yield
        finally:
            timer.cancel()

    def _note_failure(self, error: StoreError) -> None:
        reservation = self._worker.reservation
        if reservation.last_error != str(error):
            left_seconds = reservation.remaining_ms(self._clock_watch.wall_ms) / 1000
            end = f"; IDs can be issued for another {left_seconds:.0f} s" if self._is_holder else ""
            _log.error("the reservation cannot be extended: %s%s", error, end, extra={"event": "reservation_failed"})
        reservation.extension_failed(str(error))
