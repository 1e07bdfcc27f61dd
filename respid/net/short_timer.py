"""A timer for waits of less than a millisecond, which is the resolution of the event loop's own timers.

Linux has one, and Python offers it since 3.13. Never decides how long to wait.
"""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

_create: Any = getattr(os, "timerfd_create", None)
_set_ns: Any = getattr(os, "timerfd_settime_ns", None)


class ShortTimer:
    """Calls back once after some nanoseconds. It holds a descriptor until it is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        """Takes over this descriptor of a timer."""
        self._loop = loop
        self._descriptor = descriptor
        self._callback: Callable[[], object] = int  # does nothing
        os.set_blocking(descriptor, False)
        loop.add_reader(descriptor, self._expire)

    def start(self, nanoseconds: int, callback: Callable[[], object]) -> None:
        """Instead of what it was started for before, if that is not over. `nanoseconds` is 1 or more."""
        self._callback = callback
        _set_ns(self._descriptor, initial=nanoseconds)

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _expire(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:  # it was started again after the event loop had seen that it was over
            return
        self._callback()


def make_short_timer(loop: asyncio.AbstractEventLoop) -> ShortTimer | None:
    """Returns None where there is none, or a sandbox forbids it."""
    if _create is None:
        return None
    try:
        return ShortTimer(loop, _create(time.CLOCK_MONOTONIC))
    except OSError:
        return None
