"""The rate of IDs over the last minutes, for the status page. Looks at one counter a second."""

import asyncio
from collections import deque
from collections.abc import Callable

INTERVAL_SECONDS = 1.0
SAMPLES = 300  # five minutes


class History:
    """The IDs issued per second, one sample per second, oldest first.

    >>> issued = iter([100, 150, 400])
    >>> history = History(lambda: next(issued), now_seconds=0.0)
    >>> history.sample(1.0)
    >>> history.sample(3.0)
    >>> history.ids_per_second
    [50, 125]
    """

    def __init__(self, ids_issued: Callable[[], int], now_seconds: float) -> None:
        self._ids_issued = ids_issued
        self._seen = ids_issued()
        self._seen_seconds = now_seconds
        self._rates: deque[int] = deque(maxlen=SAMPLES)

    @property
    def ids_per_second(self) -> list[int]:
        return list(self._rates)

    def sample(self, now_seconds: float) -> None:
        """Adds the average rate since the last sample."""
        issued, elapsed_seconds = self._ids_issued(), now_seconds - self._seen_seconds
        self._rates.append(round((issued - self._seen) / elapsed_seconds))
        self._seen, self._seen_seconds = issued, now_seconds

    async def run(self) -> None:
        """Samples once a second until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            self.sample(loop.time())
