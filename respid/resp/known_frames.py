r"""Recognises the frames of known requests, whose key is all that differs. Knows no sockets, commands or IDs.

Observation: clients that send several commands in turn, such as GET and INCR, send no runs. But nearly all of their
requests are of a few kinds, and differ in nothing but a key, which does not matter. So such a frame need not be parsed:
its first bytes name its kind, and the header of its key tells where it ends. With its reply, that takes 0.4 us; to
parse it and to call its handler takes 1.1 us.

Like the runs of `fast_path`, it must equal the general path: it looks up or compares all bytes that matter, and skips
exactly the length that the header of a key announces, and the two bytes after it, which the reader ignores as well.
"""

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

Subject = TypeVar("Subject")

OPENING_BYTES = 14  # a whole PING; of other frames, as much as names the command, if its name has up to six letters
_MOST_FRAMES = 128  # at once, about 40 us; other clients have their turn after that
_MOST_ALIKE = 16  # in a row; a run of more is worth learning
# The bytes of an argument, by the first four of its header. A reader ignores the byte behind a carriage return.
_ARGUMENT_BYTES = {b"$%d\r\n" % length: 4 + length + 2 for length in range(10)} | {
    b"$%d\r" % length: 5 + length + 2 for length in range(10, 100)
}


class Kind(NamedTuple, Generic[Subject]):
    """What the frames of one known request have in common after their opening."""

    key_start: int  # where the header of the key begins, or the tail if there is no key
    has_key: bool
    tail: bytes  # the rest of the frame
    subject: Subject  # what the caller wants to know about the request


Kinds = Mapping[bytes, Kind[Subject]]
"""Kinds by the opening of their frames."""


def kind_of(arguments: list[bytes], subject: Subject, *, has_key: bool) -> tuple[bytes, Kind[Subject]]:
    """Returns the kind of a request, of which the first argument is a free key if it `has_key`, and its opening.

    Raises ValueError if the opening does not tell the command.
    """
    name, *others = arguments
    command = b"*%d\r\n%s" % (len(arguments), _bulk_string(name))
    if not has_key:
        frame = command + b"".join(map(_bulk_string, others))
        return frame[:OPENING_BYTES], Kind(OPENING_BYTES, has_key, frame[OPENING_BYTES:], subject)
    opening = (command + b"$")[:OPENING_BYTES]
    if not OPENING_BYTES - 1 <= len(command) <= OPENING_BYTES + 2:
        raise ValueError(f"the name {name!r} has not 3 to 6 letters")
    return opening, Kind(len(command), has_key, b"".join(map(_bulk_string, others[1:])), subject)


def _bulk_string(content: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(content), content)


class KnownFrames(Generic[Subject]):
    """Finds the known frames of one client."""

    __slots__ = ("_alike", "_last")

    def __init__(self) -> None:
        self._last: Subject | None = None
        self._alike = 0  # how many of the frames before the next one are like the one before them

    def find(self, kinds: Kinds[Subject], buffer: bytes, position: int) -> tuple[list[Subject], int]:
        """Returns the subjects of the frames from this position on, and where the last one of them ends.

        It ends at a frame that is not known, or incomplete, and where a run may begin.
        """
        found: list[Subject] = []
        kind = kinds.get(buffer[position : position + OPENING_BYTES])
        if kind is None:
            return found, position
        last, alike, end_of_buffer = self._last, self._alike, len(buffer)
        while kind is not None and len(found) < _MOST_FRAMES:
            key_start, has_key, tail, subject = kind
            end = position + key_start
            if has_key:
                argument_bytes = _ARGUMENT_BYTES.get(buffer[end : end + 4])
                if argument_bytes is None:
                    break
                end += argument_bytes
            if tail:
                if not buffer.startswith(tail, end):
                    break
                end += len(tail)
            if end > end_of_buffer:
                break
            if subject is not last:
                last, alike = subject, 0
            elif alike == _MOST_ALIKE:
                alike -= not found  # the general path takes one, and learns from it
                break
            else:
                alike += 1
            found.append(subject)
            position = end
            kind = kinds.get(buffer[position : position + OPENING_BYTES])
        self._last, self._alike = last, alike
        return found, position
