"""Notices when this process stands still, as on a busy machine: the server may go on meanwhile."""

import threading
import time
from types import TracebackType
from typing import Self

TICK_SECONDS = 0.01
STANDSTILL_SECONDS = 0.1


class Standstills:
    """Counts them from `with` on, in a thread that is late whenever this process is."""

    def __init__(self) -> None:
        self._counted = 0
        self._ticked_at = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def count(self) -> int:
        """How many there were so far, with one that has just ended."""
        return self._counted + self._is_late()

    def _is_late(self) -> bool:
        return time.monotonic() - self._ticked_at > STANDSTILL_SECONDS

    def _tick(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            self._counted += self._is_late()
            self._ticked_at = time.monotonic()
