"""MULTI, EXEC, DISCARD, WATCH and UNWATCH. No values are stored, so a watched key never changes."""

from respid.commands.session import Parts, QueuedCommand, Reply, Session
from respid.commands.table import ALWAYS, CommandGroup
from respid.resp import encoder, errors

group = CommandGroup("transactions")


@group.command(
    "MULTI", "Starts a transaction: commands are queued until EXEC.", f"{ALWAYS} fast immediate", since="1.2.0"
)
def multi(session: Session, _arguments: list[bytes]) -> Reply:
    if session.transaction is not None:
        return errors.NESTED_MULTI
    session.transaction = []
    session.has_begun_transaction = True
    session.queued_size = 0
    return encoder.OK


@group.command(
    "EXEC",
    "Runs the queued commands and returns their replies.",
    "noscript loading stale skip_slowlog immediate",
    since="1.2.0",
)
def exec_(session: Session, _arguments: list[bytes]) -> Reply:
    queued = session.transaction
    if queued is None:
        return errors.EXEC_WITHOUT_MULTI
    reply: Reply = errors.EXEC_ABORTED
    if not session.transaction_broken:
        reply = _run(session, queued)
        # EXEC can only fail as a whole before its reply begins; later, single elements become errors.
        if any(command.draws_ids for command in queued) and session.worker.generator.obstacle() is not None:
            reply = session.refusal()
    if reply is not None:
        session.end_transaction()
    return reply


def _run(session: Session, queued: list[QueuedCommand]) -> Parts:
    yield encoder.array_header(len(queued))
    for command in queued:
        session.worker.stats.commands[command.name] += 1
        reply = command.handler(session, command.arguments)
        while reply is None:
            yield None
            reply = command.handler(session, command.arguments)
        if not isinstance(reply, bytes):
            yield from reply
        elif reply:
            yield reply


@group.command("DISCARD", "Discards the queued commands.", f"{ALWAYS} fast immediate", since="2.0.0")
def discard(session: Session, _arguments: list[bytes]) -> Reply:
    if session.transaction is None:
        return errors.DISCARD_WITHOUT_MULTI
    session.end_transaction()
    return encoder.OK


@group.command("WATCH key [key ...]", "Does nothing: values never change.", f"{ALWAYS} fast immediate", since="2.2.0")
def watch(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.OK if session.transaction is None else errors.WATCH_INSIDE_MULTI


@group.command("UNWATCH", "Does nothing: values never change.", f"{ALWAYS} fast", since="2.2.0")
def unwatch(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.OK
