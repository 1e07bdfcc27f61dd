"""Keeps the reservation ahead of the clock, and watches clock and event loop. Off the hot path: a look every 50 ms."""

import asyncio
import logging

from respid.lifecycle import State
from respid.stores import Store, StoreError
from respid.worker import Worker

LOOK_SECONDS = 0.05
RETRY_SECONDS = 0.5  # after a failed extension
STEP_MS = 50  # a wall clock that moves by this much more or less than the monotonic one was set
_log = logging.getLogger(__name__)


class Keeper:
    """The worker's reservation, from the first to the last."""

    def __init__(self, worker: Worker, store: Store) -> None:
        self._worker = worker
        self._store = store
        self._wall_offset_ms = self._measure_wall_offset_ms()
        self._ending = False
        self._storing = asyncio.Lock()

    async def begin(self) -> None:
        """Takes the first reservation: from then on IDs are issued. Raises StoreError."""
        worker = self._worker
        worker.lifecycle.enter(State.RESERVING)
        mark_ms = await self._store.load()
        now_ms = worker.clock.wall_ms()
        ceiling_ms = worker.reservation.first_ceiling_ms(mark_ms, now_ms)
        await self._store.extend(ceiling_ms)
        worker.reservation.begin(mark_ms, ceiling_ms)
        if worker.lifecycle.state is State.RESERVING:
            worker.lifecycle.enter(State.SERVING)
        if mark_ms is None:
            _log.warning(
                "no high-water mark found in store %s: nothing keeps IDs above earlier ones but the clock",
                self._store.name,
            )
        elif mark_ms > now_ms:
            _log.warning(
                "the high-water mark is %d ms ahead of the wall clock: IDs lead it until it catches up",
                mark_ms - now_ms,
            )

    async def keep(self) -> None:
        """Extends the reservation whenever that is due, until the end."""
        loop = asyncio.get_running_loop()
        retry_at = 0.0
        while not self._ending:
            before = loop.time()
            await asyncio.sleep(LOOK_SECONDS)
            self._worker.stats.event_loop_lag_seconds = max(0.0, loop.time() - before - LOOK_SECONDS)
            self._look_for_clock_step()
            if loop.time() >= retry_at and not await self._extend_if_due():
                retry_at = loop.time() + RETRY_SECONDS

    async def end(self) -> None:
        """Stops issuing, then stores the exact end, so that the successor has no lead."""
        self._ending = True
        mark_ms = self._worker.generator.seal()
        try:
            async with self._storing:  # not beside an extension that is being written
                await self._store.release(mark_ms)
        except StoreError as error:
            _log.warning("the high-water mark could not be lowered to the last ID: %s", error)

    async def _extend_if_due(self) -> bool:
        """False when it was due and failed."""
        reservation = self._worker.reservation
        ceiling_ms = reservation.due_ceiling_ms(self._worker.clock.wall_ms())
        if ceiling_ms is None:
            return True
        try:
            async with self._storing:
                if self._ending:
                    return True
                await self._store.extend(ceiling_ms)
        except StoreError as error:
            if reservation.last_error is None:
                _log.error("the reservation cannot be extended: %s", error)
            reservation.extension_failed(str(error))
            return False
        if reservation.last_error is not None:
            _log.info("the reservation is extended again")
        reservation.extended(ceiling_ms)
        return True

    def _look_for_clock_step(self) -> None:
        offset_ms = self._measure_wall_offset_ms()
        step_ms = offset_ms - self._wall_offset_ms
        self._wall_offset_ms = offset_ms
        if abs(step_ms) >= STEP_MS:
            direction = "forward" if step_ms > 0 else "back"
            self._worker.stats.clock_steps[direction] += 1
            _log.warning("the wall clock was set %s by %d ms", direction, abs(step_ms))

    def _measure_wall_offset_ms(self) -> int:
        clock = self._worker.clock
        return clock.wall_ms() - clock.monotonic_ns() // 1_000_000
