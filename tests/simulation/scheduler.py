"""Simulated time, and processes of which every step can be delayed, frozen or lost.

A process is an asyncio event loop of its own; all of them share one queue of events. A thread of a process is a
greenlet, which gives way at each system call: other processes run until the call returns. A killed process runs
nothing any more, not even a `finally`.
"""

import asyncio
import heapq
import itertools
from asyncio.events import _set_running_loop
from collections.abc import Callable
from contextvars import Context
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from tests.simulation.host import Host, OpenFile

SECOND = 1_000_000_000  # ns
CALL_SECONDS = (0.00001, 0.0003, 0.002, 0.01, 0.05)  # that it may take to start a thread, or to hear from one


class KilledError(BaseException):
    """Ends a thread of a process that was killed."""


class Handle:
    """A callback in the queue."""

    __slots__ = ("args", "callback", "context", "is_cancelled", "process")

    def __init__(
        self, process: "Process | None", callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self.process = process
        self.callback = callback
        self.args = args
        self.context = context
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled


class Scheduler:
    """The queue of everything that will happen, and the time, in nanoseconds since the beginning."""

    running: "ClassVar[Process | None]" = None  # the process in whose name the present callback runs

    def __init__(self, random: Random) -> None:
        self.now_ns = 0
        self.random = random
        self._queue: list[tuple[int, int, Handle]] = []
        self._count = itertools.count()

    def after(
        self,
        seconds: float,
        process: "Process | None",
        callback: Callable[..., Any],
        *args: Any,
        context: Context | None = None,
    ) -> Handle:
        """Calls back in the name of a process, if it is alive then; None stands for the world outside of all."""
        return self.push(self.now_ns + int(seconds * SECOND), Handle(process, callback, args, context))

    def push(self, when_ns: int, handle: Handle) -> Handle:
        if handle.process is not None:
            when_ns = max(when_ns, handle.process.asleep_until_ns)
        heapq.heappush(self._queue, (when_ns, next(self._count), handle))
        return handle

    def run_for(self, seconds: float) -> None:
        """Lets everything happen that is due within this time."""
        queue, end_ns = self._queue, self.now_ns + int(seconds * SECOND)
        try:
            while queue and queue[0][0] <= end_ns:
                when_ns, _, handle = heapq.heappop(queue)
                process = handle.process
                if handle.is_cancelled or (process is not None and process.must_not_run(handle)):
                    continue
                self.now_ns = max(self.now_ns, when_ns)
                if process is not Scheduler.running:
                    self._switch(process)
                if handle.context is None:
                    handle.callback(*handle.args)
                else:
                    handle.context.run(handle.callback, *handle.args)
        finally:
            self._switch(None)
        self.now_ns = max(self.now_ns, end_ns)

    @staticmethod
    def _switch(process: "Process | None") -> None:
        # Not for each callback: asyncio asks the system for the process ID, which takes longer than all else.
        Scheduler.running = process
        _set_running_loop(process)

    def delay(self, process: "Process", seconds: float) -> None:
        """Everything that the process has to do happens later by so much."""
        shift_ns = int(seconds * SECOND)
        process.asleep_until_ns = max(self.now_ns, process.asleep_until_ns) + shift_ns
        self._queue[:] = [
            (when_ns + shift_ns if handle.process is process else when_ns, count, handle)
            for when_ns, count, handle in self._queue
        ]
        heapq.heapify(self._queue)


class Thread(greenlet):
    """A thread of a process."""

    def __init__(self, process: "Process", done: asyncio.Future[Any]) -> None:
        super().__init__()
        self.process = process
        self._done = done

    def run(self, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
        process = self.process
        process.threads.append(self)
        try:
            result = work(*args)
        except KilledError:
            return
        except BaseException as error:  # noqa: BLE001 - as an executor does
            process.scheduler.after(process.some_seconds(), process, self._settle, error, None)
        else:
            process.scheduler.after(process.some_seconds(), process, self._settle, None, result)
        finally:
            process.threads.remove(self)

    def _settle(self, error: BaseException | None, result: Any) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(result)
        else:
            self._done.set_exception(error)


class Process(asyncio.AbstractEventLoop):
    """Something that runs on a host, and can be killed at any step."""

    def __init__(self, scheduler: Scheduler, host: "Host", number: int) -> None:
        self.scheduler = scheduler
        self.host = host
        self.number = number
        self.is_dead = False
        self.is_frozen = False
        self.asleep_until_ns = 0
        self._thawed_ns = 0
        self._interruption: Callable[[], None] | None = None
        self._calls_left = 0  # until the interruption
        self._interruption_seconds = 0.0
        self.threads: list[Thread] = []
        self.descriptors: dict[int, OpenFile] = {}
        self.on_death: list[Callable[[], None]] = []
        self._held: list[Handle] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._monotonic_ns = host.clock.monotonic_ns

    def must_not_run(self, handle: Handle) -> bool:
        """Keeps the handle for later if it is frozen."""
        if self.is_frozen:
            self._held.append(handle)
        return self.is_dead or self.is_frozen

    def kill(self) -> None:
        """Ends at once. What the kernel holds for it is freed."""
        if self.is_dead:
            return
        self.is_dead = True
        for thread in list(self.threads):
            if thread is not getcurrent():
                thread.throw(KilledError)
        for file in self.descriptors.values():
            file.close()
        for free in self.on_death:
            free()

    def thaw(self) -> None:
        if self.is_frozen:
            self._thawed_ns = self.scheduler.now_ns
        self.is_frozen = False
        held, self._held = self._held, []
        for handle in held:
            self.scheduler.push(self.scheduler.now_ns, handle)

    @property
    def resumed_ns(self) -> int:
        """When it last went on after it had stood still; 0 if it never has."""
        return max(self._thawed_ns, self.asleep_until_ns)

    def enter_system_call(self) -> None:
        """Lets others run if it is called in a thread. Raises KilledError."""
        if self.is_dead:
            raise KilledError
        if not isinstance(getcurrent(), Thread):
            return
        self.sleep(self.host.disk.call_seconds() + self.interruption_seconds())

    def interruption_seconds(self) -> float:
        """Counts a call to the store. By how much it takes longer, since something happens in the middle of it."""
        if self._interruption is None:
            return 0
        self._calls_left -= 1
        if self._calls_left >= 0:
            return 0
        self.scheduler.after(0, None, self._interruption)
        self._interruption = None
        return self._interruption_seconds or self.scheduler.random.choice((0.0001, 0.3, 1.5))

    def interrupt_at(self, call: int, interruption: Callable[[], None] | None, seconds: float = 0) -> None:
        """Lets something happen in the middle of a call to the store, the one after so many others.

        That is a system call of a thread, or just before a request to the API server is sent. The call then takes so
        many seconds longer, or a random time.
        """
        self._calls_left, self._interruption, self._interruption_seconds = call, interruption, seconds

    def sleep(self, seconds: float) -> None:
        """Blocks the thread that calls it."""
        thread = getcurrent()
        assert isinstance(thread, Thread), "it would block the event loop"
        self.scheduler.after(seconds, self, thread.switch)
        self._hub(thread).switch()

    @staticmethod
    def _hub(thread: Thread) -> greenlet:
        assert thread.parent is not None
        return thread.parent

    def some_seconds(self) -> float:
        return CALL_SECONDS[int(self.scheduler.random.random() * len(CALL_SECONDS))]

    def end(self) -> None:
        """Takes its tasks apart, so that nothing of it runs after the simulation."""
        self.kill()
        for task in self._tasks:
            if not task.done() and (coroutine := task.get_coro()) is not None:
                coroutine.close()

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self._monotonic_ns() / SECOND

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self.is_dead

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.scheduler.push(self.scheduler.now_ns, Handle(self, callback, args, context))

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.scheduler.after(delay, self, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.scheduler.after(max(0, when - self.time()), self, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, **options)
        self._tasks.append(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, work: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        done = self.create_future()
        self.scheduler.after(self.some_seconds(), self, self._start_thread, done, work, args)
        return done

    def _start_thread(self, done: asyncio.Future[Any], work: Callable[..., Any], args: tuple[Any, ...]) -> None:
        Thread(self, done).switch(work, args)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What happens to the tasks of a killed process is of no interest."""


def current_process() -> Process:
    """The process in whose name this runs."""
    thread = getcurrent()
    if isinstance(thread, Thread):
        return thread.process
    assert Scheduler.running is not None
    return Scheduler.running
