"""An event loop on a scripted clock: instead of waiting it advances the clock."""

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.support.scripted_clock import ScriptedClock

_Result = TypeVar("_Result")


class _ScriptedSelector(selectors.DefaultSelector):
    def __init__(self, clock: ScriptedClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits and no timer is set"
        if timeout > 0:
            self._clock.pass_ms(max(1, math.ceil(round(timeout * 1000, 3))))
        return []  # there are no sockets


class ScriptedLoop(asyncio.SelectorEventLoop):
    """For coroutines that use no sockets and no threads."""

    def __init__(self, clock: ScriptedClock) -> None:
        super().__init__(_ScriptedSelector(clock))
        self._scripted_clock = clock

    def time(self) -> float:
        return self._scripted_clock.monotonic / 1e9


def run_scripted(clock: ScriptedClock, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    with asyncio.Runner(loop_factory=lambda: ScriptedLoop(clock)) as runner:
        return runner.run(coroutine)
