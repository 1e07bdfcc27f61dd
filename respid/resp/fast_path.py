r"""Recognises runs: stretches of frames that differ only where it does not matter. Knows no sockets, commands or IDs.

Observation: clients of an ID server repeat themselves. They send the same command with the same increment again and
again, mostly with keys of the same length, and parsing a frame on the general path, header by header, costs more than
issuing its ID. Keys and fields do not matter, so a run needs no arguments, only the number of its frames.

A run is recognised by the frame before: once the general path has read the same command twice, a template of its frame
is kept. A frame that begins otherwise costs a single comparison, and a template that does not help is given up, so that
no stream is much slower than on the general path.

The fast path must equal the general path of `reader`: it counts a frame only where the reader would find the same
command with the same end. That depends on lengths, never on the contents of keys: every comparison here fixes the
bytes of all headers and of all arguments that matter, and skips exactly the length that a header announces, and the two
bytes after it, which the reader ignores as well.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from struct import Struct
from typing import Generic, TypeVar

from respid.resp.encoder import bulk_string
from respid.resp.shape import MOST_COMPARED, Shape, headers_of

Subject = TypeVar("Subject")


Run = tuple[int, int]
"""The number of frames, and the position in the buffer where the last one ends. A named tuple takes 0.2 us to make."""

NO_RUN: Run = (0, 0)
LONGEST_ARGUMENT = 99  # a frame with a longer argument takes the general path
_UNKNOWN_BYTES = 1 << 62
_MOST_ARGUMENTS = 8  # so that a template is small: ID.NEXT accepts AS STRING any number of times
_LONGEST_RUN = 512  # frames; other clients have their turn after that
_FREE_IN_MIXED_RUNS = (1, 2)  # arguments of a frame
_MOST_MATCHED = 128  # frames at once: for 512, the regular expression takes twice as long for each
# Ten thousand idle connections must not use much memory.
_MOST_REMEMBERED = 4096  # bytes of a read
_MOST_KEPT = 16  # frames whose headers each connection keeps: 2 KB. Those of 128 are 15 KB, so all share 512 of them
# Learning is doubted for the time that it costs, and trusted for the time that it saves, in units of about 0.2 us.
_PARSED = 4  # the doubts about a request that was parsed and is unlike the one before
_LEARNING = 32  # about a new template
_LEARNED_AGAIN = 4  # about one that did not recognise its frame: an inline command, or one that came in several reads
_WASTED = 16  # about one that was tried in vain
_OTHER = 1  # about one that a request of another kind, or a part of a frame, was compared with
_SHORT = 32  # about one that recognises a short run among other frames, which the general path answers as fast
_LONGEST_SHORT = 3  # frames of such a run
_SAVED = 8  # the trust in it for each frame
_SAVED_OF_KNOWN = 1  # the same for a frame that would be known without it
_MOST_DOUBTS = 512
_MOST_OTHER_LENGTHS = 60  # runs in a row that begin with keys of other lengths, until a template of these is learned
_PAUSE = 8000  # parsed requests until a client whose requests are no runs is given another chance


class Template(Shape):
    """The bytes that all frames of a run share, for free arguments of given lengths.

    The free arguments come directly after the name of the command, the fixed ones after them.
    """

    __slots__ = ("_free", "_opening", "_shared_bytes", "_tail", "ends", "start")

    def __init__(self, name: bytes, free_lengths: Sequence[int], fixed: Sequence[bytes]) -> None:
        opening = b"*%d\r\n" % (1 + len(free_lengths) + len(fixed)) + bulk_string(name)
        tail = b"".join(map(bulk_string, fixed))
        self._opening, self._tail = opening, tail
        self._free = len(free_lengths)
        # Of a frame with one free argument: all but the argument and its header.
        self._shared_bytes = len(opening) + 2 + len(tail) if len(free_lengths) == 1 else _UNKNOWN_BYTES
        self.start = opening + (b"$" if free_lengths else tail)
        headers = [b"$%d\r\n" % length for length in free_lengths]
        pieces = [opening + headers[0], *headers[1:], tail] if headers else [opening + tail]
        # What a frame begins and ends with, if that tells it from all others of its size.
        self.ends = (pieces[0], tail if headers else b"") if len(headers) <= 1 else None
        skips = [length + 2 for length in free_lengths] + [0]
        format_ = "".join(f"{len(piece)}s{skip}x" for piece, skip in zip(pieces, skips, strict=True) if piece)
        super().__init__(format_, tuple(filter(None, pieces)))

    def mixed_run(self, buffer: bytes, position: int) -> Run:
        """Returns the run of frames with free arguments of any length. No such argument has an asterisk."""
        if self._free not in _FREE_IN_MIXED_RUNS:
            return NO_RUN
        pattern, end = _mixed_runs(self._free), position
        for _ in range(_LONGEST_RUN // _MOST_MATCHED):
            match = pattern.match(buffer, end)
            if match is None or match[1] != self._opening or match[2] != self._tail:
                break
            end = match.end()
            if end == len(buffer):
                break
        return (buffer.count(b"*", position, end), end) if end > position else NO_RUN  # an asterisk begins a frame

    def is_last_frame(self, buffer: bytes, position: int) -> bool:
        """Whether the rest of the buffer is one frame with a free argument of any length, as its size tells."""
        header = _HEADERS_BY_SIZE.get(len(buffer) - position - self._shared_bytes)
        return (
            header is not None and buffer.startswith(self._opening + header, position) and buffer.endswith(self._tail)
        )

    def may_end(self, buffer: bytes, position: int) -> bool:
        """Whether a buffer ends at this position, or may do so within a frame like those before."""
        rest = len(buffer) - position
        return rest < self.size and self.start.startswith(buffer[position : position + len(self.start)])


@lru_cache(maxsize=256)
def _template(name: bytes, free_lengths: tuple[int, ...], fixed: tuple[bytes, ...]) -> Template:
    return Template(name, free_lengths, fixed)


# The header of an argument, by the size of both without the two bytes at the end.
_HEADERS_BY_SIZE = {
    len(header) + length: header for length in range(LONGEST_ARGUMENT + 1) for header in [b"$%d\r\n" % length]
}


def _argument_pattern() -> bytes:
    r"""Matches an argument: a header such as `$3\r\n`, that many bytes, and two more. Each length has a branch."""

    def branch(length: int) -> bytes:
        return rb"\r\n[^*]{%d}" % (length + 2)

    by_first_digit = []
    for first in range(1, 10):
        longer = [b"%d" % last + branch(10 * first + last) for last in range(10)]
        by_first_digit.append(b"%d(?:%s)" % (first, b"|".join([branch(first), *longer])))
    return rb"\$(?:%s)" % b"|".join(by_first_digit)


@cache
def _mixed_runs(free: int) -> re.Pattern[bytes]:
    """Matches frames with the same opening and tail, and `free` arguments of any length between them.

    It takes 2 to 5 ms to make, so not while modules are imported.

    No repetition is possessive: in Python 3.11.2, one of a group ends behind what it has matched of an incomplete last
    frame. None is ever backtracked into, either, because what follows may be empty.
    """
    argument = _argument_pattern() * free
    opening, tail = rb"(\*[1-9]\r\n\$[0-9]+\r\n[^\r*]{1,99}\r\n)", rb"((?:\$[0-9]+\r\n[^\r*]{0,99}\r\n){0,3})"
    return re.compile(rb"%s%s%s(?:\1%s\2){0,%d}" % (opening, argument, tail, argument, _MOST_MATCHED - 1))


def prepare() -> None:
    """Makes what the first run with keys of many lengths would have to wait for. May be called in another thread."""
    for free in _FREE_IN_MIXED_RUNS:
        _mixed_runs(free)


@lru_cache(maxsize=1024)
def _shared(run: Run) -> Run:
    """The same tuple for all clients: one in the caches, instead of one for each."""
    return run


class RunReader(Generic[Subject]):
    """Finds the runs of one client. `subject` is what the caller wants to know about the frames of its runs."""

    __slots__ = (
        "_doubts",
        "_guess",
        "_head",
        "_headers",
        "_learned",
        "_other_lengths",
        "_parsed",
        "_read",
        "_read_bytes",
        "_run",
        "_saved",
        "_tail",
        "expects",
        "pause",
        "subject",
    )

    subject: Subject  # from `learn` on

    def __init__(self) -> None:
        self.expects: Template | None = None  # of the next run; None if none can be recognised
        self._guess = 1  # the number of frames in the next run
        self._saved = _SAVED  # the trust for each frame
        self._doubts = 0  # since the template last recognised a frame
        self._other_lengths = 0  # runs in a row that began with keys of other lengths than those of the template
        self.pause = 0  # the number of parsed requests until a template is made again
        self._parsed: list[bytes] = []  # what mattered of the last parsed request
        self._read: bytes | None = None  # the previous read, if it was one run
        self._run = NO_RUN  # that run
        self._read_bytes = -1
        self._headers: tuple[Struct, tuple[bytes, ...]] | None = None  # of a short run
        self._learned: Template | None = None  # of that run; None if it is a frame with these ends
        self._head = self._tail = b""

    @property
    def held_bytes(self) -> int:
        """The memory of the previous read."""
        return len(self._read or b"")

    def repeats(self, arguments: list[bytes], free: int) -> bool:
        """Whether a request that was parsed equals the one before, apart from `free` arguments after the name."""
        if self.pause:
            self.pause -= 1
            return False
        if len(arguments) > _MOST_ARGUMENTS:
            return False
        parsed = [arguments[0], *arguments[1 + free :]]
        if parsed == self._parsed:
            return True
        self._doubt(_PARSED)
        if max(map(len, parsed)) <= LONGEST_ARGUMENT:
            self._parsed = parsed
        return False

    def may_learn(self, requests: int) -> bool:
        """Whether a run can be learned now. If not, counts so many requests, which are not parsed, like parsed ones."""
        if not self.pause:
            return True
        self.pause = max(0, self.pause - requests)
        return False

    def note_others(self, requests: int) -> None:
        """Call for parsed requests with which the template was compared in vain, or that come during a pause."""
        if self.pause:
            self.pause = max(0, self.pause - requests)
        elif self.expects is not None:
            self._doubt(_OTHER * requests)

    def learn(self, arguments: list[bytes], free: int, subject: Subject) -> bool:
        """Takes a request as the template of the next runs. `free` arguments, right after the name, do not matter.

        Returns whether it is a new template.
        """
        lengths = tuple(map(len, arguments[1 : 1 + free]))
        if max(lengths, default=0) > LONGEST_ARGUMENT:
            self._give_up(_PAUSE)
            return False
        template = _template(arguments[0], lengths, tuple(arguments[1 + free :]))
        if template is self.expects:
            self._doubt(_LEARNED_AGAIN)
            return False
        self.expects, self.subject, self._saved = template, subject, _SAVED
        self._read, self._read_bytes = None, -1
        self._doubt(_LEARNING)
        return True

    def note_known(self) -> None:
        """Call if the requests of a new template are known frames, which take little more time than those of a run."""
        self._saved = _SAVED_OF_KNOWN

    def note_unlearnable(self) -> None:
        """Call for a request that repeats, but makes no run, such as one that gets an error."""
        self._doubt(_LEARNING)

    def find_in_read(self, data: bytes) -> Run:
        """Returns the run at the beginning of a read. Recognises the same read, or the same headers, at once."""
        if data == self._read:
            if self._doubts:
                self._trust_read()
            return self._run
        if len(data) == self._read_bytes:
            if self._learned is None:  # a struct would take 0.06 us more, in Python 3.13
                is_alike = data.startswith(self._head) and (not self._tail or data.endswith(self._tail))
            else:
                headers, expected = self._headers or headers_of(self._learned, self._run[0])
                is_alike = headers.unpack(data) == expected
            if is_alike:
                if self._doubts:
                    self._trust_read()
                return self._run
        template = self.expects
        # A short read that does not end as requests do is mostly a part of one, which need not be looked at closer.
        if (
            template is None
            or not data.startswith(template.start)
            or (len(data) < template.size and not data.endswith(b"\n"))
        ):
            return NO_RUN
        run = self._find(template, data, 0)
        frames, end = run
        if frames and end == len(data):
            self._remember(data, run)
            if self._doubts and frames == 1:
                self._trust_read()
        return run

    def find(self, buffer: bytes, position: int) -> Run:
        """Returns the run that begins at this position, or NO_RUN."""
        template = self.expects
        if template is None or not buffer.startswith(template.start, position):
            return NO_RUN
        return self._find(template, buffer, position)

    def _find(self, template: Template, buffer: bytes, position: int) -> Run:
        """Does what `find` does, where a buffer goes on as frames of this template begin."""
        if template.is_last_frame(buffer, position):
            if position:
                self._doubt(_SHORT)
            return 1, len(buffer)
        frames = self._count_equal(template, buffer, position)
        end = position + frames * template.size
        if not frames or (frames < _LONGEST_RUN and buffer.startswith(template.start, end)):
            frames, end = self._extend(template, buffer, frames, end)
        if not frames:
            return NO_RUN
        if frames <= _LONGEST_SHORT and (position or not template.may_end(buffer, end)):
            self._doubt(_SHORT)
        return frames, end

    def _extend(self, template: Template, buffer: bytes, frames: int, end: int) -> Run:
        """Adds the frames after a run, which have arguments of other lengths."""
        more, mixed_end = template.mixed_run(buffer, end)
        if not more:
            self._doubt(_OTHER if template.may_end(buffer, end) else _WASTED)
            return frames, end
        self._trust(more)
        if frames:
            self._other_lengths = 0
        else:
            self._guess = 1
            self._other_lengths += 1
            if self._other_lengths == _MOST_OTHER_LENGTHS:
                self._give_up(0)
        return frames + more, mixed_end

    def _count_equal(self, template: Template, buffer: bytes, position: int) -> int:
        """Counts the frames with the lengths of the template, in steps as large as the frames that they may add to.

        So a step that fails costs no more than the frames that were recognised before it.
        """
        if not buffer.startswith(template.expected[0], position):
            return 0
        most = min((len(buffer) - position) // template.size, _LONGEST_RUN)
        frames, wanted = 0, self._guess
        while rest := min(wanted, most - frames, MOST_COMPARED):
            step = 1 << rest.bit_length() - 1
            found = template.count(buffer, position + frames * template.size, step)
            frames += found
            if found < step or not buffer.startswith(template.start, position + frames * template.size):
                break
            wanted = max(wanted - step, frames)
        if frames:
            self._guess = min(frames, MOST_COMPARED)
            self._trust(frames)
        return frames

    def _remember(self, data: bytes, run: Run) -> None:
        """Keeps a read that was one run, for the next comparison: its bytes, and the headers of up to 128 frames."""
        self._run = _shared(run)
        self._read = data if len(data) <= _MOST_REMEMBERED else None
        self._read_bytes = -1
        template = self.expects
        frames = run[0]
        if template is not None and len(data) == frames * template.size and frames <= MOST_COMPARED:
            headers, expected = headers_of(template, frames)
            if headers.unpack(data) == expected:
                self._headers = (headers, expected) if frames <= _MOST_KEPT else None
                self._learned, self._read_bytes = template, len(data)
                if frames == 1 and template.ends is not None:
                    self._learned, (self._head, self._tail) = None, template.ends

    def _trust_read(self) -> None:
        """Call for a read that is the run that is kept. A known frame alone takes as much time as a parsed one."""
        frames = self._run[0]
        self._doubts = max(0, self._doubts - (self._saved * frames if frames > 1 else _SAVED))

    def _trust(self, frames: int) -> None:
        self._doubts = max(0, self._doubts - self._saved * frames)

    def _doubt(self, doubts: int) -> None:
        self._doubts += doubts
        if self._doubts >= _MOST_DOUBTS:
            self._give_up(_PAUSE)

    def _give_up(self, pause: int) -> None:
        self.expects, self.pause, self._doubts, self._other_lengths = None, pause, 0, 0
