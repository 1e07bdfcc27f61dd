"""MULTI, EXEC, DISCARD, WATCH and UNWATCH. No values are stored, so a watched key never changes."""

from functools import lru_cache

from respid.commands.draw import Draw
from respid.commands.known import Known, answer_known
from respid.commands.queued import ENTRY_BYTES, QueuedDraws, QueuedKnown
from respid.commands.session import Parts, Queued, Reply, Session
from respid.commands.table import ALWAYS, CommandGroup
from respid.resp import encoder, errors

group = CommandGroup("transactions")

MOST_AT_ONCE = 512  # requests of a transaction; more are answered in several turns


@group.command(
    "MULTI", "Starts a transaction: commands are queued until EXEC.", f"{ALWAYS} fast immediate", since="1.2.0"
)
def multi(session: Session, _arguments: list[bytes]) -> Reply:
    if session.transaction is not None:
        return errors.NESTED_MULTI
    session.transaction = []
    session.queued_requests = session.queued_size = 0
    return encoder.OK


@group.command(
    "EXEC",
    "Runs the queued commands and returns their replies.",
    "noscript loading stale skip_slowlog immediate",
    since="1.2.0",
)
def exec_(session: Session, _arguments: list[bytes]) -> Reply:
    transaction = session.transaction
    if transaction is None:
        return errors.EXEC_WITHOUT_MULTI
    reply: Reply = errors.EXEC_ABORTED
    if not session.transaction_broken:
        reply = _run(session, transaction)
        # EXEC can only fail as a whole before its reply begins; later, single elements become errors.
        if any(queued.draws_ids for queued in transaction) and session.worker.generator.obstacle() is not None:
            reply = session.refusal()
    if reply is not None:
        held_bytes = 0 if isinstance(reply, bytes) else session.queued_bytes
        session.end_transaction()
        session.queued_bytes = held_bytes
    return reply


def _run(session: Session, transaction: list[Queued]) -> Parts:
    yield encoder.array_header(sum(queued.count for queued in transaction))
    for queued in transaction:
        yield from queued.replies(session)
    session.queued_bytes = 0


def run_at_once(session: Session, name: str, draw: Draw, count: int) -> tuple[bytes, Parts | None]:
    """Does what MULTI, `count` requests that draw IDs, and EXEC would do in a plain session; in a transaction, EXEC.

    Returns the replies, and the rest of the reply to EXEC if it has to wait for IDs. If the requests are too many for a
    transaction, or EXEC would fail, it does nothing and returns no replies.
    """
    if not _may_run_at_once(session, count):
        return b"", None
    first, drawn = draw.take(session, count)
    session.worker.stats.commands[name] += drawn
    replies = draw.encode(first, draw.ids, drawn) if drawn else b""
    rest = QueuedDraws(name, draw, count - drawn) if drawn < count else None
    return _exec_at_once(session, count, replies, rest)


def run_known_at_once(session: Session, requests: tuple[Known, ...]) -> tuple[bytes, Parts | None]:
    """Does the same with known requests."""
    count = len(requests)
    if not _may_run_at_once(session, count):
        return b"", None
    answered, replies = answer_known(session, requests)
    rest = QueuedKnown(requests[answered:], session.version) if answered < count else None
    return _exec_at_once(session, count, replies, rest)


def exec_at_once(session: Session) -> tuple[bytes, Parts | None]:
    """Does the same for the EXEC of a transaction of a run, or of known requests. For another, it does nothing."""
    transaction = session.transaction
    if transaction is None or len(transaction) != 1 or transaction[0].count > MOST_AT_ONCE:
        return b"", None
    (queued,) = transaction
    if isinstance(queued, QueuedDraws):
        return run_at_once(session, queued.name, queued.draw, queued.count)
    if isinstance(queued, QueuedKnown):  # alone, so no HELLO before them changes the version
        return run_known_at_once(session, queued.requests)
    return b"", None


def _may_run_at_once(session: Session, count: int) -> bool:
    worker = session.worker
    return count <= worker.config.max_queued_commands and worker.generator.obstacle() is None


def _exec_at_once(session: Session, count: int, replies: bytes, rest: Queued | None) -> tuple[bytes, Parts | None]:
    counts = session.worker.stats.commands
    if session.transaction is None:
        opening = _opening(count)
        counts["multi"] += 1
    else:
        opening = encoder.array_header(count)
        session.end_transaction()
    counts["exec"] += 1
    session.last_command = "exec"
    return opening + replies, None if rest is None else _rest(session, rest)


@lru_cache(maxsize=32)
def _opening(count: int) -> bytes:
    """The replies to MULTI and to `count` requests, and the beginning of the reply to EXEC."""
    return encoder.OK + encoder.QUEUED * count + encoder.array_header(count)


def _rest(session: Session, queued: Queued) -> Parts:
    session.queued_bytes = ENTRY_BYTES
    parts = _run(session, [queued])
    next(parts)  # the header, which was sent for all of them
    return parts


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
