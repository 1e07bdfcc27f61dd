"""CLIENT and its subcommands about names, reply modes and eviction."""

from respid.commands.names import refuse_name
from respid.commands.session import Reply, ReplyMode, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer

_UNBLOCK_REASON = errors.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
_SKIPS_NEXT = frozenset({ReplyMode.SKIP_NEXT, ReplyMode.OFF_SKIP_NEXT})
_OFF = frozenset({ReplyMode.OFF, ReplyMode.OFF_SKIP_NEXT, ReplyMode.OFF_SKIPPING})

group = CommandGroup("connection")


group.container("CLIENT", "A container for connection commands.", since="2.4.0")


@group.subcommand("CLIENT ID", "Returns the ID of the connection.", "noscript loading stale", since="5.0.0")
def client_id(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(session.identifier)


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
    "CLIENT SETINFO LIB-NAME libname | LIB-VER libver",
    "Sets the name or the version of the driver.",
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
    skips_next = session.reply_mode in _SKIPS_NEXT  # in a transaction, a SKIP before it still holds
    match arguments[2].upper():
        case b"ON":
            session.reply_mode = ReplyMode.SKIP_NEXT if skips_next else ReplyMode.ON
            return encoder.OK
        case b"OFF":
            session.reply_mode = ReplyMode.OFF_SKIP_NEXT if skips_next else ReplyMode.OFF
        case b"SKIP":
            if session.reply_mode not in _OFF:
                session.reply_mode = ReplyMode.SKIP_NEXT
        case _:
            return errors.SYNTAX
    return b""


@group.subcommand(
    "CLIENT NO-EVICT ON | OFF",
    "Accepted without effect: a client that holds too much memory is closed all the same.",
    "admin noscript loading stale constant",
    since="7.0.0",
)
def client_no_evict(_session: Session, arguments: list[bytes]) -> Reply:
    return encoder.OK if arguments[2].upper() in (b"ON", b"OFF") else errors.SYNTAX


@group.subcommand(
    "CLIENT NO-TOUCH ON | OFF",
    "Accepted without effect: there are no keys to touch.",
    "noscript loading stale constant",
    since="7.2.0",
)
def client_no_touch(_session: Session, arguments: list[bytes]) -> Reply:
    return encoder.OK if arguments[2].upper() in (b"ON", b"OFF") else errors.SYNTAX


@group.subcommand(
    "CLIENT UNPAUSE",
    "Accepted without effect: clients are not paused.",
    "admin noscript loading stale constant",
    since="6.2.0",
)
def client_unpause(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.OK


@group.subcommand(
    "CLIENT UNBLOCK client-id [TIMEOUT | ERROR]",
    "Returns 0: there are no blocking commands.",
    "admin noscript loading stale constant",
    since="5.0.0",
)
def client_unblock(_session: Session, arguments: list[bytes]) -> Reply:
    reasons = [argument.upper() for argument in arguments[3:]]
    if len(reasons) > 1:
        return errors.wrong_subcommand_syntax("client", arguments[1])
    if reasons and reasons[0] not in (b"TIMEOUT", b"ERROR"):
        return _UNBLOCK_REASON
    return errors.NOT_AN_INTEGER if parse_integer(arguments[2]) is None else encoder.integer(0)
