"""CLIENT INFO and CLIENT LIST: a line for each connection."""

from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer

_TYPES = (b"normal", b"master", b"replica", b"slave", b"pubsub")
_INVALID_ID = errors.error("ERR Invalid client ID")

group = CommandGroup("connection")


@group.subcommand("CLIENT INFO", "Returns information about the connection.", "noscript loading stale", since="6.2.0")
def client_info(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.text_string(session.describe(), session.version)


@group.subcommand(
    "CLIENT LIST [TYPE NORMAL | MASTER | REPLICA | PUBSUB] [ID client-id ...]",
    "Returns information about all connections, or about some.",
    "admin noscript loading stale",
    since="2.4.0",
)
def client_list(session: Session, arguments: list[bytes]) -> Reply:
    worker, options = session.worker, arguments[2:]
    match [option.upper() for option in options[:1]], options[1:]:
        case [], []:
            return _all_lines(session)
        case [b"TYPE"], [name]:
            if name.lower() not in _TYPES:
                return errors.error(b"ERR Unknown client type '%s'" % name)
            return _all_lines(session) if name.lower() == b"normal" else encoder.text_string("", session.version)
        case [b"ID"], [_, *_] as texts:
            identifiers = list(map(parse_integer, texts))
            if None in identifiers:
                return _INVALID_ID
            chosen = dict.fromkeys(each for each in identifiers if each in worker.clients)
            return encoder.text_string("".join(worker.clients[each].describe() for each in chosen), session.version)
    return errors.SYNTAX


def _all_lines(session: Session) -> bytes:
    worker = session.worker
    return encoder.text_pieces(
        worker.client_list.pieces(session.identifier, worker.clock.monotonic_ns()), session.version
    )
