"""A period: known frames that a client sends many times in a row, such as INCR and EXPIRE in turn.

Observation: long pipelines repeat a few requests for many keys. So once some frames are repeated, those that follow are
compared with their shape, many at once. The shape depends on the lengths of keys, so there is one for each length of
the first key: mostly, the other keys of a period are the same.
"""

from typing import Generic, TypeVar

from respid.resp.shape import PIECE_BYTES, Shape

Subject = TypeVar("Subject")

LEAST_PERIODIC = 32  # known frames in a row until they are looked at
_LONGEST = 16  # frames
_MOST_SHAPES = 32  # of one client
_MOST_HELD_BYTES = 16 * 1024  # 32 shapes of 16 frames may take 100 KB, and ten thousand clients may have them
_LEAST_IN_A_ROW = 4  # periods of one shape, until several are compared at once
_HEADER_BYTES = 4


class Period(Generic[Subject]):
    """The frames that are repeated, and their shapes by the header of the first key."""

    __slots__ = ("_in_a_row", "_last", "_shapes", "_start", "frames", "held_bytes", "size")

    def __init__(self, frames: tuple[Subject, ...]) -> None:
        self.frames = frames
        self.size = len(frames)
        self.held_bytes = 0  # the memory of its shapes
        self._start = 0  # where the header of the first key begins
        self._shapes: dict[bytes, Shape] = {}
        self._last: Shape | None = None  # that was found
        self._in_a_row = 0  # periods with this shape

    @property
    def is_full(self) -> bool:
        """Whether it has as many shapes as it may have."""
        return len(self._shapes) == _MOST_SHAPES or self.held_bytes >= _MOST_HELD_BYTES

    def learn(self, shape: Shape) -> None:
        """Takes a shape that the frames had."""
        before = shape.expected[0]  # of the first key, whose header comes last; without keys, that of another argument
        self._start = before.rindex(b"$")
        header = before[self._start : self._start + _HEADER_BYTES]
        self._shapes[header] = shape
        self.held_bytes = PIECE_BYTES * sum(len(each.expected) for each in self._shapes.values())

    def find(self, buffer: bytes, position: int, most: int) -> tuple[int, int]:
        """Returns how many times it comes in a row from this position on, up to `most`, and where that ends.

        `most` times have up to 128 frames. It compares no more periods at once than it has found in a row before.
        """
        times, start, shapes, end_of_buffer = 0, self._start, self._shapes, len(buffer)
        last, in_a_row = self._last, self._in_a_row
        while times < most:
            header = position + start
            shape = shapes.get(buffer[header : header + _HEADER_BYTES])
            if shape is None:
                break
            if shape is not last:
                last, in_a_row = shape, 0
            if in_a_row >= _LEAST_IN_A_ROW:
                found = self._count(shape, buffer, position, min(in_a_row, most - times))
            else:
                found = position + shape.size <= end_of_buffer and shape.extract(buffer, position) == shape.expected
            if not found:
                in_a_row = 0
                break
            times += found
            in_a_row += found
            position += found * shape.size
        self._last, self._in_a_row = last, in_a_row
        return times, position

    def _count(self, shape: Shape, buffer: bytes, position: int, most: int) -> int:
        most = min(most, (len(buffer) - position) // shape.size)
        return shape.count(buffer, position, 1 << most.bit_length() - 1) if most else 0

    def frames_until(self, following: tuple[Subject, ...]) -> int:
        """Returns how many frames follow these until the period begins again; 0 if they are no part of it."""
        twice = self.frames * 2
        for place in range(1, self.size):
            if twice[place : place + self.size] == following:
                return self.size - place
        return 0


def period_of(frames: tuple[Subject, ...]) -> Period[Subject] | None:
    """Returns the period of at least 32 frames. Frames of one kind have none, since they may be a run."""
    first = frames[:LEAST_PERIODIC]
    for size in range(1, _LONGEST + 1):
        if first[size] is first[0] and first[size:] == first[:-size]:
            return Period(first[:size]) if size > 1 else None
    return None
