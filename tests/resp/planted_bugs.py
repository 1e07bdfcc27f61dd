"""Bugs of the run mechanism, each of which the comparison of both paths must find, named for what goes wrong."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from respid.commands import COMMANDS, Draw, Session, dispatch, draw, known, queued, transaction
from respid.commands.dispatch import OnRepeatable
from respid.commands.known import Known, answer_known, known_kinds
from respid.commands.session import Handler, Parts, Queued
from respid.ids.generator import Generator
from respid.net.connection import Connection
from respid.net.pending_requests import PendingRequests
from respid.resp import encoder, fast_path, known_frames
from respid.resp.fast_path import Run, RunReader, Template
from respid.resp.known_frames import Kinds, KnownFrames
from respid.resp.period import Period
from respid.resp.reader import RequestReader
from respid.resp.shape import Shape
from respid.resp.transaction import ENDINGS, OPENINGS, Transaction, TransactionReader

Patch = pytest.MonkeyPatch
Bug = Callable[[Patch], None]
ALL: list[Bug] = []


def plant(bug: Bug) -> Bug:
    ALL.append(bug)
    return bug


# Recognising


@plant
def last_frame_not_counted(patch: Patch) -> None:
    find = RunReader._find

    def miscount(runs: RunReader[Any], template: Template, buffer: bytes, position: int) -> Run:
        frames, end = find(runs, template, buffer, position)
        return (frames - 1 if frames > 40 else frames), end

    patch.setattr(RunReader, "_find", miscount)


@plant
def increment_of_mixed_keys_ignored(patch: Patch) -> None:
    mixed_run = Template.mixed_run

    def ignore(template: Template, buffer: bytes, position: int) -> Run:
        match = fast_path._mixed_runs(template._free).match(buffer, position) if template._free else None
        if match is None or match[1] != template._opening:
            return mixed_run(template, buffer, position)
        return buffer.count(b"*", position, match.end()), match.end()

    patch.setattr(Template, "mixed_run", ignore)


@plant
def asterisks_allowed_in_mixed_keys(patch: Patch) -> None:
    pattern = fast_path._argument_pattern
    patch.setattr(fast_path, "_argument_pattern", lambda: pattern().replace(b"[^*]", b"[^~]"))
    patch.setattr(fast_path, "_mixed_runs", cache(fast_path._mixed_runs.__wrapped__))


@plant
def increment_of_equal_keys_ignored(patch: Patch) -> None:
    count = Template.count

    def ignore(template: Template, buffer: bytes, position: int, most: int) -> int:
        end = position + template.size
        is_alike = template._tail and most == 1 and len(buffer) >= end and buffer[end - 3 : end] != template._tail[-3:]
        return 1 if is_alike else count(template, buffer, position, most)

    patch.setattr(Template, "count", ignore)


@plant
def key_longer_than_its_header(patch: Patch) -> None:
    """The template is that of the last request, whatever the header of its key."""
    count = Template.count

    def ignore(template: Template, buffer: bytes, position: int, most: int) -> int:
        found = count(template, buffer, position, most)
        is_followed = buffer[position + template.size :].startswith(b"*")
        return found or int(most == 1 and is_followed)

    patch.setattr(Template, "count", ignore)


@plant
def old_draw_kept_with_new_template(patch: Patch) -> None:
    learn = RunReader.learn

    def keep(runs: RunReader[Any], arguments: list[bytes], free: int, subject: object) -> None:
        learn(runs, arguments, free, getattr(runs, "subject", subject))

    patch.setattr(RunReader, "learn", keep)


@plant
def last_read_kept_with_new_template(patch: Patch) -> None:
    learn = RunReader.learn

    def keep(runs: RunReader[Any], arguments: list[bytes], free: int, subject: object) -> bool:
        read, read_bytes = runs._read, runs._read_bytes
        is_new = learn(runs, arguments, free, subject)
        if is_new:
            runs._read, runs._read_bytes = read, read_bytes
        return is_new

    patch.setattr(RunReader, "learn", keep)


@plant
def equal_read_taken_for_another_command(patch: Patch) -> None:
    find = RunReader.find_in_read

    def confuse(runs: RunReader[Any], data: bytes) -> Run:
        return runs._run if runs._read and len(data) == len(runs._read) else find(runs, data)

    patch.setattr(RunReader, "find_in_read", confuse)


@plant
def run_found_within_a_request(patch: Patch) -> None:
    def find(reader: RequestReader, runs: RunReader[Any]) -> int:
        frames, end = runs.find(reader._buffer, reader._position)
        if frames:
            reader._position = end
        return frames

    patch.setattr(RequestReader, "next_run", find)


@plant
def frame_longer_than_the_read(patch: Patch) -> None:
    def ignore(template: Template, buffer: bytes, position: int) -> bool:
        return buffer.startswith(template._opening, position) and buffer.endswith(template._tail)

    patch.setattr(Template, "is_last_frame", ignore)


@plant
def short_request_before_its_last_bytes(patch: Patch) -> None:
    read = RequestReader.next_short_request

    def hasten(reader: RequestReader) -> list[bytes] | None:
        request = read(reader)
        if request is None and not reader._missing and reader._buffer.endswith(b"\r"):
            reader._buffer += b"\n"
            request = read(reader)
        return request

    patch.setattr(RequestReader, "next_short_request", hasten)


@plant
def short_request_within_a_request(patch: Patch) -> None:
    read = RequestReader.next_short_request

    def forget(reader: RequestReader) -> list[bytes] | None:
        missing, reader._missing = reader._missing, 0
        request = read(reader)
        if request is None:
            reader._missing = missing
        return request

    patch.setattr(RequestReader, "next_short_request", forget)


@plant
def known_frame_longer_than_the_read(patch: Patch) -> None:
    find = KnownFrames.find

    def hasten(
        known: KnownFrames[Any], kinds: Kinds[Any], buffer: bytes, position: int, **may_run: bool
    ) -> tuple[tuple[Any, ...], int]:
        found, end = find(known, kinds, buffer + bytes(5), position, **may_run)
        return found, min(end, len(buffer))

    patch.setattr(KnownFrames, "find", hasten)


@plant
def known_frame_within_a_request(patch: Patch) -> None:
    def find(reader: RequestReader, known: KnownFrames[Any], kinds: Kinds[Any], **may_run: bool) -> tuple[Any, ...]:
        found, reader._position = known.find(kinds, reader._buffer, reader._position, **may_run)
        return found

    patch.setattr(RequestReader, "next_known", find)


@plant
def increment_of_known_frame_ignored(patch: Patch) -> None:
    find = KnownFrames.find

    def ignore(
        known: KnownFrames[Any], kinds: Kinds[Any], buffer: bytes, position: int, **may_run: bool
    ) -> tuple[tuple[Any, ...], int]:
        return find(known, kinds, buffer.replace(b"$1\r\n7\r\n", b"$1\r\n1\r\n"), position, **may_run)

    patch.setattr(KnownFrames, "find", ignore)


@plant
def shape_of_known_frames_ignored(patch: Patch) -> None:
    """A read is taken for one like the last if it only has its size."""

    def ignore(_known: KnownFrames[Any], shape: Shape, _kinds: Kinds[Any], buffer: bytes) -> bool:
        return len(buffer) == shape.size

    patch.setattr(KnownFrames, "_has_shape", ignore)


@plant
def byte_of_a_shape_ignored(patch: Patch) -> None:
    def ignore(_known: KnownFrames[Any], shape: Shape, _kinds: Kinds[Any], buffer: bytes) -> bool:
        return len(buffer) == shape.size and shape.extract(buffer)[:-1] == shape.expected[:-1]

    patch.setattr(KnownFrames, "_has_shape", ignore)


@plant
def shape_of_another_version(patch: Patch) -> None:
    def ignore(_known: KnownFrames[Any], shape: Shape, _kinds: Kinds[Any], buffer: bytes) -> bool:
        return len(buffer) == shape.size and shape.extract(buffer) == shape.expected

    patch.setattr(KnownFrames, "_has_shape", ignore)


@plant
def last_shape_kept_with_new_subjects(patch: Patch) -> None:
    def keep(known: KnownFrames[Any], kinds: Kinds[Any], buffer: bytes, subjects: tuple[Any, ...]) -> None:
        remember(known, kinds, buffer, known._read if len(known._read) == len(subjects) else subjects)

    remember = KnownFrames._remember
    patch.setattr(KnownFrames, "_remember", keep)


@plant
def end_of_a_period_ignored(patch: Patch) -> None:
    """All that follows its last key, such as the number of an INCRBY."""
    learn = Period.learn

    def ignore(period: Period[Any], shape: Shape) -> None:
        *expected, _ = shape.expected
        learn(period, Shape(re.sub("s$", "x", shape.format), tuple(expected)) if expected else shape)

    patch.setattr(Period, "learn", ignore)


@plant
def last_period_found_once_more(patch: Patch) -> None:
    find = Period.find

    def miscount(period: Period[Any], buffer: bytes, position: int, most: int) -> tuple[int, int]:
        times, end = find(period, buffer, position, most)
        return times + (times > 8), end

    patch.setattr(Period, "find", miscount)


@plant
def differing_period_taken_for_an_equal_one(patch: Patch) -> None:
    """If others are before it in the same comparison."""
    count = Shape.count

    def hasten(shape: Shape, buffer: bytes, position: int, most: int) -> int:
        found = count(shape, buffer, position, most)
        return found + 1 if 0 < found < most else found

    patch.setattr(Shape, "count", hasten)


@plant
def period_of_another_version(patch: Patch) -> None:
    find = KnownFrames._find

    def ignore(known: KnownFrames[Any], kinds: Kinds[Any], *given: Any) -> tuple[tuple[Any, ...], int, bool]:
        known._kinds_of_period = kinds
        return find(known, kinds, *given)

    patch.setattr(KnownFrames, "_find", ignore)


@plant
def period_that_begins_anywhere(patch: Patch) -> None:
    """The frames before the next one are not read."""
    find = Period.find

    def hasten(period: Period[Any], buffer: bytes, position: int, most: int) -> tuple[int, int]:
        times, end = find(period, buffer, position, most)
        later = buffer.find(b"*", position + 1) if not times else -1
        return find(period, buffer, later, most) if later > 0 else (times, end)

    patch.setattr(Period, "find", hasten)


@plant
def key_that_holds_an_opening_split(patch: Patch) -> None:
    """What is between two openings is taken for a frame, whatever the length of its key."""

    def split_anywhere(known: KnownFrames[Any], kinds: Kinds[Any], buffer: bytes, *given: Any) -> tuple[Any, int]:
        found, end = split(known, kinds, buffer, *given)
        opening = buffer[end : end + 16]
        following = buffer.find(opening, end + 1) if found and opening.endswith(b"INCRBY\r\n") else -1
        return (found, end) if following < 0 else ((*found, found[-1]), following)

    split = KnownFrames._split
    patch.setattr(KnownFrames, "_split", split_anywhere)


@plant
def incomplete_block_split(patch: Patch) -> None:
    """The last digit may be missing."""

    def split_early(known: KnownFrames[Any], kinds: Kinds[Any], buffer: bytes, *given: Any) -> tuple[Any, int]:
        found, end = split(known, kinds, buffer + b"0\r\n", *given)
        return found, min(end, len(buffer))

    split = KnownFrames._split
    patch.setattr(KnownFrames, "_split", split_early)


@plant
def block_above_the_limit_known(patch: Patch) -> None:
    """A block that the layout does not have is the largest one."""
    find = known._Blocks.__missing__

    def allow(blocks: known._Blocks, argument: bytes) -> Known | None:
        found = find(blocks, argument)
        return found or find(blocks, b"$2\r\n16\r\n") if argument[4:-2].isdigit() else found

    patch.setattr(known._Blocks, "__missing__", allow)
    patch.setattr(known, "_KINDS_CACHE", {})


@plant
def blocks_of_different_sizes_overlap(patch: Patch) -> None:
    take = Generator.take_different_blocks

    def overlap(generator: Generator, ends: Sequence[int], since_ms: int | None = None) -> tuple[int, int]:
        first, count = take(generator, ends, since_ms)
        if count > 1:
            generator._next_id -= 1
        return first, count

    patch.setattr(Generator, "take_different_blocks", overlap)


@plant
def different_blocks_split_between_milliseconds(patch: Patch) -> None:
    """One block more than fits."""
    take = Generator.take_different_blocks

    def split(generator: Generator, ends: Sequence[int], since_ms: int | None = None) -> tuple[int, int]:
        first, count = take(generator, ends, since_ms)
        return first, min(count + 1, len(ends)) if count else 0

    patch.setattr(Generator, "take_different_blocks", split)


@plant
def known_frame_with_a_key_of_20_bytes_too_long(patch: Patch) -> None:
    patch.setitem(known_frames._ARGUMENT_BYTES, b"$20\r", known_frames._ARGUMENT_BYTES[b"$20\r"] + 1)


# Answering


@plant
def reply_of_another_version_repeated(patch: Patch) -> None:
    """The reply is that to the request from which the run was learned."""

    def remember(session: Session, answer: Handler, arguments: list[bytes]) -> Draw | None:
        reply = answer(session, arguments)
        if not isinstance(reply, bytes) or reply.startswith(b"-"):
            return None
        return Draw(0, lambda _first, _ids, count: reply * count)

    patch.setattr("respid.net.pending_requests.constant_draw", remember)


@plant
def error_repeated(patch: Patch) -> None:
    """It is counted once for a whole run."""

    def accept(session: Session, answer: Handler, arguments: list[bytes]) -> Draw:
        def encode(_first: int, _ids: int, count: int) -> bytes:
            reply = answer(session, arguments)
            return reply * count if isinstance(reply, bytes) else b""

        return Draw(0, encode)

    patch.setattr("respid.net.pending_requests.constant_draw", accept)


@plant
def constants_queued_as_draws(patch: Patch) -> None:
    def find(pending: PendingRequests) -> bool:
        if pending.session.takes_runs:
            pending.run_left = pending.reader.next_run(pending.runs)
        if pending.run_left:
            pending.session.last_command = pending.runs.subject.command
        return pending.run_left > 0

    patch.setattr(PendingRequests, "_find_run", find)


@plant
def reply_mode_ignored(patch: Patch) -> None:
    patch.setattr(Session, "takes_runs", property(lambda session: session.authenticated))


@plant
def authentication_ignored(patch: Patch) -> None:
    patch.setattr(Session, "takes_runs", property(lambda session: session.reply_mode.value == "on"))


@plant
def blocks_beyond_the_millisecond(patch: Patch) -> None:
    take_blocks = Generator.take_blocks

    def exceed(generator: Generator, size: int, count: int, since_ms: int | None = None) -> tuple[int, int]:
        first, taken = take_blocks(generator, size, count, since_ms)
        if taken in (0, count):
            return first, taken
        generator._next_id += size
        return first, taken + 1

    patch.setattr(Generator, "take_blocks", exceed)


@plant
def first_id_of_each_further_block_returned(patch: Patch) -> None:
    spaced = encoder.spaced_integers
    patch.setattr(encoder, "spaced_integers", lambda first, step, count: spaced(first - step + 1, step, count))


@plant
def one_refusal_for_a_whole_run(patch: Patch) -> None:
    answer = PendingRequests._answer_run

    def refuse(pending: PendingRequests) -> bytes | None:
        reply = answer(pending)
        if reply is not None and reply.startswith(b"-"):
            pending.run_left = 0
        return reply

    patch.setattr(PendingRequests, "_answer_run", refuse)


@plant
def waiting_run_forgotten(patch: Patch) -> None:
    wait = PendingRequests._wait

    def forget(pending: PendingRequests) -> None:
        pending.run_left = max(0, pending.run_left - 1)
        wait(pending)

    patch.setattr(PendingRequests, "_wait", forget)


@plant
def runs_not_counted(patch: Patch) -> None:
    patch.setattr(PendingRequests, "_answer_run", _uncounted(PendingRequests._answer_run))


def _uncounted(answer: Callable[[PendingRequests], bytes | None]) -> Callable[[PendingRequests], bytes | None]:
    def skip(pending: PendingRequests) -> bytes | None:
        before = dict(pending._commands)
        reply = answer(pending)
        pending._commands.update(before)
        return reply

    return skip


@plant
def state_of_the_session_ignored(patch: Patch) -> None:
    answer = PendingRequests.answer

    def hurry(pending: PendingRequests) -> bytes | None:
        if pending.request is None and pending.parts is None and not pending.run_left:
            return pending.answer_quickly() or answer(pending)
        return answer(pending)

    patch.setattr(PendingRequests, "answer", hurry)


@plant
def quick_request_not_counted(patch: Patch) -> None:
    def run(session: Session, arguments: list[bytes], on_repeatable: OnRepeatable) -> bytes | None:
        before = dict(session.worker.stats.commands)
        reply = run_quickly(session, arguments, on_repeatable)
        session.worker.stats.commands.update(before)
        return reply

    run_quickly = dispatch.run_quickly
    patch.setattr("respid.net.pending_requests.run_quickly", run)


@plant
def errors_answered_quickly(patch: Patch) -> None:
    """They are not counted."""

    def run(session: Session, arguments: list[bytes], on_repeatable: OnRepeatable) -> bytes | None:
        reply = run_quickly(session, arguments, on_repeatable)
        command = COMMANDS.get(arguments[0])
        if reply is None and command is not None and command.runs and command.accepts(len(arguments)):
            answered = command.handler(session, arguments)
            return answered if isinstance(answered, bytes) else None
        return reply

    run_quickly = dispatch.run_quickly
    patch.setattr("respid.net.pending_requests.run_quickly", run)


@plant
def known_request_of_another_version(patch: Patch) -> None:
    def find(session: Session) -> Kinds[Known]:
        version, session.version = session.version, 2
        kinds = known_kinds(session)
        session.version = version
        return kinds

    patch.setattr("respid.net.pending_requests.known_kinds", find)


@plant
def known_request_not_counted(patch: Patch) -> None:
    def answer(session: Session, requests: tuple[Known, ...]) -> tuple[int, bytes]:
        before = dict(session.worker.stats.commands)
        answered = answer_known(session, requests)
        session.worker.stats.commands.update(before)
        return answered

    patch.setattr("respid.net.pending_requests.answer_known", answer)


@plant
def string_of_another_id(patch: Patch) -> None:
    def with_strings(numbers: Sequence[int], strings: tuple[int, ...]) -> list[int | bytes]:
        return with_strings_rightly([numbers[0]] * len(numbers), strings)

    with_strings_rightly = known._with_strings
    patch.setattr(known, "_with_strings", with_strings)


@plant
def waiting_known_request_forgotten(patch: Patch) -> None:
    def answer(session: Session, requests: tuple[Known, ...]) -> tuple[int, bytes]:
        answered, replies = answer_known(session, requests)
        return answered + (0 < answered < len(requests)), replies

    patch.setattr("respid.net.pending_requests.answer_known", answer)


@plant
def one_refusal_for_all_known_requests(patch: Patch) -> None:
    answer = PendingRequests._answer_known

    def refuse(pending: PendingRequests) -> bytes | None:
        reply = answer(pending)
        if reply is not None and reply.startswith(b"-"):
            pending.recognised = ()
        return reply

    patch.setattr(PendingRequests, "_answer_known", refuse)


@plant
def refusal_of_known_request_not_counted(patch: Patch) -> None:
    patch.setattr("respid.commands.known._refuse", lambda session, _request: session.refusal())


@plant
def known_requests_before_a_run_that_waits(patch: Patch) -> None:
    """They are answered at once, although the run before them lacks IDs."""
    receive = Connection._receive_requests

    def hurry(connection: Connection, data: bytes) -> bytes:
        pending = connection._pending
        left, pending.run_left = pending.run_left, 0
        pending.feed(data)
        output = pending.answer_quickly()
        pending.run_left = left
        return output + receive(connection, b"")

    patch.setattr(Connection, "_receive_requests", hurry)


# In MULTI


@plant
def limit_of_transaction_ignored(patch: Patch) -> None:
    def queue(session: Session, transaction: list[Queued], name: str, drawn: Draw, count: int) -> tuple[int, bytes]:
        session.queued_size -= count - 1
        return queue_draws(session, transaction, name, drawn, count)

    queue_draws = queued.queue_draws
    patch.setattr("respid.net.pending_requests.queue_draws", queue)


@plant
def draws_of_a_run_in_a_transaction_mixed_up(patch: Patch) -> None:
    def queue(session: Session, transaction: list[Queued], name: str, _drawn: Draw, count: int) -> tuple[int, bytes]:
        return queue_draws(session, transaction, name, draw.ONE_INTEGER, count)

    queue_draws = queued.queue_draws
    patch.setattr("respid.net.pending_requests.queue_draws", queue)


@plant
def limit_of_known_requests_in_a_transaction_ignored(patch: Patch) -> None:
    def queue(session: Session, transaction: list[Queued], requests: tuple[Known, ...]) -> tuple[int, bytes]:
        session.queued_size -= len(requests) - 1
        return queue_known(session, transaction, requests)

    queue_known = queued.queue_known
    patch.setattr("respid.net.pending_requests.queue_known", queue)


@plant
def known_request_in_a_transaction_queued_twice(patch: Patch) -> None:
    def queue(session: Session, transaction: list[Queued], requests: tuple[Known, ...]) -> tuple[int, bytes]:
        return queue_known(session, transaction, (requests[:1] * 2 + requests[2:])[: len(requests)])

    queue_known = queued.queue_known
    patch.setattr("respid.net.pending_requests.queue_known", queue)


@plant
def known_requests_answered_in_the_version_of_multi(patch: Patch) -> None:
    patch.setattr(queued, "in_this_version", lambda _session, requests: requests)


@plant
def last_command_in_a_transaction_not_noted(patch: Patch) -> None:
    queue = PendingRequests._queue_known

    def forget(pending: PendingRequests, transaction: list[Queued]) -> bytes:
        last = pending.session.last_command
        replies = queue(pending, transaction)
        pending.session.last_command = last
        return replies

    patch.setattr(PendingRequests, "_queue_known", forget)


@plant
def known_requests_recognised_in_any_reply_mode(patch: Patch) -> None:
    """Those of an unauthenticated client, too."""
    patch.setattr(Session, "is_plain", property(lambda _session: True))


@plant
def transaction_drawn_at_once(patch: Patch) -> None:
    """A run inside MULTI is answered with IDs."""
    answer = PendingRequests._answer_run

    def draw_now(pending: PendingRequests) -> bytes | None:
        session, transaction = pending.session, pending.session.transaction
        session.transaction = None
        reply = answer(pending)
        session.transaction = transaction
        return reply

    patch.setattr(PendingRequests, "_answer_run", draw_now)


# A transaction in one read


@plant
def other_requests_in_a_transaction_ignored(patch: Patch) -> None:
    def find(transactions: TransactionReader[Any], kinds: Kinds[Any], buffer: bytes, position: int) -> Transaction[Any]:
        frames, subjects, end, is_whole = find_rightly(transactions, kinds, buffer, position)
        last = buffer.find(ending, position)
        if is_whole or not frames or last < 0:
            return frames, subjects, end, is_whole
        return frames, subjects, last + len(ending), True

    ending = ENDINGS[OPENINGS[0]]
    find_rightly = TransactionReader.find
    patch.setattr(TransactionReader, "find", find)


@plant
def transaction_not_ended(patch: Patch) -> None:
    patch.setattr("respid.resp.transaction.ENDINGS", dict.fromkeys(ENDINGS, b"*1\r\n$4\r\n"))


@plant
def transaction_within_a_request(patch: Patch) -> None:
    def receive(connection: Connection, data: bytes) -> bytes:
        if connection.session.is_plain and connection._transactions.expected and data.startswith(OPENINGS):
            return connection._receive_transactions(data)
        return receive_rightly(connection, data)

    receive_rightly = Connection.receive
    patch.setattr(Connection, "receive", receive)


@plant
def end_of_the_last_transaction_taken_for_that_of_the_read(patch: Patch) -> None:
    def receive(connection: Connection, data: bytes) -> bytes:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Connection, "_receive_requests", lambda _connection, _rest: b"")
            return receive_rightly(connection, data)

    receive_rightly = Connection._receive_transactions
    patch.setattr(Connection, "_receive_transactions", receive)


@plant
def limit_of_transaction_at_once_ignored(patch: Patch) -> None:
    def run(session: Session, name: str, drawn: Draw, count: int) -> tuple[bytes, Parts | None]:
        config = session.worker.config
        session.worker.config = replace(config, max_queued_commands=10_000)
        answered = transaction.run_at_once(session, name, drawn, count)
        session.worker.config = config
        return answered

    patch.setattr("respid.net.pending_requests.run_at_once", run)


@plant
def transaction_at_once_fails_by_element(patch: Patch) -> None:
    def run(session: Session, name: str, drawn: Draw, count: int) -> tuple[bytes, Parts | None]:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Generator, "obstacle", lambda _generator: None)
            return transaction.run_at_once(session, name, drawn, count)

    patch.setattr("respid.net.pending_requests.run_at_once", run)


@plant
def rest_of_transaction_forgotten(patch: Patch) -> None:
    def run(session: Session, name: str, drawn: Draw, count: int) -> tuple[bytes, Parts | None]:
        return transaction.run_at_once(session, name, drawn, count)[0], None

    patch.setattr("respid.net.pending_requests.run_at_once", run)


@plant
def rest_of_transaction_has_a_header(patch: Patch) -> None:
    def rest(session: Session, left: Queued) -> Parts:
        return transaction._run(session, [left])

    patch.setattr(transaction, "_rest", rest)


@plant
def known_frame_of_a_transaction_longer_than_it(patch: Patch) -> None:
    def find(known: KnownFrames[Any], kinds: Kinds[Any], buffer: bytes) -> tuple[tuple[Any, ...], int]:
        found, end = find_first(known, kinds, buffer + bytes(5))
        return found, min(end, len(buffer))

    find_first = KnownFrames.find_first
    patch.setattr(KnownFrames, "find_first", find)


@plant
def unknown_frames_of_a_transaction_ignored(patch: Patch) -> None:
    def find(known: KnownFrames[Any], kinds: Kinds[Any], buffer: bytes) -> tuple[tuple[Any, ...], int]:
        found, end = find_first(known, kinds, buffer)
        return found, len(buffer) if found else end

    find_first = KnownFrames.find_first
    patch.setattr(KnownFrames, "find_first", find)


@plant
def rest_of_a_part_forgotten(patch: Patch) -> None:
    """What follows the known requests at the beginning of a part."""

    def receive(connection: Connection, data: bytes) -> bytes:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Connection, "_receive_requests", _receive_if_whole(data))
            return receive_rightly(connection, data)

    def _receive_if_whole(part: bytes) -> Callable[[Connection, bytes], bytes]:
        return lambda connection, data: receive_requests(connection, data) if data == part else b""

    receive_rightly, receive_requests = Connection._receive_in_transaction, Connection._receive_requests
    patch.setattr(Connection, "_receive_in_transaction", receive)


@plant
def shape_of_a_transaction_of_another_version(patch: Patch) -> None:
    def find(known: KnownFrames[Any], kinds: Kinds[Any], buffer: bytes) -> tuple[tuple[Any, ...], int]:
        if known._shape is not None and len(buffer) == known._shape.size:
            known._kinds = kinds
        return find_first(known, kinds, buffer)

    find_first = KnownFrames.find_first
    patch.setattr(KnownFrames, "find_first", find)


@plant
def number_of_any_form_accepted(patch: Patch) -> None:
    number = re.compile(rb"\$[0-9]+\r\n[^\r]*\r\n")

    def find(session: Session) -> Kinds[Known]:
        return {
            opening: kind._replace(extra=kind.extra._replace(ending=number))
            if kind.extra and kind.extra.ending
            else kind
            for opening, kind in known_kinds(session).items()
        }

    patch.setattr("respid.net.pending_requests.known_kinds", find)


@plant
def field_ignored(patch: Patch) -> None:
    """One free argument is skipped where there are two."""

    def find(
        known: KnownFrames[Any], kinds: Kinds[Any], buffer: bytes, position: int, **may_run: bool
    ) -> tuple[tuple[Any, ...], int]:
        one = {
            opening: kind._replace(extra=kind.extra and kind.extra._replace(free=())) for opening, kind in kinds.items()
        }
        return find_rightly(known, one, buffer, position, **may_run)

    find_rightly = KnownFrames.find
    patch.setattr(KnownFrames, "find", find)


@plant
def end_of_a_long_name_ignored(patch: Patch) -> None:
    def find(session: Session) -> Kinds[Known]:
        return {
            opening: kind._replace(extra=kind.extra and kind.extra._replace(name=b""))
            for opening, kind in known_kinds(session).items()
        }

    patch.setattr("respid.net.pending_requests.known_kinds", find)


@plant
def rest_of_known_transaction_forgotten(patch: Patch) -> None:
    def run(session: Session, requests: tuple[Known, ...]) -> tuple[bytes, Parts | None]:
        return transaction.run_known_at_once(session, requests)[0], None

    patch.setattr("respid.net.pending_requests.run_known_at_once", run)


@plant
def refusal_in_known_transaction_not_counted(patch: Patch) -> None:
    def replies(queued_known: queued.QueuedKnown, session: Session) -> Parts:
        for part in rest(queued_known, session):
            if part is not None and part.startswith(b"-"):
                counts = session.worker.stats.commands
                counts[queued_known.requests[0].command] -= 1
            yield part

    rest = queued.QueuedKnown.replies
    patch.setattr(queued.QueuedKnown, "replies", replies)


@plant
def last_command_of_known_transaction_shown(patch: Patch) -> None:
    def run(session: Session, requests: tuple[Known, ...]) -> tuple[bytes, Parts | None]:
        answered = transaction.run_known_at_once(session, requests)
        session.last_command = requests[-1].command
        return answered

    patch.setattr("respid.net.pending_requests.run_known_at_once", run)


@plant
def transaction_at_once_not_counted(patch: Patch) -> None:
    def run(session: Session, name: str, drawn: Draw, count: int) -> tuple[bytes, Parts | None]:
        before = dict(session.worker.stats.commands)
        answered = transaction.run_at_once(session, name, drawn, count)
        session.worker.stats.commands["exec"] = before["exec"]
        return answered

    patch.setattr("respid.net.pending_requests.run_at_once", run)


# A transaction in several reads


def before_a_part(patch: Patch, change: Callable[[Session], None]) -> None:
    """Changes the session before a read in a transaction."""

    def receive(connection: Connection, data: bytes) -> bytes:
        change(connection.session)
        return receive_rightly(connection, data)

    receive_rightly = Connection._receive_in_transaction
    patch.setattr(Connection, "_receive_in_transaction", receive)


@plant
def requests_before_a_part_forgotten(patch: Patch) -> None:
    def forget(session: Session) -> None:
        if session.transaction:
            session.transaction = []

    before_a_part(patch, forget)


@plant
def part_of_a_broken_transaction_answered(patch: Patch) -> None:
    def forgive(session: Session) -> None:
        session.transaction_broken = False

    before_a_part(patch, forgive)


@plant
def part_of_a_transaction_within_a_request(patch: Patch) -> None:
    def receive(connection: Connection, data: bytes) -> bytes:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(RequestReader, "is_empty", property(lambda _reader: True))
            return receive_rightly(connection, data)

    receive_rightly = Connection._receive_in_transaction
    patch.setattr(Connection, "_receive_in_transaction", receive)


@plant
def part_in_any_reply_mode_answered(patch: Patch) -> None:
    patch.setattr(Session, "takes_runs", property(lambda session: session.transaction is not None))


@plant
def limit_of_parts_ignored(patch: Patch) -> None:
    def queue(session: Session, transaction: list[Queued], requests: tuple[Known, ...]) -> tuple[int, bytes]:
        queued = queue_known(session, transaction, requests)
        session.queued_size -= len(requests) - 1
        return queued

    queue_known = queued.queue_known
    patch.setattr("respid.net.pending_requests.queue_known", queue)


@plant
def several_in_a_transaction_forgotten(patch: Patch) -> None:
    """Only the first entry of the queue is executed."""

    def execute(session: Session) -> tuple[bytes, Parts | None]:
        if session.transaction:
            session.transaction = session.transaction[:1]
        return transaction.exec_at_once(session)

    patch.setattr("respid.net.pending_requests.exec_at_once", execute)


@plant
def multi_answered_with_exec_again(patch: Patch) -> None:
    def execute(session: Session, *given: Any) -> tuple[bytes, Parts | None]:
        session.end_transaction()
        return execute_rightly(session, *given)

    execute_rightly = transaction._exec_at_once
    patch.setattr(transaction, "_exec_at_once", execute)
