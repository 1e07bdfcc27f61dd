"""The commands about expiry. Keys do not expire: none has a time to live, and none can be given one."""

from collections.abc import Callable

from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer

NO_EXPIRY = -1
_NO_EXPIRY = encoder.integer(NO_EXPIRY)
_EXPIRY_NOT_SET = 0
_LARGEST_INTEGER = (1 << 63) - 1
_LARGEST_HASH_EXPIRY_MS = (1 << 46) - 1
_CONDITIONS = (b"NX", b"XX", b"GT", b"LT")

_INCOMPATIBLE_WITH_NX = errors.error("ERR NX and XX, GT or LT options at the same time are not compatible")
_GT_AND_LT = errors.error("ERR GT and LT options at the same time are not compatible")
_NO_FIELDS = errors.error("ERR Mandatory argument FIELDS is missing or not at the right position")
_WRONG_FIELD_COUNT = errors.error("ERR The `numfields` parameter must match the number of arguments")
_NEGATIVE_EXPIRY = errors.error("ERR invalid expire time, must be >= 0")
_FIELD_COUNT_TO_EXPIRE = errors.error("ERR Parameter `numFields` should be greater than 0")
_FIELD_COUNT = errors.error("ERR Number of fields must be a positive integer")

generic = CommandGroup("generic")
hashes = CommandGroup("hash")


@generic.command("TTL key", "Returns -1: keys do not expire.", "readonly fast constant repeats")
@generic.command("PTTL key", "Returns -1: keys do not expire.", "readonly fast constant repeats", since="2.6.0")
@generic.command("EXPIRETIME key", "Returns -1: keys do not expire.", "readonly fast constant", since="7.0.0")
@generic.command("PEXPIRETIME key", "Returns -1: keys do not expire.", "readonly fast constant", since="7.0.0")
def no_expiry(_session: Session, _arguments: list[bytes]) -> Reply:
    return _NO_EXPIRY


@generic.command("PERSIST key", "Returns 0: keys do not expire.", "write fast constant", since="2.2.0")
def persist(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(_EXPIRY_NOT_SET)


@generic.command("EXPIRE key seconds [NX | XX | GT | LT]", "Returns 0: keys do not expire.", "write fast constant")
@generic.command(
    "PEXPIRE key milliseconds [NX | XX | GT | LT]",
    "Returns 0: keys do not expire.",
    "write fast constant",
    since="2.6.0",
)
@generic.command(
    "EXPIREAT key unix-time-seconds [NX | XX | GT | LT]",
    "Returns 0: keys do not expire.",
    "write fast constant",
    since="1.2.0",
)
@generic.command(
    "PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]",
    "Returns 0: keys do not expire.",
    "write fast constant",
    since="2.6.0",
)
def expire(session: Session, arguments: list[bytes]) -> Reply:
    name, _, time, *options = arguments
    refusal = _refuse_conditions(options) or refuse_expiry(
        name.decode().lower(), time, session.worker.clock.wall_ms(), longest_ms=_LARGEST_INTEGER
    )
    return refusal or encoder.integer(_EXPIRY_NOT_SET)


def _refuse_conditions(options: list[bytes]) -> bytes | None:
    conditions = {option.upper() for option in options}
    for option in options:
        if option.upper() not in _CONDITIONS:
            return errors.unsupported_option(option)
    if b"NX" in conditions and len(conditions) > 1:
        return _INCOMPATIBLE_WITH_NX
    return _GT_AND_LT if conditions >= {b"GT", b"LT"} else None


def refuse_expiry(command: str, time: bytes, now_ms: int, *, longest_ms: int) -> bytes | None:
    """The error for an expiry that Redis refuses too. The command's name tells the unit, and whether it is relative."""
    number = parse_integer(time)
    if number is None:
        return errors.NOT_AN_INTEGER
    unit_ms = 1 if command.lstrip("h").startswith("p") else 1000
    start_ms = 0 if command.endswith("at") else now_ms
    milliseconds = number * unit_ms
    if milliseconds < -_LARGEST_INTEGER - 1 or milliseconds + start_ms > longest_ms:
        return errors.invalid_expiry(command)
    return None


def _declare_field_commands(names: str, since: str, handler: Callable[[Session, list[bytes]], Reply]) -> None:
    for name in names.split():
        hashes.command(
            f"{name} key FIELDS numfields field [field ...]",
            "Returns -1 for each field: fields do not expire.",
            "write fast constant" if name == "HPERSIST" else "readonly fast constant",
            since,
        )(handler)


def no_field_expiry(_session: Session, arguments: list[bytes]) -> Reply:
    return _answer_fields(arguments[2:], NO_EXPIRY, _FIELD_COUNT)


_declare_field_commands("HTTL HPTTL HEXPIRETIME HPEXPIRETIME HPERSIST", "7.4.0", no_field_expiry)


@hashes.command(
    "HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    "Returns 0 for each field: fields do not expire.",
    "write fast constant",
    since="7.4.0",
)
@hashes.command(
    "HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    "Returns 0 for each field: fields do not expire.",
    "write fast constant",
    since="7.4.0",
)
@hashes.command(
    "HEXPIREAT key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    "Returns 0 for each field: fields do not expire.",
    "write fast constant",
    since="7.4.0",
)
@hashes.command(
    "HPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    "Returns 0 for each field: fields do not expire.",
    "write fast constant",
    since="7.4.0",
)
def hexpire(session: Session, arguments: list[bytes]) -> Reply:
    name, _, time, *rest = arguments
    if refusal := _refuse_field_expiry(name.decode().lower(), time, session.worker.clock.wall_ms()):
        return refusal
    fields = rest[1:] if rest[0].upper() in _CONDITIONS else rest
    return _answer_fields(fields, _EXPIRY_NOT_SET, _FIELD_COUNT_TO_EXPIRE)


def _refuse_field_expiry(command: str, time: bytes, now_ms: int) -> bytes | None:
    number = parse_integer(time)
    if number is not None and number < 0:
        return _NEGATIVE_EXPIRY
    return refuse_expiry(command, time, now_ms, longest_ms=_LARGEST_HASH_EXPIRY_MS)


def _answer_fields(words: list[bytes], answer: int, bad_count: bytes) -> bytes:
    """The same answer for each field of `FIELDS numfields field …`."""
    if words[0].upper() != b"FIELDS":
        return _NO_FIELDS
    count = parse_integer(words[1]) if len(words) > 1 else None
    if count is None or count < 1:
        return bad_count
    if count != len(words) - 2:
        return _WRONG_FIELD_COUNT
    return encoder.array([encoder.integer(answer)] * count)
