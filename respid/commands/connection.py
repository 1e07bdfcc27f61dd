"""The commands about the connection itself: handshake, authentication, names, reply modes."""

import re
from typing import NamedTuple

from respid.commands.session import Reply, ReplyMode, Session
from respid.commands.table import ALWAYS, CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer
from respid.worker.credentials import DEFAULT_USER

# What respid answers as: the newest Redis whose drivers send nothing that only a Redis with data could answer.
REDIS_VERSION = "7.4.0"
DATABASES = 16
_INT_SIZE = 1 << 31
_PRINTABLE = re.compile(rb"[!-~]*")
MAX_NAME_BYTES = 512  # ten thousand clients' names are in one CLIENT LIST

group = CommandGroup("connection")


@group.command("PING [message]", "Returns PONG, or the message.", "fast")
def ping(session: Session, arguments: list[bytes]) -> Reply:
    if len(arguments) > 2:  # noqa: PLR2004 - the optional message is the only argument
        return errors.wrong_arity("ping")
    del session
    return encoder.PONG if len(arguments) == 1 else encoder.bulk_string(arguments[1])


@group.command("ECHO message", "Returns the message.", "loading stale fast")
def echo(_session: Session, arguments: list[bytes]) -> Reply:
    return encoder.bulk_string(arguments[1])


@group.command("QUIT [ignored ...]", "Closes the connection.", f"{ALWAYS} fast no_auth immediate")
def quit_(session: Session, _arguments: list[bytes]) -> Reply:
    session.closing = True
    return encoder.OK


@group.command(
    "RESET",
    "Makes the connection as it was when it was opened.",
    f"{ALWAYS} fast no_auth immediate",
    since="6.2.0",
)
def reset(session: Session, _arguments: list[bytes]) -> Reply:
    session.reset()
    return encoder.RESET


@group.command("SELECT index", "Accepts any database: all give the same IDs.", "loading stale fast")
def select(session: Session, arguments: list[bytes]) -> Reply:
    index = parse_integer(arguments[1])
    if index is None:
        return errors.NOT_AN_INTEGER
    if not -_INT_SIZE <= index < _INT_SIZE:
        return errors.NOT_AN_INT
    if not 0 <= index < DATABASES:
        return errors.DATABASE_OUT_OF_RANGE
    session.database = index
    return encoder.OK


@group.command("AUTH [username] password", "Authenticates the connection.", f"{ALWAYS} fast no_auth")
def auth(session: Session, arguments: list[bytes]) -> Reply:
    match arguments[1:]:
        case [password]:
            if not session.worker.credentials.are_needed:
                return errors.NO_PASSWORD_SET
            username = DEFAULT_USER.encode()
        case [username, password]:
            pass
        case _:
            return errors.SYNTAX
    return encoder.OK if _authenticate(session, username, password) else errors.WRONG_PASSWORD


def _authenticate(session: Session, username: bytes, password: bytes) -> bool:
    user = session.worker.credentials.find_user(username, password)
    if user is None:
        session.worker.count_auth_failure(session.address)
        return False
    session.authenticated = True
    session.user = user
    return True


@group.command(
    "HELLO [protover [AUTH username password] [SETNAME clientname]]",
    "Switches the protocol version and introduces the server.",
    f"{ALWAYS} fast no_auth",
    since="6.0.0",
)
def hello(session: Session, arguments: list[bytes]) -> Reply:
    version = session.version
    if len(arguments) > 1:
        number = parse_integer(arguments[1])
        if number is None:
            return errors.PROTOCOL_NOT_AN_INTEGER
        if number not in (2, 3):
            return errors.NO_PROTOCOL
        version = number
    options = _parse_hello_options(arguments[2:])
    if isinstance(options, bytes):
        return options
    if options.credentials is not None and not _authenticate(session, *options.credentials):
        return errors.WRONG_PASSWORD
    if not session.authenticated:
        return errors.HELLO_NOT_AUTHENTICATED
    session.version = version
    if options.name is not None:
        session.name = options.name
    return encoder.encode(
        {
            "server": "redis",
            "version": REDIS_VERSION,
            "proto": version,
            "id": session.identifier,
            "mode": "standalone",
            "role": "master",
            "modules": [],
        },
        version,
    )


class _HelloOptions(NamedTuple):
    credentials: tuple[bytes, bytes] | None
    name: bytes | None


def _parse_hello_options(options: list[bytes]) -> _HelloOptions | bytes:
    """The options of HELLO, or the error to reply."""
    credentials: tuple[bytes, bytes] | None = None
    name: bytes | None = None
    while options:
        match options[0].upper(), options[1:]:
            case b"AUTH", [username, password, *rest]:
                credentials = username, password
            case b"SETNAME", [name, *rest]:
                if refusal := _refuse_name(b"Client names", name):
                    return refusal
            case _:
                return errors.hello_syntax(options[0])
        options = rest
    return _HelloOptions(credentials, name)


def _refuse_name(what: bytes, name: bytes) -> bytes | None:
    if len(name) > MAX_NAME_BYTES:
        return errors.error(b"ERR %s cannot be longer than %d bytes" % (what, MAX_NAME_BYTES))
    if not _PRINTABLE.fullmatch(name):
        return errors.error(b"ERR %s cannot contain spaces, newlines or special characters." % what)
    return None


group.container("CLIENT", "A container for commands about the connection.", since="2.4.0")


@group.subcommand("CLIENT ID", "Returns the connection's number.", "noscript loading stale", since="5.0.0")
def client_id(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(session.identifier)


@group.subcommand("CLIENT INFO", "Returns what is known of the connection.", "noscript loading stale", since="6.2.0")
def client_info(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.text_string(session.describe(), session.version)


@group.subcommand(
    "CLIENT LIST", "Returns what is known of all connections.", "admin noscript loading stale", since="2.4.0"
)
def client_list(session: Session, _arguments: list[bytes]) -> Reply:
    lines = [connected.describe() for connected in session.worker.clients.values()]
    return encoder.text_string("".join(lines), session.version)


@group.subcommand("CLIENT GETNAME", "Returns the connection's name.", "noscript loading stale", since="2.6.9")
def client_getname(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.bulk_string(session.name) if session.name else encoder.null(session.version)


@group.subcommand("CLIENT SETNAME connection-name", "Names the connection.", "noscript loading stale", since="2.6.9")
def client_setname(session: Session, arguments: list[bytes]) -> Reply:
    if refusal := _refuse_name(b"Client names", arguments[2]):
        return refusal
    session.name = arguments[2]
    return encoder.OK


@group.subcommand(
    "CLIENT SETINFO attribute value", "Notes the driver's LIB-NAME or LIB-VER.", "noscript loading stale", since="7.2.0"
)
def client_setinfo(session: Session, arguments: list[bytes]) -> Reply:
    attribute, value = arguments[2].lower(), arguments[3]
    if attribute not in (b"lib-name", b"lib-ver"):
        return errors.error(b"ERR Unrecognized option '%s'" % arguments[2])
    if refusal := _refuse_name(arguments[2], value):
        return refusal
    if attribute == b"lib-name":
        session.library_name = value
    else:
        session.library_version = value
    return encoder.OK


@group.subcommand(
    "CLIENT REPLY ON | OFF | SKIP", "Sets whether commands are answered.", "noscript loading stale", since="3.2.0"
)
def client_reply(session: Session, arguments: list[bytes]) -> Reply:
    match arguments[2].upper():
        case b"ON":
            session.reply_mode = ReplyMode.ON
            return encoder.OK
        case b"OFF":
            session.reply_mode = ReplyMode.OFF
        case b"SKIP":
            if session.reply_mode is not ReplyMode.OFF:
                session.reply_mode = ReplyMode.SKIP_NEXT
        case _:
            return errors.SYNTAX
    return b""


@group.subcommand(
    "CLIENT TRACKING ON | OFF [option ...]",
    "Accepted: nothing is cached that could change.",
    "noscript loading stale",
    since="6.0.0",
)
def client_tracking(_session: Session, arguments: list[bytes]) -> Reply:
    options = _parse_tracking_options(arguments[3:])
    is_on = arguments[2].upper() == b"ON"
    if options is None or (not is_on and arguments[2].upper() != b"OFF"):
        return errors.SYNTAX
    if not is_on:
        return encoder.OK
    if b"PREFIX" in options and b"BCAST" not in options:
        return errors.TRACKING_PREFIX_WITHOUT_BCAST
    if b"BCAST" in options and options & {b"OPTIN", b"OPTOUT"}:
        return errors.TRACKING_OPT_WITH_BCAST
    return errors.TRACKING_OPTIN_AND_OPTOUT if options >= {b"OPTIN", b"OPTOUT"} else encoder.OK


def _parse_tracking_options(words: list[bytes]) -> set[bytes] | None:
    """The names of the options of CLIENT TRACKING; None when they are not of Redis's form."""
    options: set[bytes] = set()
    while words:
        match words[0].upper(), words[1:]:
            case (b"REDIRECT" | b"PREFIX") as option, [_, *rest]:
                options.add(option)
            case (b"BCAST" | b"OPTIN" | b"OPTOUT" | b"NOLOOP") as option, rest:
                options.add(option)
            case _:
                return None
        words = rest
    return options


@group.subcommand(
    "CLIENT GETREDIR", "Returns -1: tracking is never redirected.", "noscript loading stale", since="6.0.0"
)
def client_getredir(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(-1)


@group.subcommand(
    "CLIENT NO-EVICT ON | OFF", "Accepted: no client is evicted.", "admin noscript loading stale", since="7.0.0"
)
def client_no_evict(_session: Session, arguments: list[bytes]) -> Reply:
    return encoder.OK if arguments[2].upper() in (b"ON", b"OFF") else errors.SYNTAX


@group.subcommand(
    "CLIENT NO-TOUCH ON | OFF", "Accepted: there is nothing to touch.", "noscript loading stale", since="7.2.0"
)
def client_no_touch(_session: Session, arguments: list[bytes]) -> Reply:
    return encoder.OK if arguments[2].upper() in (b"ON", b"OFF") else errors.SYNTAX
