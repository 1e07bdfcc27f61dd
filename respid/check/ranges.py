"""A set of integers that uses little memory when they are close together."""

from array import array
from bisect import bisect_left, bisect_right

MOST_RANGES = 1 << 20  # 16 MB; a worker under load adds at most a thousand ranges a second


class IdRanges:
    """The added integers, as sorted ranges that neither overlap nor touch.

    >>> ranges = IdRanges()
    >>> ranges.add(10, 5), ranges.add(15, 5), len(ranges)
    (None, None, 1)
    >>> ranges.add(18, 4)
    (18, 2)

    Memory is bounded: with more than `most` ranges, the lower half is forgotten.
    """

    def __init__(self, most: int = MOST_RANGES) -> None:
        self._most = most
        self._firsts = array("Q")
        self._ends = array("Q")  # exclusive

    def __len__(self) -> int:
        """Returns the number of ranges."""
        return len(self._firsts)

    def overlap(self, first: int, count: int) -> tuple[int, int] | None:
        """Returns the lowest run of these integers that is in the set, as (first, count); None if there is none."""
        index = bisect_right(self._ends, first)
        if index == len(self._firsts) or self._firsts[index] >= first + count:
            return None
        shared_first = max(first, self._firsts[index])
        return shared_first, min(first + count, self._ends[index]) - shared_first

    def add(self, first: int, count: int) -> tuple[int, int] | None:
        """Adds `count` integers starting at `first`; returns what `overlap` returned before."""
        shared = self.overlap(first, count)
        end = first + count
        # The new range absorbs the ranges that it overlaps or touches.
        left, right = bisect_left(self._ends, first), bisect_right(self._firsts, end)
        if left < right:
            first, end = min(first, self._firsts[left]), max(end, self._ends[right - 1])
        self._firsts[left:right] = array("Q", [first])
        self._ends[left:right] = array("Q", [end])
        if len(self._firsts) > self._most:
            del self._firsts[: self._most // 2], self._ends[: self._most // 2]
        return shared
