"""Encodes replies. Pure functions of a value, and of the protocol version (2 or 3) where the two differ."""

from collections.abc import Callable, Sequence
from itertools import pairwise

OK = b"+OK\r\n"
PONG = b"+PONG\r\n"
QUEUED = b"+QUEUED\r\n"
RESET = b"+RESET\r\n"
RESP3 = 3

Value = int | float | str | bytes | None | list["Value"] | tuple["Value", ...] | dict[str, "Value"] | frozenset[str]


def simple_string(text: str) -> bytes:
    return b"+" + text.encode() + b"\r\n"


def integer(number: int) -> bytes:
    return b":%d\r\n" % number


def bulk_string(content: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(content), content)


def integer_string(number: int) -> bytes:
    """Encodes an integer of 0 or more as a bulk string. Most IDs have 18 or 19 digits: these take half the time."""
    if 10**17 <= number < 10**19:
        return (b"$18\r\n%d\r\n" if number < 10**18 else b"$19\r\n%d\r\n") % number
    return bulk_string(b"%d" % number)


def text_string(content: str, version: int) -> bytes:
    """Encodes text meant for people: a verbatim string in RESP3, a bulk string in RESP2."""
    encoded = content.encode()
    if version == RESP3:
        return b"=%d\r\ntxt:%s\r\n" % (len(encoded) + 4, encoded)
    return bulk_string(encoded)


def text_pieces(pieces: list[bytes | memoryview], version: int) -> bytes:
    """Encodes text as `text_string` does. It is in pieces, which are copied once."""
    size = sum(map(len, pieces))
    header = b"=%d\r\ntxt:" % (size + 4) if version == RESP3 else b"$%d\r\n" % size
    return b"".join([header, *pieces, b"\r\n"])


def null(version: int) -> bytes:
    return b"_\r\n" if version == RESP3 else b"$-1\r\n"


def array_header(length: int) -> bytes:
    return b"*%d\r\n" % length


def map_header(length: int, version: int) -> bytes:
    """Encodes the header of a map; RESP2 has no maps, so there it is an array of twice the length."""
    return b"%%%d\r\n" % length if version == RESP3 else b"*%d\r\n" % (2 * length)


def set_header(length: int, version: int) -> bytes:
    """The header of a set; in RESP2, which has none, that of an array."""
    return b"~%d\r\n" % length if version == RESP3 else array_header(length)


def array(replies: Sequence[bytes]) -> bytes:
    """Encodes an array of replies that are already encoded."""
    return array_header(len(replies)) + b"".join(replies)


def encode(value: Value, version: int) -> bytes:
    """Encodes a Python value: a str as a bulk string, a dict as a map.

    A tuple is a set, and a frozenset is one of simple strings.
    """
    match value:
        case int():
            return integer(value)
        case str():
            return bulk_string(value.encode())
        case bytes():
            return bulk_string(value)
        case None:
            return null(version)
        case float():
            return bulk_string(repr(value).encode())
        case list():
            return array([encode(item, version) for item in value])
        case tuple():
            return set_header(len(value), version) + b"".join(encode(item, version) for item in value)
        case dict():
            members = (encode(key, version) + encode(item, version) for key, item in value.items())
            return map_header(len(value), version) + b"".join(members)
        case frozenset():
            return set_header(len(value), version) + b"".join(simple_string(item) for item in sorted(value))


# Integer replies for 000 to 999. The digits before these three replace each colon.
_THOUSAND = b"".join([b":%03d\r\n" % ending for ending in range(1000)])
_ENDING_BYTES = 6


def consecutive_integers(first: int, count: int) -> bytes:
    """Encodes `count` consecutive integers, starting at `first`.

    IDs of one millisecond share their leading digits, so a slice of a table has its colons replaced by them: 15 ns for
    each of 500 IDs and 73 ns for each of 16, compared with 140 to 180 ns for formatting each.
    """
    return _consecutive(first, count, _opening_of_integer, integer)


def consecutive_strings(first: int, count: int) -> bytes:
    """Does the same with bulk strings, for clients whose integers are doubles."""
    return _consecutive(first, count, _opening_of_string, integer_string)


def spaced_integers(first: int, step: int, count: int) -> bytes:
    """Encodes `count` integers, starting at `first`, each greater by `step` than the one before."""
    return b":%s\r\n" % "\r\n:".join(map(str, range(first, first + count * step, step))).encode()


def _consecutive(first: int, count: int, opening: Callable[[int], bytes], encode_one: Callable[[int], bytes]) -> bytes:
    """`opening` returns what replaces a colon of the table, given the digits before the last three."""
    after = first + count
    if count == 1 or first < 1000:  # noqa: PLR2004 - no leading digits
        return b"".join([encode_one(number) for number in range(first, after)])
    thousands, ending = divmod(first, 1000)
    if ending + count > 1000:  # noqa: PLR2004 - as nearly no short run does
        bounds = [first, *range(first + 1000 - ending, after, 1000), after]
        return b"".join([_consecutive(begin, end - begin, opening, encode_one) for begin, end in pairwise(bounds)])
    table = _THOUSAND[ending * _ENDING_BYTES : (ending + count) * _ENDING_BYTES]
    return table.replace(b":", opening(thousands))


def _opening_of_integer(thousands: int) -> bytes:
    return b":%d" % thousands


def _opening_of_string(thousands: int) -> bytes:
    digits = b"%d" % thousands
    return b"$%d\r\n%s" % (len(digits) + 3, digits)
