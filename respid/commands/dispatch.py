"""Runs requests: finds the handler, after the checks that all commands share."""

from collections.abc import Callable

from respid.commands.draw import Draw
from respid.commands.queued import queue_draws, queue_request
from respid.commands.refused import REFUSED
from respid.commands.session import Queued, Reply, Session
from respid.commands.table import COMMANDS, IMMEDIATE, NO_AUTH, Command
from respid.resp import errors

# Sent by browsers: https://redis.io/docs/latest/operate/oss_and_stack/management/security/
_HTTP_WORDS = (b"POST", b"HOST:")
_CLIENT = "client|"  # the commands that leave the choice of CLIENT CACHING to the next one
OnRepeatable = Callable[[Command, list[bytes]], None]


def ignore(_command: Command, _arguments: list[bytes]) -> None:
    """Does nothing."""


def run_quickly(session: Session, arguments: list[bytes], on_repeatable: OnRepeatable | None) -> bytes | None:
    """Does what `run` does for a request of a kind that runs are made of, in a plain session.

    Returns None if `run` has to answer it: another command, or one that waits or gets an error.
    """
    command = COMMANDS.get(arguments[0])
    if command is None or not command.runs or len(arguments) != command.least:
        return None
    reply = command.handler(session, arguments)
    if not isinstance(reply, bytes) or reply[0] == errors.FIRST_BYTE:
        return None
    name = command.name
    session.worker.stats.commands[name] += 1
    if on_repeatable is not None and session.last_command == name:
        on_repeatable(command, arguments)
    session.last_command = name
    return reply


def run(session: Session, arguments: list[bytes], on_repeatable: OnRepeatable = ignore) -> Reply:
    """Runs a request, or queues it for EXEC. The checks are in the same order as in Redis.

    Calls `on_repeatable` after a command that runs are made of, if the one before was the same.
    """
    if session.tracking is not None and not session.last_command.startswith(_CLIENT):
        session.end_choice()
    command = COMMANDS.get(arguments[0]) or COMMANDS.get(arguments[0].upper())
    if command is not None and command.subcommands and len(arguments) > 1:
        command = command.subcommands.get(arguments[1].upper())
    if command is None:
        return _answer_unknown(session, arguments)
    if len(arguments) != command.arity and not command.accepts(len(arguments)):
        return _reject(session, command.wrong_arity(), command)
    if not session.authenticated and NO_AUTH not in command.flags:
        return _reject(session, errors.NOT_AUTHENTICATED, command)
    is_repeated = session.last_command == command.name
    session.last_command = command.name
    if session.transaction is not None and IMMEDIATE not in command.flags:
        is_repeated = is_repeated or not session.transaction  # like the first request of the transaction before
        reply: Reply = _queue(session, command, arguments, session.transaction)
    else:
        counts = session.worker.stats.commands
        counts[command.name] += 1
        reply = command.handler(session, arguments)
        if reply is None:
            counts[command.name] -= 1  # it waits for an ID, and will be run again
        elif isinstance(reply, bytes) and reply and reply[0] == errors.FIRST_BYTE:
            session.worker.stats.failed_calls[command.name] += 1
    if is_repeated and command.runs and reply is not None:
        on_repeatable(command, arguments)
    return reply


def _answer_unknown(session: Session, arguments: list[bytes]) -> bytes:
    """Answers what is not in the table: refused with advice if Redis has it, else in Redis's words."""
    name = arguments[0].upper()
    if container := COMMANDS.get(name):
        return _answer_unknown_subcommand(session, container.name, arguments[1])
    if name in _HTTP_WORDS:
        session.closing = True
        return b""
    return _refuse(session, REFUSED.get(name) or errors.unknown_command(arguments), is_known=name in REFUSED)


def _answer_unknown_subcommand(session: Session, container: str, subcommand: bytes) -> bytes:
    name = b"%s|%s" % (container.upper().encode(), subcommand.upper())
    error = REFUSED.get(name) or errors.unknown_subcommand(container, subcommand)
    return _refuse(session, error, is_known=name in REFUSED)


def _refuse(session: Session, error: bytes, *, is_known: bool) -> bytes:
    """Like Redis, asks for authentication first, but only if Redis has the command."""
    return _reject(session, errors.NOT_AUTHENTICATED if is_known and not session.authenticated else error)


def _queue(session: Session, command: Command, arguments: list[bytes], transaction: list[Queued]) -> bytes:
    if command.draw_of is not None:
        drawn = command.draw_of(session.worker.generator.layout, arguments)
        if isinstance(drawn, Draw):
            return queue_draws(session, transaction, command.name, drawn, 1)[1]
    return queue_request(session, transaction, command, arguments)


def _reject(session: Session, error: bytes, command: Command | None = None) -> bytes:
    """Returns the error. A request that cannot be queued breaks the transaction; an EXEC ends it."""
    if command is None or not command.name.startswith(_CLIENT):
        session.end_choice()
    if command is not None:
        session.worker.stats.rejected_calls[command.name] += 1
    if command is not None and command.name == "exec":
        session.end_transaction()
        return errors.exec_aborted_by(error)
    session.transaction_broken |= session.transaction is not None
    return error
