"""KEYS, SCAN, RANDOMKEY and DBSIZE: no key is stored, so there is none to list."""

from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer

_INVALID_CURSOR = errors.error("ERR invalid cursor")
_CURSOR_DIGITS = 20  # Python refuses to convert thousands of digits
_CURSORS = 1 << 64

generic = CommandGroup("generic")
server = CommandGroup("server")


@generic.command(
    "KEYS pattern",
    "Returns an empty array: no keys are stored.",
    "readonly constant",
)
def keys(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.array([])


@generic.command(
    "SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]",
    "Returns an empty array: no keys are stored.",
    "readonly constant",
    since="2.8.0",
)
def scan(session: Session, arguments: list[bytes]) -> Reply:
    cursor = arguments[1]
    digits = cursor.lstrip(b"0")
    if not cursor.isdigit() or len(digits) > _CURSOR_DIGITS or int(digits or b"0") >= _CURSORS:
        return _INVALID_CURSOR
    return _refuse_scan_options(arguments[2:]) or encoder.encode(["0", []], session.version)


def _refuse_scan_options(options: list[bytes]) -> bytes | None:
    for option, value in zip(options[::2], [*options[1::2], None], strict=False):
        match option.upper():
            case b"COUNT" if value is not None:
                count = parse_integer(value)
                if count is None:
                    return errors.NOT_AN_INTEGER
                if count < 1:
                    return errors.SYNTAX
            case b"MATCH" | b"TYPE" if value is not None:
                pass
            case _:
                return errors.SYNTAX
    return None


@generic.command(
    "RANDOMKEY",
    "Returns null: no keys are stored.",
    "readonly constant",
)
def randomkey(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.null(session.version)


@server.command(
    "DBSIZE",
    "Returns 0: no keys are stored.",
    "readonly fast constant",
)
def dbsize(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(0)
