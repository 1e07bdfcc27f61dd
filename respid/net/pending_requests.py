"""The requests of one client that are not answered yet, and the replies to them, in order.

Finds the fastest way to answer each: with others as a run or as known requests, or else by itself. Never looks at the
time: `connection` decides how long to go on.
"""

from dataclasses import dataclass

from respid.commands import (
    Command,
    Draw,
    Drawn,
    Known,
    Parts,
    Session,
    answer_known,
    answer_or_refuse_known,
    constant_draw,
    exec_at_once,
    known_kinds,
    queue_draws,
    queue_known,
    run,
    run_at_once,
    run_known_at_once,
    run_quickly,
)
from respid.commands.session import Queued
from respid.resp import errors
from respid.resp.fast_path import LONGEST_ARGUMENT, RunReader
from respid.resp.known_frames import Kinds, KnownFrames, is_known
from respid.resp.reader import ProtocolError, RequestLimits, RequestReader, unauthenticated_limits
from respid.resp.transaction import TransactionReader

MOST_QUICK = 64  # requests of about 1 us, until the time is checked
STREAM_PATIENCE_MS = 5_000  # how long a reply that has begun waits for an ID before the connection is closed


@dataclass(frozen=True, slots=True)
class RunDraw:
    """The command of a run, and what each of its frames draws."""

    command: str
    draw: Draw


class PendingRequests:
    """The requests that were read and are not answered yet, and the bytes that are not parsed yet."""

    __slots__ = (
        "_commands",
        "_kinds",
        "_kinds_version",
        "_limits",
        "following",
        "general_requests",
        "known",
        "parts",
        "reader",
        "recognised",
        "request",
        "run_left",
        "runs",
        "session",
        "transactions",
    )

    def __init__(self, session: Session, limits: RequestLimits) -> None:
        self.session = session
        self._commands = session.worker.stats.commands
        self._limits = limits
        self.reader = RequestReader(limits)
        self.request: list[bytes] | None = None  # the request that is being answered
        self.following: list[bytes] | None = None  # the next one, while those before it are being answered together
        self.recognised: tuple[Known, ...] = ()  # known requests that are not answered yet
        self.parts: Parts | None = None  # the rest of a reply that has begun
        self.run_left = 0  # commands of a run that are not answered yet
        # Without subscripts, such as RunReader[RunDraw](): each would take a few microseconds of every new connection.
        self.runs: RunReader[RunDraw] = RunReader()
        self.known: KnownFrames[Known] = KnownFrames(self.runs)
        self.transactions: TransactionReader[Known] = TransactionReader(self.runs, self.known)
        self._kinds: Kinds[Known] = {}
        self._kinds_version = 0  # of the protocol, for which these kinds are
        self.general_requests = 0  # how many were parsed on the general path, in whole or in part

    @property
    def unread_bytes(self) -> int:
        """How much of what was received has not been parsed yet."""
        return self.reader.unread_bytes

    @property
    def held_bytes(self) -> int:
        """The memory of the requests, and of the transaction."""
        return self.reader.held_bytes + self.session.queued_bytes

    @property
    def remembered_bytes(self) -> int:
        """The memory of what the last read was like."""
        return self.runs.held_bytes + self.known.held_bytes

    @property
    def kinds(self) -> Kinds[Known]:
        """The kinds of requests that can be known, if the limits permit all of them."""
        version = self.session.version
        if version != self._kinds_version:
            self._kinds = known_kinds(self.session) if self.reader.accepts_short else {}
            self._kinds_version = version
        return self._kinds

    def feed(self, data: bytes) -> None:
        """Adds what was received."""
        self.reader.feed(data)

    @property
    def has_begun(self) -> bool:
        """Whether a run or a reply has begun that is not answered yet."""
        return self.run_left > 0 or self.parts is not None

    def continue_run(self, frames: int) -> None:
        """Takes the frames of the expected run that are left, since they got no ID yet."""
        self.run_left = frames

    def forget_unread(self) -> None:
        """Frees what is not parsed yet."""
        self.reader = RequestReader(self._limits)

    def forget(self) -> None:
        self.forget_unread()
        self.parts = self.request = None

    def queue(self, frames: int, known: tuple[Known, ...]) -> bytes:
        """Queues the frames of the expected run, or the known requests, in the transaction, which has room for them."""
        if frames:
            self.run_left = frames
            self.session.last_command = self.runs.subject.command
        else:
            self.recognised = known
        return self.answer() or b""

    def run_transaction(self, frames: int, known: tuple[Known, ...]) -> bytes:
        """Answers a whole transaction of the same; returns b"" if it needs the general path."""
        if known:
            output, self.parts = run_known_at_once(self.session, known)
        else:
            subject = self.runs.subject
            output, self.parts = run_at_once(self.session, subject.command, subject.draw, frames)
        return output

    def exec_transaction(self) -> bytes:
        """Answers EXEC if all that is queued is a run, or known requests; else returns b""."""
        output, self.parts = exec_at_once(self.session)
        return output

    def answer(self) -> bytes | None:
        """The next reply, several replies, or part of one.

        None when there is none now: because the client waits for an ID (`session.wait`), or because all that was read
        is answered, but for an incomplete request.
        """
        if self.parts is not None:
            return self._answer_part(self.parts)
        if self.request is not None:
            return self._answer_request(self.request)
        if self.recognised:
            return self._answer_known()
        expected = self.runs.expects
        if self.run_left or (expected is not None and self.reader.is_at(expected.start) and self._find_run()):
            return self._answer_run()
        if self.reader.finish() or self.reader.is_cut:
            self._end_read()
            return None
        if self.session.is_plain:
            if replies := self.answer_quickly():
                return replies
        elif self.session.transaction and self.session.takes_runs:  # not for the first one, from which a run is learned
            # Constant replies make no run there, so their requests need not be left to the general path to learn one.
            self._recognise(may_run=self.session.transaction[-1].draws_ids)
        return self._answer_known() if self.recognised else self._answer_next()

    def _answer_next(self) -> bytes | None:
        # Until here, a pipeline whose turn has ended between two requests waits as the one before did.
        self.session.wait.want_one()
        try:
            request = self.request = self.request or self._read_request()
        except ProtocolError as error:
            self.session.closing = True
            self.session.worker.stats.connections_closed[error.limit or "protocol_error"] += 1
            return errors.error(f"ERR Protocol error: {error}")
        if request is not None:
            if self.runs.expects is not None:
                self.runs.note_others(1)
            return self._answer_request(request)
        self.general_requests += 1  # its part was parsed in vain
        self._end_read()
        return None

    def _answer_request(self, request: list[bytes]) -> bytes | None:
        self.general_requests += 1
        # A blank line has no reply, but it uses up part of the turn.
        reply = run(self.session, request, self._expect_run) if request else b""
        if isinstance(reply, bytes):
            return reply
        if reply is None:
            self._wait()
            return None
        self.parts = reply
        return self._answer_part(reply)

    def _end_read(self) -> None:
        """Call when all that was read is answered, but for an incomplete request."""
        self.session.wait.want_one()
        self.session.wait.end()

    def _answer_recognised(self) -> bytes:
        """Answers known requests up to one that gets no ID now."""
        answered, replies = answer_known(self.session, self.recognised)
        self.recognised = self.recognised[answered:]
        return replies

    def _recognise(self, *, may_run: bool = True) -> None:
        """Looks for known requests, unless that was in vain many times."""
        if self.known.pause:
            self.known.note_skipped()
        else:
            self.recognised = self.reader.next_known(self.known, self.kinds, may_run=may_run)

    def _queue_known(self, transaction: list[Queued]) -> bytes:
        queued, replies = queue_known(self.session, transaction, self.recognised)
        self.session.last_command = self.recognised[queued - 1].command
        self.recognised = self.recognised[queued:]
        return replies

    def _answer_known(self) -> bytes | None:
        if self.session.transaction is not None:
            return self._queue_known(self.session.transaction)
        answered, replies = answer_or_refuse_known(self.session, self.recognised)
        self.recognised = self.recognised[answered:]
        if not answered:
            self._wait()
        return replies

    def answer_short_read(self, data: bytes) -> tuple[bytes, bool]:
        """Answers a short read of quick requests, after all others. Returns the replies, and whether these are all."""
        known, end = self.known, 0
        replies: list[bytes] = []
        if known.pause:
            known.note_skipped()
        else:
            # Mostly, all are known. Then the reader, which would take 0.5 us for it, need not have them.
            found, end = known.find(self.kinds, data, 0)
            if found:
                answered, output = answer_known(self.session, found)
                if end == len(data) and answered == len(found):
                    return output, True
                self.recognised = found[answered:]
                replies.append(output)
        self.reader.feed(data[end:])
        if self.recognised:
            return b"".join(replies), False
        output = self._answer_in_turn(replies)
        if output and self.following is None and not self.recognised and (self.reader.is_cut or self.reader.finish()):
            return output, True
        if self.following is not None:
            self.request, self.following = self.following, None
        elif not output and self.request is None:
            if self.reader.keep_part():
                self.general_requests += 1  # looked at in vain
                return b"", True
            self.known.skip_next()
        return output, False

    def answer_quickly(self) -> bytes:
        """Answers the next requests as long as they are known, or short and quick, without the detours of others.

        It ends before a run. The request after them is kept if it was parsed.
        """
        self._recognise()
        if not self.recognised:
            return self._answer_in_turn([])
        output = self._answer_recognised()
        if self.recognised or self.reader.finish():
            return output
        return self._answer_in_turn([output])

    def _answer_in_turn(self, replies: list[bytes]) -> bytes:
        """Adds the replies to requests that are short and quick, and to known ones among them."""
        left = MOST_QUICK
        while left > 0:
            if self.known.pause == 1:
                self.known.note_skipped()  # at the next request, but not at the one after it
            most = left if self.known.pause else 1
            if self._answer_short(replies, most) < most or self.reader.finish():
                break
            self._recognise()
            left -= most + len(self.recognised)
            if self.recognised:
                replies.append(self._answer_recognised())
                if self.recognised or self.reader.finish():
                    break
        return b"".join(replies)

    def _answer_short(self, replies: list[bytes], most: int) -> int:
        """Adds the replies to the next requests that are short and quick. Returns how many these are."""
        reader, runs = self.reader, self.runs
        on_repeatable = None if runs.pause else self._expect_run
        answered = 0
        while answered < most:
            if replies and runs.expects is not None and reader.is_at(runs.expects.start):
                break  # at the first place, no run was found
            request = reader.next_short_request()
            if request is None:
                if replies and not reader.is_empty:
                    self._skip_rest()
                break
            reply = run_quickly(self.session, request, on_repeatable)
            if reply is None:
                self.session.wait.want_one()
                if replies:
                    self.following = request
                else:
                    self.request = request
                break
            replies.append(reply)
            answered += 1
        if answered:
            runs.note_others(answered)
        return answered

    def _skip_rest(self) -> None:
        """Leaves out the next attempt to recognise known requests, which would be in vain, unless a read cuts one."""
        if not self.reader.keep_part():
            self.known.skip_next()
        elif self.known.pause:
            self.known.note_skipped()

    def _answer_part(self, parts: Parts) -> bytes | None:
        try:
            part = next(parts)
        except StopIteration:
            self.parts = None
            if self.session.last_command == "exec":
                self.transactions.note_parsed()
            return b""
        if part is None:
            self._wait()
        return part

    def _find_run(self) -> bool:
        session = self.session
        if not session.takes_runs or (session.transaction is not None and not self.runs.subject.draw.ids):
            return False
        self.run_left = self.reader.next_run(self.runs)
        if not self.run_left:
            return False
        session.last_command = self.runs.subject.command
        return True

    def _answer_run(self) -> bytes | None:
        session = self.session
        subject = self.runs.subject  # which no request can replace before the run has ended
        command, draw = subject.command, subject.draw
        if session.transaction is not None:
            queued, output = queue_draws(session, session.transaction, command, draw, self.run_left)
            self.run_left -= queued
            return output
        answered, replies = draw.answer(session, self.run_left)
        if replies is None:
            self._wait()
            return None
        self.run_left -= answered
        self._commands[command] += answered
        if replies[0] == errors.FIRST_BYTE:
            session.worker.stats.failed_calls[command] += answered
        return replies

    def wait_with_run(self) -> None:
        """Waits with the rest of a run, without an attempt to draw its IDs."""
        self.runs.subject.draw.want(self.session, self.run_left)
        self._wait()

    def _expect_run(self, command: Command, arguments: list[bytes]) -> None:
        """Expects a run of such requests if this one is like the one before."""
        if command.draw_of is None and self.session.transaction is not None:
            return  # queued: a run of constant replies is none in a transaction
        if not self.runs.repeats(arguments, command.free):
            return
        if len(arguments) * LONGEST_ARGUMENT > self._limits.request_bytes:
            return  # a run is not checked against the limit
        if command.draw_of is None:
            drawn: Drawn | None = constant_draw(self.session, command.handler, arguments)
        else:
            drawn = command.draw_of(self.session.worker.generator.layout, arguments)
        if isinstance(drawn, Draw):
            is_new = self.runs.learn(arguments, command.free, RunDraw(command.name, drawn))
            if is_new and is_known(self.kinds, arguments):
                self.runs.note_known()
        else:
            self.runs.note_unlearnable()

    def _read_request(self) -> list[bytes] | None:
        session, reader = self.session, self.reader
        reader.limits = self._limits if session.authenticated else unauthenticated_limits(self._limits)
        # In a plain session, `answer_quickly` has looked for a short one.
        return (None if session.is_plain else reader.next_short_request()) or reader.next_request()

    def _wait(self) -> None:
        worker, wait = self.session.worker, self.session.wait
        wait.begin(worker.clock.wall_ms())
        wait.is_followed = self.parts is not None or not self.reader.is_empty or len(self.recognised) > 1
        if worker.generator.stopped_for_ms() >= STREAM_PATIENCE_MS:
            self.session.closing = True
