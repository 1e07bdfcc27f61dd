"""A simple parser of RESP2 and RESP3 replies that keeps the type of every element.

It shares no code with the encoder of respid, so that it cannot hide an error in it.
"""

from dataclasses import dataclass, field

_AGGREGATES = {b"*": 1, b"~": 1, b">": 1, b"%": 2}  # elements per unit of the header's count
_LINES = (b"+", b"-", b":", b"_", b",", b"#", b"(")
_BLOBS = (b"$", b"=", b"!")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: the byte of its type, its text, and the elements of an aggregate."""

    type: str
    text: bytes | None = None
    elements: list["Reply"] = field(default_factory=list)


class IncompleteReplyError(Exception):
    """Bytes are missing, or are not a reply."""


def parse_replies(received: bytes) -> list[Reply]:
    """Returns all replies. Raises IncompleteReplyError if bytes are left over."""
    replies = []
    position = 0
    while position < len(received):
        reply, position = parse_reply(received, position)
        replies.append(reply)
    return replies


def parse_reply(received: bytes, position: int = 0) -> tuple[Reply, int]:
    """Returns the reply at this position and the position of its end. Raises IncompleteReplyError."""
    end = received.find(b"\r\n", position)
    if end < 0:
        raise IncompleteReplyError(received[position:])
    kind, line = received[position : position + 1], received[position + 1 : end]
    position = end + 2
    if kind in _LINES:
        return Reply(kind.decode(), line), position
    length = int(line)
    if length < 0 and kind in (b"$", b"*"):
        return Reply(kind.decode()), position
    if kind in _BLOBS:
        text, ending = received[position : position + length], received[position + length : position + length + 2]
        if ending != b"\r\n":
            raise IncompleteReplyError(received[position:])
        return Reply(kind.decode(), text), position + length + 2
    if kind not in _AGGREGATES:
        raise IncompleteReplyError(received[position:])
    elements = []
    for _ in range(length * _AGGREGATES[kind]):
        element, position = parse_reply(received, position)
        elements.append(element)
    return Reply(kind.decode(), elements=elements), position
