"""Draws: how many requests get their IDs at once, how IDs are encoded, and what is noted about a client that waits."""

import pytest

from respid.commands import Draw, RequestKind, Session
from respid.commands.draw import ONE_INTEGER, ONE_STRING, block, constant_draw
from respid.ids.layout import Layout
from respid.resp import encoder
from respid.worker.worker import Worker
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, start_worker

FIRST = 383_526_175_676_305_998  # its last digits carry soon


@pytest.fixture
def few(clock: ScriptedClock) -> Session:
    """A client of a worker with 16 IDs per millisecond, which has waited for as long as it is entitled to."""
    session = connect(start_worker(clock, layout=Layout(sequence_bits=4))).session
    session.worker.generator.take(16)
    session.wait.since_ms = clock.wall_ms()
    clock.pass_ms(100)
    return session


@pytest.mark.parametrize("draw", [ONE_INTEGER, ONE_STRING, block(7)], ids=["integer", "string", "block"])
def test_encodes_many_as_one_by_one(draw: Draw) -> None:
    for count in (1, 2, 3, 500):
        apart = [draw.encode(FIRST + turn * draw.ids, draw.ids, 1) for turn in range(count)]
        assert draw.encode(FIRST, draw.ids, count) == b"".join(apart)


def test_reply_is_last_id_of_a_block() -> None:
    assert block(7).encode(FIRST, 7, 1) == encoder.integer(FIRST + 6)


@pytest.mark.parametrize("count", [1, 16, 40])
@pytest.mark.parametrize("draw", [ONE_INTEGER, block(5)], ids=["single", "block"])
def test_answers_from_several_milliseconds(few: Session, draw: Draw, count: int) -> None:
    answered, replies = draw.answer(few, count)
    assert replies is not None
    numbers = [int(line[1:]) for line in replies.split()]
    assert answered == len(numbers) == len(set(numbers)) == count
    assert numbers == sorted(numbers)


def test_issues_no_more_than_it_answers(few: Session) -> None:
    assert ONE_INTEGER.answer(few, 40)[0] == 40
    assert few.worker.generator.ids_issued == 16 + 40


def test_answers_up_to_512_at_once(few: Session) -> None:
    """Until the time is checked."""
    assert ONE_INTEGER.answer(few, 2000)[0] == 512


@pytest.mark.parametrize(
    ("sequence_bits", "ids", "kind"),
    [
        (12, 256, RequestKind.SINGLE),
        (12, 257, RequestKind.BLOCK),
        (4, 1, RequestKind.SINGLE),
        (4, 2, RequestKind.BLOCK),
    ],
)
def test_notes_what_a_client_wants(clock: ScriptedClock, sequence_bits: int, ids: int, kind: RequestKind) -> None:
    session = connect(start_worker(clock, layout=Layout(sequence_bits=sequence_bits))).session
    block(ids).want(session, 10)
    assert (session.wait.kind, session.wait.block, session.wait.ids) == (kind, ids, 10 * ids)


def test_notes_all_blocks_of_different_sizes(worker: Worker) -> None:
    session = connect(worker).session
    worker.generator.take(4096)
    assert block(4000).take_different(session, [4000, 4007, 4010]) == (0, 0)
    assert (session.wait.kind, session.wait.block, session.wait.ids) == (RequestKind.BLOCK, 4000, 4010)


def test_blocks_of_different_sizes_that_have_waited_go_first(few: Session) -> None:
    """While requests wait, only these get the IDs of a new millisecond."""
    few.worker.generator.queued = True
    assert block(4).take_different(few, [4, 9])[1] == 2


def test_constant_reply_wants_no_ids(worker: Worker) -> None:
    """Whatever the request before it has waited for."""
    session = connect(worker).session
    block(4096).take(session, 1)
    constant = constant_draw(session, lambda _session, _arguments: b"+OK\r\n", [b"X"])
    assert constant is not None
    assert (constant.ids, constant.answer(session, 500)) == (0, (500, b"+OK\r\n" * 500))
    assert (session.wait.kind, session.wait.block, session.wait.ids) == (RequestKind.SINGLE, 1, 1)


@pytest.mark.parametrize(
    ("reply", "is_repeated"),
    [
        (b"+OK\r\n", True),
        (b"-ERR x\r\n", False),
        (b"+" + b"x" * 29 + b"\r\n", True),
        (b"+" + b"x" * 30 + b"\r\n", False),
    ],
    ids=["short", "error", "32 bytes", "33 bytes"],
)
def test_only_short_replies_are_repeated(worker: Worker, reply: bytes, *, is_repeated: bool) -> None:
    """An error is counted each time, and a long one would be repeated hundreds of times."""
    draw = constant_draw(connect(worker).session, lambda _session, _arguments: reply, [b"X"])
    assert (draw is not None) == is_repeated
