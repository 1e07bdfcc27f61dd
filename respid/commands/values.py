"""GET and SET. No values are stored, so the reply to SET depends on what the client would use it for."""

from typing import NamedTuple

from respid.commands.expiry import refuse_expiry
from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer

_LONGEST_EXPIRY_MS = (1 << 63) - 1
NO_VALUES = errors.error("ERR SET is not supported: respid stores no values, and INCR works on every key without it")
_NO_LOCKS = errors.error(
    "ERR respid is not a lock service: every key exists, so SET with NX never succeeds. Use a Redis server for locks"
)
_COMMAND_OF_UNIT = {b"EX": "expire", b"PX": "pexpire", b"EXAT": "expireat", b"PXAT": "pexpireat"}

group = CommandGroup("string")


@group.command("GET key", "Returns null: no values are stored.", "readonly fast constant repeats")
def get(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.null(session.version)


@group.command(
    "SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds"
    " | PXAT unix-time-milliseconds | KEEPTTL]",
    "With NX, returns null, because every key exists; an error for a lock (a value that is not an integer)."
    " Without NX, an error: no values are stored.",
    "write denyoom constant",
)
def set_(session: Session, arguments: list[bytes]) -> Reply:
    options = _parse_set_options(arguments[3:])
    if options is None:
        return errors.SYNTAX
    if refusal := options.refuse_expiry(session.worker.clock.wall_ms()):
        return refusal
    if not options.only_if_missing or options.returns_value:
        return NO_VALUES  # with GET, null would mean that the value was set
    # The first value of a counter is an integer. That of a lock names its owner, which would retry forever.
    return _NO_LOCKS if parse_integer(arguments[2]) is None else encoder.null(session.version)


class _SetOptions(NamedTuple):
    only_if_missing: bool
    returns_value: bool
    unit: bytes | None  # of the expiry, or KEEPTTL
    time: bytes

    def refuse_expiry(self, now_ms: int) -> bytes | None:
        """The error for an expiry that is not a time, or not in the future."""
        command = _COMMAND_OF_UNIT.get(self.unit or b"")
        if command is None:
            return None
        number = parse_integer(self.time)
        if number is None:
            return errors.NOT_AN_INTEGER
        is_too_long = refuse_expiry(command, self.time, now_ms, longest_ms=_LONGEST_EXPIRY_MS)
        return errors.invalid_expiry("set") if number < 1 or is_too_long else None


def _parse_set_options(words: list[bytes]) -> _SetOptions | None:
    """The options of SET; None when they are not of Redis's form."""
    given: set[bytes] = set()
    unit, time = None, b""
    while words:
        match words[0].upper(), words[1:]:
            case (b"NX" | b"XX" | b"GET" | b"KEEPTTL") as option, rest:
                given.add(option)
            case (b"EX" | b"PX" | b"EXAT" | b"PXAT") as option, [time, *rest]:
                if unit not in (None, option):
                    return None
                unit = option
            case _:
                return None
        words = rest
    if given >= {b"NX", b"XX"} or (b"KEEPTTL" in given and unit is not None):
        return None
    return _SetOptions(b"NX" in given, b"GET" in given, unit, time)
