"""A histogram of durations in plain integers. Knows nothing about metrics formats."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

_MICROSECONDS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000)
_BOUNDS_NS = tuple(microseconds * 1000 for microseconds in _MICROSECONDS)


class Histogram:
    """Counts durations by size.

    >>> histogram = Histogram()
    >>> for duration_ns in (9_000, 10_000, 11_000, 2_000_000_000):
    ...     histogram.add(duration_ns)
    >>> list(histogram.cumulative())[:2], list(histogram.cumulative())[-1], histogram.total_ns
    ([(1e-05, 2), (2.5e-05, 3)], (inf, 4), 2000030000)
    """

    __slots__ = ("_counts", "total_ns")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_NS) + 1)
        self.total_ns = 0

    def add(self, duration_ns: int) -> None:
        self._counts[bisect_left(_BOUNDS_NS, duration_ns)] += 1
        self.total_ns += duration_ns

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Yields each bound in seconds with the number of durations up to it. The last bound is infinite."""
        bounds = (*(bound_ns / 1e9 for bound_ns in _BOUNDS_NS), float("inf"))
        return zip(bounds, accumulate(self._counts), strict=True)
