r"""Recognises the frames of known requests, of which only keys differ. Knows no sockets, commands or IDs.

Observation: clients that send several commands in turn, such as GET and INCR, send no runs. But nearly all of their
requests are of a few kinds, and differ in nothing but a key, which does not matter. So such a frame need not be parsed:
its first bytes name its kind, and the header of its key tells where it ends. With its reply, that takes 0.4 us; to
parse it and to call its handler takes 1.1 us. Besides keys, the seconds of an EXPIRE may differ.

Most of these clients send the same pipeline again and again, with other keys of the same lengths. So the shape of a
read is kept once it was repeated, and the next read is compared with it as a whole. That leaves 0.15 us for each of
sixteen requests.

Clients that reserve blocks of IDs send INCRBY with another number each time. So once a client has sent several in a
row, what it sends is split at the bytes that such frames begin with. That takes half the time for each of them.

Like the runs of `fast_path`, it must equal the general path: it looks up or compares all bytes that matter, and skips
exactly the length that the header of a key announces, and the two bytes after it, which the reader ignores as well.
"""

import re
from collections.abc import Mapping
from struct import unpack
from typing import Any, Generic, NamedTuple, TypeVar

from respid.resp import encoder
from respid.resp.back_off import MOST_DOUBLINGS, BackOff
from respid.resp.fast_path import RunReader
from respid.resp.period import LEAST_PERIODIC, Period, period_of
from respid.resp.shape import PIECE_BYTES, Shape, shape_of

Subject = TypeVar("Subject")

OPENING_BYTES = 14  # a whole PING; of other frames, as much as names the command, if its name has up to six letters
_LEAST_NAME = 3  # letters, for the opening not to reach into the key
MOST_FRAMES = 128  # at once, about 40 us; other clients have their turn after that
_MOST_ALIKE = 2  # in a row; a client that draws IDs one by one is known by its run, and waits for no turn
_ANY_NUMBER = -1
_MOST_IN_SHAPE = 64  # frames of a read whose shape is kept
_SHAPE_READS = 4  # to keep the shape of a read takes the time that it saves in as many
_MOST_LOST = 16 * _SHAPE_READS
# An attempt is in vain if it finds none, or so few among others that the general path answers them as fast.
_LEAST_WORTH = 3
_FRAMES_FOR_ATTEMPT = 2  # as many more make up for one in vain
_LEAST_PERIODIC_BYTES = LEAST_PERIODIC * OPENING_BYTES
_LEAST_SPLIT = 8  # frames in a row that begin with the same bytes; to split fewer is not worth it
_MOST_SPLIT_BYTES = 140  # of each: more than with an argument of 99 bytes and a number of nine digits
_UNKNOWN_BYTES = 1 << 40  # of an argument that is long, or whose header is incomplete: it ends after any buffer
_MOST_DIGITS = 15  # as many milliseconds, or seconds, are a valid time for each command that takes one
# The bytes of an argument, by the first four of its header. A reader ignores the byte behind a carriage return.
_ARGUMENT_BYTES = {b"$%d\r\n" % length: 4 + length + 2 for length in range(10)} | {
    b"$%d\r" % length: 5 + length + 2 for length in range(10, 100)
}
Number = re.Pattern[bytes]
"""Matches an argument that is a number, with its header."""

NUMBER: Number = re.compile(
    rb"\$(?:%s)\r\n" % b"|".join([rb"%d\r\n[1-9][0-9]{%d}" % (1 + more, more) for more in range(_MOST_DIGITS)])
)
ONE: Number = re.compile(rb"\$(?:1\r\n1|3\r\n1\.0)\r\n")
FREE = b""
"""An argument that does not matter."""


ByLast = Mapping[bytes, Subject | None]
"""Subjects by the last argument of their frames, with its header; None for all other bytes."""


class Extra(NamedTuple, Generic[Subject]):
    """What the frames of a few kinds have besides a free argument and a tail."""

    name: bytes  # the rest of a longer name than the opening tells
    free: tuple[None, ...]  # as many more arguments do not matter
    ending: re.Pattern[bytes] | None  # what matches the arguments after these, if their bytes may differ
    by_last: ByLast[Subject] | None  # if their last argument decides about their subject


class Kind(NamedTuple, Generic[Subject]):
    """What the frames of one known request have in common after their opening."""

    start: int  # where the first free argument begins, or the tail if there is none
    free: tuple[None, ...]  # that argument
    extra: Extra[Subject] | None  # after it
    tail: bytes  # the rest of the frame
    may_run: bool  # whether a run of such frames is faster than known ones
    subject: Subject  # what the caller wants to know about the request


Kinds = Mapping[bytes, Kind[Subject]]
"""Kinds by the opening of their frames."""


def kind_of(
    arguments: list[bytes | Number],
    subject: Subject,
    *,
    may_run: bool = True,
    by_last: ByLast[Subject] | None = None,
) -> tuple[bytes, Kind[Subject]]:
    """Returns the kind of a request, and its opening.

    FREE arguments come directly after the name, numbers and options after them. Options may be in any letter case. The
    last argument does not matter if `by_last` is given.

    Raises ValueError if the opening does not tell the number of arguments and the length of the name.
    """
    name, *others = arguments
    if not isinstance(name, bytes) or len(name) < _LEAST_NAME:
        raise ValueError(f"the name {name!r} is too short")
    free = (None,) * others.count(FREE)
    rest = others[len(free) :]
    command = b"*%d\r\n%s" % (len(arguments), encoder.bulk_string(name))
    if by_last is not None:
        rest.pop()
    tail = b"".join([encoder.bulk_string(other) for other in rest if isinstance(other, bytes)])
    if not free:
        frame = command + tail
        return frame[:OPENING_BYTES], Kind(OPENING_BYTES, free, None, frame[OPENING_BYTES:], may_run, subject)
    extra = Extra(command[OPENING_BYTES:-2], free[1:], None, by_last)
    if not all(isinstance(other, bytes) and other.isdigit() for other in rest):
        ending, tail = re.compile(b"".join(map(_pattern_of, rest)), re.IGNORECASE), b""
        extra = extra._replace(ending=ending)
    kind = Kind(len(command), free[:1], extra if any(extra) else None, tail, may_run, subject)
    return (command + b"$")[:OPENING_BYTES], kind


def is_known(kinds: Kinds[Any], arguments: list[bytes]) -> bool:
    """Whether a request of a kind that may run is known."""
    frame = encoder.array([*map(encoder.bulk_string, arguments)])
    kind = kinds.get(frame[:OPENING_BYTES])
    return kind is not None and frame.endswith(kind.tail)


def _pattern_of(argument: bytes | Number) -> bytes:
    return re.escape(encoder.bulk_string(argument)) if isinstance(argument, bytes) else argument.pattern


class KnownFrames(BackOff, Generic[Subject]):
    """Finds the known frames of one client."""

    __slots__ = (
        "_alike",
        "_kinds",
        "_kinds_of_period",
        "_last",
        "_lost",
        "_lost_on_periods",
        "_opening",
        "_period",
        "_read",
        "_runs",
        "_shape",
        "_split_frames",
        "pause",
    )

    def __init__(self, runs: RunReader[Any]) -> None:
        super().__init__()
        self._runs = runs
        self._last: Subject | None = None
        self._alike = 0  # how many of the frames before the next one are like the one before them
        self.pause = 0  # the number of attempts that should be left out; to be read only
        # The previous read, if it was known frames of several kinds and nothing else.
        self._read: tuple[Subject, ...] = ()
        self._kinds: Kinds[Subject] = {}
        self._shape: Shape | None = None  # of that read, once it was repeated
        self._lost = 0  # reads' time that was spent on shapes, less what they have saved
        self._period: Period[Subject] | None = None  # that frames of the same kinds have had
        self._kinds_of_period: Kinds[Subject] = {}
        self._lost_on_periods = 0  # the time of as many periods, likewise
        self._opening = b""  # with which the next frames may begin that differ in their last argument
        self._split_frames = 0  # how many of them came in a row

    @property
    def held_bytes(self) -> int:
        """The memory of the shape of a read, and of those of the period."""
        shape_bytes = PIECE_BYTES * len(self._shape.expected) if self._shape else 0
        return shape_bytes + (self._period.held_bytes if self._period else 0)

    def find(
        self, kinds: Kinds[Subject], buffer: bytes, position: int, *, may_run: bool = True
    ) -> tuple[tuple[Subject, ...], int]:
        """Returns the subjects of the frames from this position on, and where the last one of them ends.

        It ends at a frame that is not known, or incomplete, and where a run may begin, unless there can be none.
        """
        if self._shape is not None and not position and self._has_shape(self._shape, kinds, buffer):
            return self._read, len(buffer)
        runs = self._runs
        most_alike = _ANY_NUMBER if runs.pause or not may_run else _MOST_ALIKE
        if self._period is None and len(buffer) < _LEAST_PERIODIC_BYTES:
            found, end, is_miss = self._scan(kinds, buffer, position, most_alike, MOST_FRAMES)
        else:
            found, end, is_miss = self._find_many(kinds, buffer, position, most_alike)
        if not found:
            if not is_miss:
                self._alike -= 1  # the general path takes one, and learns from it
            self._doubt(is_miss=is_miss)
            return (), position
        if most_alike == _ANY_NUMBER:
            self._last = None  # so that a run may begin after these frames, however many are alike
        if runs.pause:
            runs.may_learn(len(found))
        if end < len(buffer):
            self._note_others(len(found), is_miss=is_miss)
        elif len(found) > 1:  # to trust or remember one alone would take longer than to parse it
            self.trust(len(found) - 1)
            if not position and self._alike < len(found) - 1:
                self._remember(kinds, buffer, found)
        return found, end

    def _note_others(self, found: int, *, is_miss: bool) -> None:
        """Call for an attempt that found so many frames before another one."""
        if is_miss:
            self.skip_next()
        if found >= _LEAST_WORTH:
            self.trust_frames(found)
        else:
            self._doubt(is_miss=is_miss)

    def trust_frames(self, found: int) -> None:
        """Call if so many frames, which `find_first` has found, are answered at once."""
        if found > _LEAST_WORTH:
            self.trust((found - _LEAST_WORTH) // _FRAMES_FOR_ATTEMPT)

    def skip_next(self) -> None:
        """Call if the next attempt would be at the same frame, where it would be in vain again."""
        self.pause += 1

    def note_skipped(self) -> None:
        """Call for each attempt that was left out during a pause."""
        self.pause -= 1

    def _doubt(self, *, is_miss: bool) -> None:
        """Call for an attempt in vain. It is no miss if it ended where a run may begin, and runs may be given up."""
        if pause := self.pause_after_failure(MOST_DOUBLINGS if is_miss else 0):
            self.pause = pause

    def find_first(self, kinds: Kinds[Subject], buffer: bytes) -> tuple[tuple[Subject, ...], int]:
        """Returns the subjects of the first frames in the buffer, runs among them, and where the last one ends."""
        if self._shape is not None and self._has_shape(self._shape, kinds, buffer):
            return self._read, len(buffer)
        found, end, _ = self._find_many(kinds, buffer, 0, _ANY_NUMBER)
        self._last = None  # as `find` does
        if end == len(buffer):
            self._remember(kinds, buffer, found)
        return found, end

    def _find(
        self, kinds: Kinds[Subject], buffer: bytes, position: int, most_alike: int
    ) -> tuple[tuple[Subject, ...], int, bool]:
        """Does what `find` does, many frames at once where they are those of the period.

        Also returns whether the next frame is none of these kinds, or incomplete.
        """
        found: tuple[Subject, ...] = ()
        end = position
        period = self._period if kinds is self._kinds_of_period else None
        rest = 0  # frames until the period begins again
        while period:
            times, end = period.find(buffer, end, (MOST_FRAMES - len(found)) // period.size)
            if times:
                found += period.frames * times
                self._last = None
                self._lost_on_periods = max(0, self._lost_on_periods - times)
            if len(found) + period.size > MOST_FRAMES:
                return found, end, False
            begun, wanted = end, rest or period.size
            more, end, is_miss = self._scan(kinds, buffer, end, most_alike, wanted)
            found += more
            if len(more) < wanted:
                return found, end, is_miss
            if rest:
                rest = 0
            elif more != period.frames:
                rest = period.frames_until(more)
                if not rest:
                    break
            elif not period.is_full:
                self._learn(period, _shape_of(kinds, buffer[begun:end]))
        more, end, is_miss = self._scan(kinds, buffer, end, most_alike, MOST_FRAMES - len(found))
        if not position and len(more) >= LEAST_PERIODIC and self._lost_on_periods < _MOST_LOST:
            self._period, self._kinds_of_period = period_of(more), kinds
        return found + more, end, is_miss

    def _find_many(
        self, kinds: Kinds[Subject], buffer: bytes, position: int, most_alike: int
    ) -> tuple[tuple[Subject, ...], int, bool]:
        """Does what `_find` does. Splits the buffer if the next frames begin as expected, since that is faster."""
        if not self._opening or not buffer.startswith(self._opening, position):
            found, end, is_miss = self._find(kinds, buffer, position, most_alike)
            if len(found) >= _LEAST_SPLIT and self._period is None:
                self._learn_opening(kinds, buffer, position, end, len(found))
            return found, end, is_miss
        found, end = self._split(kinds, buffer, position, most_alike)
        if end == len(buffer) or len(found) == MOST_FRAMES:
            return found, end, False
        more, end, is_miss = self._scan(kinds, buffer, end, most_alike, MOST_FRAMES - len(found))
        return found + more, end, is_miss

    def _learn_opening(self, kinds: Kinds[Subject], buffer: bytes, begun: int, end: int, frames: int) -> None:
        """Expects more frames that begin like these if all of these do, and differ in their last argument."""
        opening = buffer[begun : begun + kinds[buffer[begun : begun + OPENING_BYTES]].start]
        if _by_last(kinds, opening) is not None and buffer.count(opening, begun, end) == frames:
            self._opening, self._split_frames = opening, frames

    def _split(
        self, kinds: Kinds[Subject], buffer: bytes, position: int, most_alike: int
    ) -> tuple[tuple[Subject, ...], int]:
        """Does what `_scan` does for frames with the expected opening, up to twice as many as came in a row before.

        What is between two openings is a frame if its key ends where its last argument begins. If a key holds an
        opening, it does not.
        """
        opening, most = self._opening, min(2 * self._split_frames, MOST_FRAMES)
        by_last = _by_last(kinds, opening)
        if by_last is None:
            return (), position
        start = position + len(opening)
        parts = buffer[start : start + most * _MOST_SPLIT_BYTES].split(opening, most)[:most]
        last, alike = self._last, self._alike
        found: list[Subject] = []
        for part in parts:
            subject = by_last[part[_ARGUMENT_BYTES.get(part[:4], _UNKNOWN_BYTES) :]]
            if subject is None:
                break
            if subject is not last:
                last, alike = subject, 0
            elif alike == most_alike:
                break
            else:
                alike += 1
            found.append(subject)
        self._last, self._alike = last, alike
        frames = len(found)
        self._split_frames = frames if frames < len(parts) else max(self._split_frames, frames)
        if self._split_frames < _LEAST_SPLIT:
            self._opening = b""
        return tuple(found), position + frames * len(opening) + sum(map(len, parts[:frames]))

    def _learn(self, period: Period[Subject], shape: Shape) -> None:
        """Takes another shape of the period, unless these have not helped."""
        self._lost_on_periods += _SHAPE_READS
        if self._lost_on_periods < _MOST_LOST:
            period.learn(shape)
        else:
            self._period = None

    def _scan(  # noqa: C901, PLR0912 - a call for each frame takes too long
        self, kinds: Kinds[Subject], buffer: bytes, position: int, most_alike: int, most: int
    ) -> tuple[tuple[Subject, ...], int, bool]:
        """Does what `_find` does, frame by frame, up to `most`."""
        found: list[Subject] = []
        last, alike, end_of_buffer = self._last, self._alike, len(buffer)
        kind = kinds.get(buffer[position : position + OPENING_BYTES])
        while kind is not None and len(found) < most:
            start, free, extra, tail, may_run, subject = kind
            end = position + start
            if free:
                end += _ARGUMENT_BYTES.get(buffer[end : end + 4], _UNKNOWN_BYTES)
            if extra:
                name, others, ending, by_last = extra
                if name and not buffer.startswith(name, position + OPENING_BYTES):
                    end = _UNKNOWN_BYTES
                for _ in others:
                    end += _ARGUMENT_BYTES.get(buffer[end : end + 4], _UNKNOWN_BYTES)
                if ending:
                    match = ending.match(buffer, end)
                    end = match.end() if match else _UNKNOWN_BYTES
                if by_last is not None:
                    begun, end = end, end + _ARGUMENT_BYTES.get(buffer[end : end + 4], _UNKNOWN_BYTES)
                    other = by_last[buffer[begun:end]] if end <= end_of_buffer else None
                    if other is None:
                        end = _UNKNOWN_BYTES
                    else:
                        subject = other
            if tail:
                end = end + len(tail) if buffer.startswith(tail, end) else _UNKNOWN_BYTES
            if end > end_of_buffer:
                kind = None
                break
            if subject is not last:
                last, alike = subject, 0
            elif alike == most_alike and may_run:
                break
            else:
                alike += 1
            found.append(subject)
            position = end
            kind = kinds.get(buffer[position : position + OPENING_BYTES])
        self._last, self._alike = last, alike
        return tuple(found), position, kind is None

    def _has_shape(self, shape: Shape, kinds: Kinds[Subject], buffer: bytes) -> bool:
        """Whether a read differs from the previous one, which had this shape, in nothing but keys."""
        if len(buffer) != shape.size or kinds is not self._kinds or shape.extract(buffer) != shape.expected:
            return False
        if self._lost:
            self._lost -= 1
        return True

    def _remember(self, kinds: Kinds[Subject], buffer: bytes, subjects: tuple[Subject, ...]) -> None:
        """Keeps the shape of a read if the subjects of the previous one were the same, and shapes have helped."""
        if subjects == self._read and self._lost < _MOST_LOST and len(subjects) <= _MOST_IN_SHAPE:
            self._lost += _SHAPE_READS
            self._shape, self._kinds = _shape_of(kinds, buffer), kinds
        else:
            self._shape = None
        self._read = subjects


def _by_last(kinds: Kinds[Subject], opening: bytes) -> ByLast[Subject] | None:
    """Returns what decides about the subject of frames that begin so, if only one free argument comes before it."""
    kind = kinds.get(opening[:OPENING_BYTES])
    if kind is None or kind.extra is None or kind.extra[:-1] != (b"", (), None):
        return None
    return kind.extra.by_last


def _shape_of(kinds: Kinds[Subject], buffer: bytes) -> Shape:
    """Returns the shape of a buffer that consists of known frames."""
    pieces: list[str] = []
    position = begun = 0
    while position < len(buffer):
        start, free, extra, tail, _, _ = kinds[buffer[position : position + OPENING_BYTES]]
        position += start
        for _ in free + (extra.free if extra else ()):
            header = buffer[position : position + 4]
            key = position + (4 if header.endswith(b"\n") else 5)
            position += _ARGUMENT_BYTES[header]
            pieces.append(f"{key - begun}s{position - key}x")
            begun = position
        match = extra.ending.match(buffer, position) if extra and extra.ending else None
        position = (match.end() if match else position) + len(tail)
        if extra and extra.by_last is not None:
            position += _ARGUMENT_BYTES[buffer[position : position + 4]]
    format_ = "".join(pieces) + f"{len(buffer) - begun}s"
    return shape_of(format_, unpack(format_, buffer))
