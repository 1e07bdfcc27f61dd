"""Sets of ranges, compared with plain sets."""

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from respid.check.ranges import IdRanges

blocks = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=40)
TOP = (1 << 63) - 1


@given(blocks)
def test_equals_plain_set(added: list[tuple[int, int]]) -> None:
    ranges, plain = IdRanges(), set[int]()
    for first, count in added:
        block = set(range(first, first + count))
        shared = ranges.overlap(first, count)
        assert ranges.add(first, count) == shared
        if shared is None:
            assert not block & plain
        else:
            found = set(range(shared[0], sum(shared)))
            assert found
            assert found <= block & plain
            assert min(found) == min(block & plain)
        plain |= block
    assert len(ranges) == len([number for number in plain if number - 1 not in plain])
    for number in range(80):
        assert (ranges.overlap(number, 1) is not None) == (number in plain)


@given(blocks)
def test_forgets_only_lowest_ranges(added: list[tuple[int, int]]) -> None:
    bounded, plain = IdRanges(most=4), set[int]()
    for first, count in added:
        bounded.add(first, count)
        plain |= set(range(first, first + count))
        assert len(bounded) <= 4
    if plain:
        assert bounded.overlap(max(plain), 1) is not None
    for number in range(80):
        assert bounded.overlap(number, 1) is None or number in plain


def test_holds_greatest_ids() -> None:
    ranges = IdRanges()
    assert ranges.add(TOP, 1) is None
    assert ranges.add(TOP - 4, 5) == (TOP, 1)
    assert len(ranges) == 1


def test_uses_little_memory() -> None:
    """Ten connections receive the IDs of one worker, out of order."""
    ranges, late = IdRanges(), list[tuple[int, int]]()
    shuffled = random.Random(1)
    tracemalloc.start()
    for number in range(30_000):
        late.append((number * 100, 100))
        if len(late) == 10:
            ranges.add(*late.pop(shuffled.randrange(10)))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    for block in late:
        ranges.add(*block)
    assert len(ranges) == 1
    assert peak_bytes < 200_000
