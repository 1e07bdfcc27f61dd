"""Finds IDs that a server issued and no client got: gaps in the IDs of a server that starts each millisecond at 0."""

import itertools
from collections.abc import Iterable

from respid.ids.layout import Layout

FROM_ZERO = ("--sequence-reset", "1")  # each millisecond starts at sequence 0, so that a gap is an ID that was lost


def timestamp_ms(number: int) -> int:
    return Layout().decompose(number).timestamp_ms


def follows(earlier: int, later: int) -> bool:
    """Whether the generator issued no ID between these two."""
    if timestamp_ms(earlier) == timestamp_ms(later):
        return later == earlier + 1
    return later & 4095 == 0


def has_gaps(drawn: Iterable[int]) -> bool:
    """Whether an ID is missing between the first and the last of one worker."""
    return not all(follows(earlier, later) for earlier, later in itertools.pairwise(sorted(drawn)))
