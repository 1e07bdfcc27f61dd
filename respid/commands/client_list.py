"""CLIENT INFO and CLIENT LIST: a line for each connection."""

from respid.commands.session import Parts, Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer
from respid.worker.client_list import SLICE

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
    options = arguments[2:]
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
            return _chosen_lines(session, [each for each in dict.fromkeys(identifiers) if each is not None])
    return errors.SYNTAX


def _all_lines(session: Session) -> Reply:
    worker = session.worker
    asked_ns = worker.clock.monotonic_ns()
    if worker.client_list.make_some(asked_ns):
        return encoder.text_pieces(worker.client_list.pieces(session.identifier), session.version)
    return _all_lines_in_time(session, asked_ns)


def _all_lines_in_time(session: Session, asked_ns: int) -> Parts:
    """The lines once all are made, with turns of other clients meanwhile."""
    lines = session.worker.client_list
    while not lines.make_some(asked_ns):
        yield b""
    yield encoder.text_pieces(lines.pieces(session.identifier), session.version)


def _chosen_lines(session: Session, identifiers: list[int]) -> Parts:
    """The lines of some clients, in slices: those of a thousand take 10 ms."""
    clients, lines = session.worker.clients, []
    for start in range(0, len(identifiers), SLICE):
        lines += [clients[each].describe() for each in identifiers[start : start + SLICE] if each in clients]
        yield b""
    yield encoder.text_string("".join(lines), session.version)
