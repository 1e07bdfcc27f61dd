"""TIME, ROLE, WAIT, ACL WHOAMI and MODULE LIST."""

from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer

_TIMEOUT_NOT_AN_INTEGER = errors.error("ERR timeout is not an integer or out of range")
_NEGATIVE_TIMEOUT = errors.error("ERR timeout is negative")

group = CommandGroup("server")
connection = CommandGroup("connection")


@group.command("TIME", "Returns the wall clock as Unix seconds and microseconds.", "loading stale fast", since="2.6.0")
def time(session: Session, _arguments: list[bytes]) -> Reply:
    seconds, microseconds = divmod(session.worker.clock.wall_ns() // 1_000, 1_000_000)
    return encoder.encode([str(seconds), str(microseconds)], session.version)


@group.command("ROLE", "Returns the role: a master without replicas.", "noscript loading stale fast", since="2.8.12")
def role(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.encode(["master", 0, []], session.version)


@connection.command(
    "WAIT numreplicas timeout",
    "Returns 0 at once: there are no replicas.",
    "blocking constant",
    since="3.0.0",
)
def wait(_session: Session, arguments: list[bytes]) -> Reply:
    replicas, timeout = map(parse_integer, arguments[1:])
    if replicas is None:
        return errors.NOT_AN_INTEGER
    if timeout is None:
        return _TIMEOUT_NOT_AN_INTEGER
    return _NEGATIVE_TIMEOUT if timeout < 0 else encoder.integer(0)


group.container("ACL", "A container for commands about users.", since="6.0.0", help_since="6.0.0")


@group.subcommand("ACL WHOAMI", "Returns the connection's user.", "noscript loading stale", since="6.0.0")
def acl_whoami(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.bulk_string(session.user.encode())


group.container("MODULE", "A container for commands about modules.", since="4.0.0")


@group.subcommand(
    "MODULE LIST",
    "Returns an empty list: there are no modules.",
    "admin noscript constant",
    since="4.0.0",
)
def module_list(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.array([])
