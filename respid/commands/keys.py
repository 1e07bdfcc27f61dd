"""The Redis commands that take a key. Every key returns IDs of the same sequence; no key is stored."""

import re

from respid.commands.draw import ONE_INTEGER, ONE_STRING, Draw, block
from respid.commands.table import CommandGroup
from respid.ids.layout import Layout
from respid.resp import errors
from respid.resp.reader import parse_integer

_FLOAT = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?inf(?:inity)?", re.IGNORECASE)
_MAX_FLOAT_BYTES = 255  # as in redis-server

group = CommandGroup("string")
hashes = CommandGroup("hash")


@group.draws("INCR key", "Returns the next ID.", "write denyoom fast")
def incr(_layout: Layout, _arguments: list[bytes]) -> Draw:
    return ONE_INTEGER


@group.draws(
    "INCRBY key increment",
    "Reserves a block of consecutive IDs and returns the last one.",
    "write denyoom fast",
)
def incrby(layout: Layout, arguments: list[bytes]) -> Draw | bytes:
    return _block(layout, arguments[2])


@hashes.draws(
    "HINCRBY key field increment",
    "Same as INCRBY; key and field are ignored.",
    "write denyoom fast",
    since="2.0.0",
)
def hincrby(layout: Layout, arguments: list[bytes]) -> Draw | bytes:
    return _block(layout, arguments[3])


def _block(layout: Layout, text: bytes) -> Draw | bytes:
    count = parse_integer(text)
    if count is None:
        return errors.NOT_AN_INTEGER
    if not 1 <= count <= layout.sequence_size:
        return _refuse_increment(count, layout.sequence_size)
    return block(count)


def _refuse_increment(increment: int, most: int) -> bytes:
    advice = "; use ID.RANGE or ID.NEXT COUNT for more IDs at once" if increment > most else ""
    return errors.error(f"ERR increment must be between 1 and {most}, got {increment}{advice}")


@group.draws("INCRBYFLOAT key increment", "Returns the next ID as a string.", "write denyoom fast", since="2.6.0")
def incrbyfloat(_layout: Layout, arguments: list[bytes]) -> Draw | bytes:
    if not is_float(arguments[2]):
        return errors.NOT_A_FLOAT
    if float(arguments[2]) not in (0, 1):  # incr() of some drivers sends 0.0 or 1.0
        return errors.error("ERR increment must be 1: INCRBYFLOAT returns one ID; use INCRBY for a block of IDs")
    return ONE_STRING


def is_float(text: bytes) -> bool:
    """Whether Redis takes the text for a number."""
    return len(text) <= _MAX_FLOAT_BYTES and _FLOAT.fullmatch(text) is not None
