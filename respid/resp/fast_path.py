r"""Recognises runs of `INCR key` and `INCRBY key 1` without reading them one by one. Knows no sockets and no IDs.

Observation: nearly all that an ID server is sent are these two commands, and reading one the general way, header by
header, costs more than making its ID. A run needs no arguments at all, only how many commands it holds, since the key
does not matter.

It must equal the general path of `reader`: a run is counted only where that would read the same commands to the same
end. That rests on lengths, never on what keys contain: every comparison here fixes the bytes of all headers, and takes
exactly as many bytes for a key as its header says.
"""

import re

Run = tuple[str, int, int]
"""The command, how many of it follow each other, and where in the buffer they end."""

NO_RUN: Run = ("", 0, 0)
_LONGEST_KEY = 99  # longer keys take the general path
_COLUMNS_FROM_BYTES = 1024  # from there on comparing columns is faster than the pattern: 40 ns a command against 180


class _Form:
    """The frames of one command: `before` the header of its key, and `after` the key. Names in upper or lower case."""

    def __init__(self, command: str, before: bytes, after: bytes) -> None:
        self.command = command
        self.after = after
        names = command.upper().encode(), command.encode()
        openings = [before.replace(names[0], name) for name in names]
        frame = b"(?:%s)%s%s" % (b"|".join(map(re.escape, openings)), _key_pattern(), re.escape(after))
        self._frame = re.compile(frame)
        self._frames = re.compile(b"(?:%s)++" % frame)
        # By the size of a frame, which gives the key's length: all that may stand before the key.
        self.heads: dict[int, tuple[bytes, ...]] = {}
        for length in range(1, _LONGEST_KEY + 1):
            heads = tuple(opening + b"$%d\r\n" % length for opening in openings)
            self.heads[len(heads[0]) + length + len(after)] = heads

    def find_run(self, buffer: bytes, position: int) -> Run:
        if len(buffer) - position >= _COLUMNS_FROM_BYTES and (first := self._frame.match(buffer, position)):
            frame_bytes = first.end() - position
            count = (len(buffer) - position) // frame_bytes
            if self._has_equal_frames(buffer, position, frame_bytes, count):
                return self.command, count, position + count * frame_bytes
        run = self._frames.match(buffer, position)
        if run is None:
            return NO_RUN
        # No key of the pattern holds an asterisk, so those of the run are its commands.
        return self.command, buffer.count(b"*", position, run.end()), run.end()

    def _has_equal_frames(self, buffer: bytes, position: int, frame_bytes: int, count: int) -> bool:
        """Whether the first frame's headers stand again in each of `count` frames of its size."""
        end = position + count * frame_bytes
        head_bytes = len(self.heads[frame_bytes][0])
        columns = (*range(head_bytes), *range(frame_bytes - len(self.after), frame_bytes))
        return all(
            buffer[position + column : end : frame_bytes] == buffer[position + column : position + column + 1] * count
            for column in columns
        )


def _key_pattern() -> bytes:
    r"""A key: its header, such as `$3\r\n`, and as many bytes as that says; a branch for each length."""

    def branch(length: int) -> bytes:
        return rb"\r\n[^*]{%d}" % length

    by_first_digit = []
    for first in range(1, 10):
        longer = [b"%d" % last + branch(10 * first + last) for last in range(10)]
        by_first_digit.append(b"%d(?:%s)" % (first, b"|".join([branch(first), *longer])))
    return rb"\$(?:%s)" % b"|".join(by_first_digit)


_INCR = _Form("incr", b"*2\r\n$4\r\nINCR\r\n", b"\r\n")
_INCRBY_ONE = _Form("incrby", b"*3\r\n$6\r\nINCRBY\r\n", b"\r\n$1\r\n1\r\n")
_NO_HEADS = ()  # of sizes that no frame has: nothing begins with one of none


def find_run(buffer: bytes, position: int) -> Run:
    """The run that begins at this position; NO_RUN when none does."""
    if position == 0:
        # Without pipelining the buffer is one command: 250 ns this way, 900 by the pattern.
        size = len(buffer)
        if buffer.startswith(_INCR.heads.get(size, _NO_HEADS)) and buffer.endswith(_INCR.after):
            return "incr", 1, size
        if buffer.startswith(_INCRBY_ONE.heads.get(size, _NO_HEADS)) and buffer.endswith(_INCRBY_ONE.after):
            return "incrby", 1, size
    form = _INCRBY_ONE if buffer.startswith(b"*3", position) else _INCR
    return form.find_run(buffer, position)
