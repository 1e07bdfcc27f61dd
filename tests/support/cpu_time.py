"""CPU time in this process."""

import time
from collections.abc import Callable

ATTEMPTS = 5


def least_seconds(*works: Callable[[], object]) -> list[float]:
    """Returns the CPU time that the fastest of some attempts took, for each of these.

    They take turns: other processes share the caches, and garbage may be collected meanwhile.
    """
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(ATTEMPTS):
        for work, its_seconds in zip(works, seconds, strict=True):
            started = time.process_time()
            work()
            its_seconds.append(time.process_time() - started)
    return list(map(min, seconds))
