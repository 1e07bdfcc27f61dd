"""SLOWLOG and LATENCY, which monitoring tools use: both are always empty."""

from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer

group = CommandGroup("server")


group.container("SLOWLOG", "A container for slow log commands.", since="2.2.12", help_since="6.2.0")


@group.subcommand("SLOWLOG LEN", "Returns 0: there is no slow log.", "admin loading stale constant", since="2.2.12")
def slowlog_len(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(0)


@group.subcommand(
    "SLOWLOG GET [count]",
    "Returns an empty array: there is no slow log.",
    "admin loading stale constant",
    since="2.2.12",
)
def slowlog_get(_session: Session, arguments: list[bytes]) -> Reply:
    match arguments[2:]:
        case []:
            count: int | None = 0
        case [text]:
            count = parse_integer(text)
        case _:
            return errors.wrong_subcommand_syntax("slowlog", arguments[1])
    return errors.SLOWLOG_COUNT if count is None or count < -1 else encoder.array([])


@group.subcommand(
    "SLOWLOG RESET", "Does nothing: there is no slow log.", "admin loading stale constant", since="2.2.12"
)
def slowlog_reset(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.OK


group.container("LATENCY", "A container for latency commands.", since="2.8.13", help_since="2.8.13")


@group.subcommand(
    "LATENCY LATEST",
    "Returns an empty array: latency is in the metrics.",
    "admin noscript loading stale constant",
    since="2.8.13",
)
def latency_latest(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.array([])


@group.subcommand(
    "LATENCY HISTORY event",
    "Returns an empty array: latency is in the metrics.",
    "admin noscript loading stale constant",
    since="2.8.13",
)
def latency_history(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.array([])


@group.subcommand(
    "LATENCY HISTOGRAM [command ...]",
    "Returns an empty map: latency is in the metrics.",
    "admin noscript loading stale constant",
    since="7.0.0",
)
def latency_histogram(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.map_header(0, session.version)


@group.subcommand(
    "LATENCY RESET [event ...]",
    "Returns 0: no latency events are recorded.",
    "admin noscript loading stale constant",
    since="2.8.13",
)
def latency_reset(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(0)
