"""PING, ECHO, QUIT, RESET and SELECT."""

from respid.commands.session import Reply, Session
from respid.commands.table import ALWAYS, CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer

DATABASES = 16
_INT_SIZE = 1 << 31

group = CommandGroup("connection")


@group.command("PING [message]", "Returns PONG, or the given message.", "fast repeats")
def ping(session: Session, arguments: list[bytes]) -> Reply:
    if len(arguments) > 2:  # noqa: PLR2004 - the message is the only argument
        return errors.wrong_arity("ping")
    del session
    return encoder.PONG if len(arguments) == 1 else encoder.bulk_string(arguments[1])


@group.command("ECHO message", "Returns the given message.", "loading stale fast")
def echo(_session: Session, arguments: list[bytes]) -> Reply:
    return encoder.bulk_string(arguments[1])


@group.command("QUIT [ignored ...]", "Closes the connection.", f"{ALWAYS} fast no_auth immediate")
def quit_(session: Session, _arguments: list[bytes]) -> Reply:
    session.closing = True
    return encoder.OK


@group.command(
    "RESET",
    "Resets the connection to its initial state.",
    f"{ALWAYS} fast no_auth immediate",
    since="6.2.0",
)
def reset(session: Session, _arguments: list[bytes]) -> Reply:
    session.reset()
    return encoder.RESET


@group.command("SELECT index", "Selects a database; all of them return IDs of the same sequence.", "loading stale fast")
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
