"""The Redis commands that take a key. Every key returns IDs of the same sequence; no key is stored."""

import re

from respid.commands.session import Reply, RequestKind, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer

_FLOAT = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?inf(?:inity)?", re.IGNORECASE)
_MAX_FLOAT_BYTES = 255  # as in redis-server

# A block is small if this many of its size fit into a millisecond. Drivers and ORMs reserve 10 to 100 IDs at a time;
# only an import waits because its blocks are larger than that.
SMALL_BLOCKS = 16

group = CommandGroup("string")
hashes = CommandGroup("hash")


@group.command("INCR key", "Returns the next ID.", "write denyoom fast draws")
def incr(session: Session, _arguments: list[bytes]) -> Reply:
    first, count = session.take(1)
    return encoder.integer(first) if count else session.refusal()


@group.command(
    "INCRBY key increment",
    "Reserves a block of consecutive IDs and returns the last one.",
    "write denyoom fast draws",
)
def incrby(session: Session, arguments: list[bytes]) -> Reply:
    return _take_block(session, arguments[2])


@hashes.command(
    "HINCRBY key field increment",
    "Same as INCRBY; key and field are ignored.",
    "write denyoom fast draws",
    since="2.0.0",
)
def hincrby(session: Session, arguments: list[bytes]) -> Reply:
    return _take_block(session, arguments[3])


def _take_block(session: Session, text: bytes) -> Reply:
    count = parse_integer(text)
    if count is None:
        return errors.NOT_AN_INTEGER
    generator = session.worker.generator
    if not 1 <= count <= generator.layout.sequence_size:
        return _refuse_increment(count, generator.layout.sequence_size)
    if count * SMALL_BLOCKS > generator.layout.sequence_size:
        session.wait.kind = RequestKind.BLOCK
    first, taken = generator.take_block(count, session.wait.since_ms)
    return encoder.integer(first + taken - 1) if taken else session.refusal()


def _refuse_increment(increment: int, most: int) -> bytes:
    advice = "; use ID.RANGE or ID.NEXT COUNT for more IDs at once" if increment > most else ""
    return errors.error(f"ERR increment must be between 1 and {most}, got {increment}{advice}")


@group.command(
    "INCRBYFLOAT key increment", "Returns the next ID as a string.", "write denyoom fast draws", since="2.6.0"
)
def incrbyfloat(session: Session, arguments: list[bytes]) -> Reply:
    if len(arguments[2]) > _MAX_FLOAT_BYTES or _FLOAT.fullmatch(arguments[2]) is None:
        return errors.NOT_A_FLOAT
    if float(arguments[2]) not in (0, 1):  # incr() of some drivers sends 0.0 or 1.0
        return errors.error("ERR increment must be 1: INCRBYFLOAT returns one ID; use INCRBY for a block of IDs")
    first, count = session.take(1)
    return encoder.bulk_string(b"%d" % first) if count else session.refusal()
