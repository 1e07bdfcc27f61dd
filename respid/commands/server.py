"""TIME, ROLE and DBSIZE."""

from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder

group = CommandGroup("server")


@group.command("TIME", "Returns the wall clock as Unix seconds and microseconds.", "loading stale fast", since="2.6.0")
def time(session: Session, _arguments: list[bytes]) -> Reply:
    seconds, microseconds = divmod(session.worker.clock.wall_ns() // 1_000, 1_000_000)
    return encoder.encode([str(seconds), str(microseconds)], session.version)


@group.command("ROLE", "Returns the role: a master without replicas.", "noscript loading stale fast", since="2.8.12")
def role(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.encode(["master", 0, []], session.version)


@group.command("DBSIZE", "Returns 0: no keys are stored.", "readonly fast")
def dbsize(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(0)
