"""An event loop with simulated time for several processes, each of which can be frozen or killed between any two steps.

A process is a context variable: everything that runs for it is scheduled in its context and passes a gate. The gate is
closed while the process is frozen, and for ever once it is killed: not even a `finally` runs then.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any

from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_loop import ScriptedLoop


class KilledError(BaseException):
    """Ends the thread of a killed process."""


PROCESS: ContextVar["Process"] = ContextVar("PROCESS")


class Process:
    """Something that can be killed at any step."""

    def __init__(self) -> None:
        self.killed = False
        self.dies_at_disk_access = 0  # accesses to the disk until it is killed; 0 for never
        self.frozen = False
        self.tasks: list[asyncio.Task[None]] = []
        self._held_back: list[Callable[[], Any]] = []
        self.context = copy_context()
        self.context.run(PROCESS.set, self)

    def pass_gate(self, step: Callable[[], Any]) -> None:
        """Runs the step now, or when the process is thawed, or never."""
        if self.frozen:
            self._held_back.append(step)
        elif not self.killed:
            step()

    def access_disk(self) -> None:
        """Is called before each access to the disk. Raises KilledError."""
        self.killed |= self.dies_at_disk_access == 1
        self.dies_at_disk_access = max(0, self.dies_at_disk_access - 1)
        if self.killed:
            raise KilledError

    def end(self) -> None:
        """Cancels its tasks, so that nothing runs after the simulation."""
        for task in self.tasks:
            if not task.done() and (coroutine := task.get_coro()) is not None:
                coroutine.close()

    def thaw(self) -> None:
        self.frozen = False
        held_back, self._held_back = self._held_back, []
        for step in held_back:
            asyncio.get_running_loop().call_soon(step)


class SimulatedLoop(ScriptedLoop):
    """Work in threads is one step, unless it is killed, with a random time before and after it."""

    def __init__(self, clock: ScriptedClock, random: Random) -> None:
        super().__init__(clock)
        self._random = random
        self.set_exception_handler(lambda _loop, _context: None)  # of tasks that never end because they were killed

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon(*self._gated(callback, args, context), context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_at(when, *self._gated(callback, args, context), context=context)

    def create_task(self, coro: Any, *, context: Context | None = None, **options: Any) -> asyncio.Task[Any]:
        task = super().create_task(coro, context=context, **options)
        process = (context or copy_context()).get(PROCESS)
        if process is not None:
            process.tasks.append(task)
        return task

    def _gated(self, callback: Callable[..., Any], args: Any, context: Context | None) -> tuple[Any, ...]:
        process = (context or copy_context()).get(PROCESS)
        if process is None:
            return callback, *args
        return process.pass_gate, lambda: callback(*args)

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, work: Callable[..., Any], *args: Any
    ) -> Any:
        done: asyncio.Future[Any] = self.create_future()

        def work_and_tell() -> None:
            try:
                result = work(*args)
            except KilledError:
                return
            except Exception as error:  # noqa: BLE001 - as an executor does
                self.call_later(self._some_seconds(), done.set_exception, error)
            else:
                self.call_later(self._some_seconds(), done.set_result, result)

        self.call_later(self._some_seconds(), work_and_tell)
        return done

    def _some_seconds(self) -> float:
        return self._random.choice([0, 0.001, 0.01, 0.1, 2])
