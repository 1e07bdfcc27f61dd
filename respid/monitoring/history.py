"""The rates of IDs and commands over the last minutes. Looks at both counters once a second."""

import asyncio
from collections import deque
from collections.abc import Callable

from respid.worker.stats import Stats

INTERVAL_SECONDS = 1.0
SAMPLES = 300  # five minutes


class History:
    """The increase of a counter per second, one sample per second, oldest first.

    >>> issued = iter([100, 150, 400])
    >>> history = History(lambda: next(issued), now_seconds=0.0)
    >>> history.sample(1.0)
    >>> history.sample(3.0)
    >>> history.per_second
    [50, 125]
    """

    def __init__(self, count: Callable[[], int], now_seconds: float) -> None:
        self._count = count
        self._seen = count()
        self._seen_seconds = now_seconds
        self._rates: deque[int] = deque(maxlen=SAMPLES)

    @property
    def per_second(self) -> list[int]:
        return list(self._rates)

    def sample(self, now_seconds: float) -> None:
        """Adds the average rate since the last sample."""
        issued, elapsed_seconds = self._count(), now_seconds - self._seen_seconds
        self._rates.append(round((issued - self._seen) / elapsed_seconds))
        self._seen, self._seen_seconds = issued, now_seconds


async def sample_rates(history: History, stats: Stats) -> None:
    """Samples the IDs and the commands once a second until it is cancelled."""
    loop = asyncio.get_running_loop()
    commands = History(lambda: sum(stats.commands.values()), loop.time())
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        history.sample(loop.time())
        commands.sample(loop.time())
        stats.commands_per_second = commands.per_second[-1]
