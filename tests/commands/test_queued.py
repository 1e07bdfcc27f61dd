"""Known requests that are queued, and how EXEC answers them. `test_transaction` has the other requests."""

from dataclasses import replace

import pytest

from respid.commands import queue_known, run
from respid.commands.known import Known, known_kinds
from respid.commands.session import Queued, Session
from respid.ids.layout import Layout
from respid.resp import encoder, errors
from respid.worker.worker import PATIENCE_MS, Worker
from tests.support.command_client import CommandClient
from tests.support.reply_parser import parse_replies
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import RESERVED_MS, connect, start_worker


@pytest.fixture
def session(worker: Worker) -> Session:
    """In MULTI."""
    session = connect(worker).session
    run(session, [b"MULTI"])
    return session


def subjects(session: Session, words: str) -> tuple[Known, ...]:
    """Returns the known requests of these commands, such as INCR."""
    by_name = {kind.subject.words.split()[0]: kind.subject for kind in known_kinds(session).values()}
    return tuple([by_name[word] for word in words.split()])


def queue(session: Session, *entries: str) -> list[Queued]:
    """Queues known requests, as if they came in as many reads. Returns all that is queued."""
    assert session.transaction is not None
    for words in entries:
        known = subjects(session, words)
        assert queue_known(session, session.transaction, known) == (len(known), encoder.QUEUED * len(known))
    return session.transaction


def run_exec(session: Session) -> list[bytes | None]:
    """Returns the parts of the reply to EXEC up to one that waits; [None] if EXEC as a whole waits."""
    reply = run(session, [b"EXEC"])
    if reply is None or isinstance(reply, bytes):
        return [reply]
    parts: list[bytes | None] = []
    for part in reply:
        parts.append(part)
        if part is None:
            break
    return parts


@pytest.mark.parametrize(
    ("entries", "draws"),
    [
        (["GET PING"], False),
        (["GET PING", "PING"], False),
        (["GET INCR"], True),
        (["GET PING", "INCR GET"], True),
        (["INCR GET", "PING"], True),
    ],
)
def test_exec_waits_if_a_known_request_draws(
    session: Session, clock: ScriptedClock, entries: list[str], *, draws: bool
) -> None:
    queue(session, *entries)
    clock.pass_ms(RESERVED_MS + 1)
    assert (run_exec(session) == [None]) == draws


def test_known_requests_are_queued_as_one_entry(session: Session) -> None:
    """Up to one that has 128 or more. A run of draws is an entry of its own."""
    few, many = "GET INCR", "GET INCR " * 62
    assert [queued.count for queued in queue(session, few, many, "PING")] == [127]
    assert [queued.count for queued in queue(session, "PING", few)] == [128, 2]
    assert (session.queued_bytes, session.queued_requests, session.queued_size) == (2 * 200 + 130 * 8, 130, 130)
    assert [queued.count for queued in queue(session, "INCR INCR", "INCR", few)] == [128, 2, 3, 2]
    assert session.queued_bytes == 4 * 200 + 132 * 8


def test_draws_of_other_commands_are_entries_of_their_own(session: Session) -> None:
    """Although they draw the same, they are counted apart."""
    assert [queued.count for queued in queue(session, "INCR INCR", "INCRBY", "INCRBY", "INCR")] == [2, 2, 1]


def test_known_requests_are_answered_together(session: Session) -> None:
    queue(session, "INCR GET INCR", "PING ID.NEXT")
    header, replies = run_exec(session)
    assert header == b"*5\r\n"
    assert replies is not None
    first, missing, second, pong, third = parse_replies(replies)
    assert [missing.text, pong.text] == [None, b"PONG"]
    numbers = [int(each.text or b"") for each in (first, second, third)]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


@pytest.mark.parametrize("before", ["2", "3"])
@pytest.mark.parametrize("after", ["2", "3"])
def test_hello_before_known_requests_decides_their_replies(session: Session, before: str, after: str) -> None:
    session.version = int(before)
    assert run(session, [b"HELLO", after.encode()]) == encoder.QUEUED
    queue(session, "GET PING GET")
    assert run_exec(session)[-1] == (encoder.null(int(after)) + encoder.PONG + encoder.null(int(after)))


def test_known_requests_fail_by_element_once_begun(clock: ScriptedClock) -> None:
    """At the ceiling, those that draw are refused one by one, and the others are answered."""
    worker = start_worker(clock, reserved_ms=2, layout=Layout(sequence_bits=4))
    session = connect(worker).session
    run(session, [b"MULTI"])
    queue(session, "GET " + "INCR GET " * 40)
    reply = run(session, [b"EXEC"])
    assert reply is not None
    assert not isinstance(reply, bytes)
    replies = b""
    for part in reply:
        assert session.last_command == "exec"
        if part is None:
            clock.pass_ms(1 if worker.generator.obstacle() is None else PATIENCE_MS)
        replies += part or b""
    (elements,) = [parsed.elements for parsed in parse_replies(replies)]
    assert [element.type for element in elements[1::2]] == [":"] * 32 + ["-"] * 8
    assert {element.text for element in elements[::2]} == {None}
    assert (worker.stats.commands["incr"], worker.stats.commands["get"]) == (40, 41)


@pytest.mark.parametrize("words", ["GET PING", "INCR GET", "INCR INCR"])
def test_known_requests_exceed_limit_of_transaction(worker: Worker, session: Session, words: str) -> None:
    """Those that fit are queued. The next one is refused, and frees them. No others are kept."""
    worker.config = replace(worker.config, max_queued_commands=5)
    transaction, two = queue(session, words, words), subjects(session, words)
    assert queue_known(session, transaction, two) == (1, encoder.QUEUED)
    assert queue_known(session, transaction, two) == (1, errors.queue_full(5))
    assert (transaction, session.queued_bytes, session.queued_requests) == ([], 0, 0)
    assert queue_known(session, transaction, two) == (2, encoder.QUEUED * 2)
    assert run_exec(session) == [errors.EXEC_ABORTED]


def test_reads_of_known_requests_are_queued_together(client: CommandClient) -> None:
    client.tell("MULTI; ECHO a; GET a; INCR a; PING")
    client.tell("INCR a; EXISTS a")
    transaction = client.connection.session.transaction
    assert transaction is not None
    assert [queued.count for queued in transaction] == [1, 5]
