"""CLIENT and its subcommands: names, reply modes, and lists of connections."""

from respid.commands.names import refuse_name
from respid.commands.session import Reply, ReplyMode, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors

group = CommandGroup("connection")


group.container("CLIENT", "A container for connection commands.", since="2.4.0")


@group.subcommand("CLIENT ID", "Returns the ID of the connection.", "noscript loading stale", since="5.0.0")
def client_id(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(session.identifier)


@group.subcommand("CLIENT INFO", "Returns information about the connection.", "noscript loading stale", since="6.2.0")
def client_info(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.text_string(session.describe(), session.version)


@group.subcommand(
    "CLIENT LIST", "Returns information about all connections.", "admin noscript loading stale", since="2.4.0"
)
def client_list(session: Session, _arguments: list[bytes]) -> Reply:
    lines = [connected.describe() for connected in session.worker.clients.values()]
    return encoder.text_string("".join(lines), session.version)


@group.subcommand("CLIENT GETNAME", "Returns the name of the connection.", "noscript loading stale", since="2.6.9")
def client_getname(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.bulk_string(session.name) if session.name else encoder.null(session.version)


@group.subcommand(
    "CLIENT SETNAME connection-name", "Sets the name of the connection.", "noscript loading stale", since="2.6.9"
)
def client_setname(session: Session, arguments: list[bytes]) -> Reply:
    if refusal := refuse_name(b"Client names", arguments[2]):
        return refusal
    session.name = arguments[2]
    return encoder.OK


@group.subcommand(
    "CLIENT SETINFO attribute value",
    "Sets LIB-NAME or LIB-VER, the name or version of the driver.",
    "noscript loading stale",
    since="7.2.0",
)
def client_setinfo(session: Session, arguments: list[bytes]) -> Reply:
    attribute, value = arguments[2].lower(), arguments[3]
    if attribute not in (b"lib-name", b"lib-ver"):
        return errors.error(b"ERR Unrecognized option '%s'" % arguments[2])
    if refusal := refuse_name(arguments[2], value):
        return refusal
    if attribute == b"lib-name":
        session.library_name = value
    else:
        session.library_version = value
    return encoder.OK


@group.subcommand(
    "CLIENT REPLY ON | OFF | SKIP",
    "Sets whether the server replies to commands.",
    "noscript loading stale",
    since="3.2.0",
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
    "Accepted without effect: no value ever changes.",
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
    """The names of the options of CLIENT TRACKING; None for a syntax error."""
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


@group.subcommand("CLIENT GETREDIR", "Returns -1: tracking is not redirected.", "noscript loading stale", since="6.0.0")
def client_getredir(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(-1)


@group.subcommand(
    "CLIENT NO-EVICT ON | OFF",
    "Accepted without effect: clients are not evicted.",
    "admin noscript loading stale",
    since="7.0.0",
)
def client_no_evict(_session: Session, arguments: list[bytes]) -> Reply:
    return encoder.OK if arguments[2].upper() in (b"ON", b"OFF") else errors.SYNTAX


@group.subcommand(
    "CLIENT NO-TOUCH ON | OFF",
    "Accepted without effect: there are no keys to touch.",
    "noscript loading stale",
    since="7.2.0",
)
def client_no_touch(_session: Session, arguments: list[bytes]) -> Reply:
    return encoder.OK if arguments[2].upper() in (b"ON", b"OFF") else errors.SYNTAX
