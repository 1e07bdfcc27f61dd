"""One client without its socket: bytes in, bytes out. Uses no asyncio, no sockets, and no clock of its own."""

from dataclasses import dataclass
from typing import NamedTuple

from respid.commands import (
    Command,
    Draw,
    Drawn,
    Known,
    Parts,
    ReplyMode,
    Session,
    answer_known,
    constant_draw,
    exec_at_once,
    is_run,
    known_kinds,
    queue_draws,
    queue_known,
    refuse_known,
    run,
    run_at_once,
    run_known_at_once,
    run_quickly,
)
from respid.commands.session import Queued
from respid.net.states import Next
from respid.net.turns import ROUND_NS, UNAUTHENTICATED_ROUND_NS, Budget
from respid.resp import errors
from respid.resp.fast_path import LONGEST_ARGUMENT, NO_RUN, RunReader
from respid.resp.known_frames import Kinds, KnownFrames
from respid.resp.reader import ProtocolError, RequestLimits, RequestReader, unauthenticated_limits
from respid.resp.transaction import (
    CLOSINGS,
    EXEC_BYTES,
    MULTI_BYTES,
    NO_REQUESTS,
    OPENINGS,
    Requests,
    TransactionReader,
)
from respid.worker.worker import Worker

# The most that one client gets done before others have their turn. It bounds memory, and how long the others wait.
TURN_OUTPUT_BYTES = 64 * 1024
TURN_REQUESTS = 512
MOST_AT_ONCE = 16  # transactions of 4 to 40 us, until the time is checked
QUICK_READ_BYTES = 512  # a shorter read of known requests takes up to 30 us, which need not be measured
MOST_QUICK = 64  # requests of about 1 us, until the time is checked
TURN_NS = 3_000_000  # some requests are slow: CONFIG GET with a thousand names, 60 KB of escapes in an inline command
UNAUTHENTICATED_TURN_NS = 100_000
# The time to read and keep what a client sends, and to write replies, in the budget of the round.
READ_NS = 10_000
NS_PER_BYTE = 1
NS_PER_KNOWN = 300  # of a known request in a transaction that is answered at once
FIRST_READ_BYTES = 32_000  # as long as the client has sent nothing
MOST_UNNOTED_BYTES = 1400  # of a transaction: 128 known requests are too few for their memory to be noted
STREAM_PATIENCE_MS = 5_000  # how long a reply that has begun waits for an ID before the connection is closed

# Looking up a member of an enumeration takes 80 ns more than a global, and a request on the general path needs six.
_ON, _SKIP_NEXT, _SKIPPING = ReplyMode.ON, ReplyMode.SKIP_NEXT, ReplyMode.SKIPPING
_READ, _TURN, _CLOSE = Next.READ, Next.TURN, Next.CLOSE


class Budgets(NamedTuple):
    """The time that clients have in a round of the event loop."""

    authenticated: Budget
    unauthenticated: Budget


@dataclass(frozen=True, slots=True)
class RunDraw:
    """The command of a run, and what each of its frames draws."""

    command: str
    draw: Draw


class Connection:
    """The requests of one client, answered in order."""

    __slots__ = (
        "_budgets",
        "_commands",
        "_following",
        "_generator",
        "_known",
        "_limits",
        "_parts",
        "_read_bytes",
        "_reader",
        "_recognised",
        "_request",
        "_run_left",
        "_runs",
        "_took_general_path",
        "_transactions",
        "is_between_requests",
        "is_settled",
        "next",
        "session",
    )

    def __init__(
        self,
        worker: Worker,
        identifier: int,
        address: str,
        limits: RequestLimits,
        *,
        budgets: Budgets | None = None,
    ) -> None:
        """Without `budgets`, the connection shares its time with no other."""
        self.session = Session(worker, identifier, address)
        self._budgets = budgets or Budgets(Budget(ROUND_NS), Budget(UNAUTHENTICATED_ROUND_NS))
        self.next = _READ
        self._limits = limits
        self._reader = RequestReader(self._current_limits)
        self._read_bytes = FIRST_READ_BYTES  # what came last
        self._request: list[bytes] | None = None  # the request that is being answered
        self._following: list[bytes] | None = None  # the next one, while those before it are being answered together
        self._parts: Parts | None = None  # the rest of a reply that has begun
        self._run_left = 0  # commands of a run that are not answered yet
        self._runs = RunReader[RunDraw]()
        self._known = KnownFrames[Known](self._runs)
        self._recognised: tuple[Known, ...] = ()  # known requests that are not answered yet
        self._took_general_path = True  # whether the last read had requests for the general path, or none came yet
        self._transactions = TransactionReader[Known](self._runs, self._known)
        self._generator = worker.generator
        self._commands = worker.stats.commands
        # Everything that was read is answered, and the client is neither in MULTI nor in CLIENT REPLY OFF.
        self.is_between_requests = self.session.is_plain
        self.is_settled = True  # it has held nothing since `settle` was called, or a small transaction only

    def settle(self) -> None:
        """Call when what the client holds has been noted."""
        self.is_settled = self.is_between_requests

    @property
    def is_between_replies(self) -> bool:
        """Whether no reply has begun and the client is neither in MULTI nor in CLIENT REPLY OFF, as pushes need it."""
        return self._parts is None and self.session.is_plain

    @property
    def held_bytes(self) -> int:
        """The memory of requests that are not answered yet, of the transaction, and of what the last read was like."""
        pending_bytes = 0 if self.is_between_requests else self._reader.held_bytes + self.session.queued_bytes
        return pending_bytes + self._runs.held_bytes + self._known.held_bytes

    @property
    def has_part(self) -> bool:
        """Whether requests have arrived that are not read yet, or a part of one."""
        return not self._reader.is_empty

    @property
    def unread_bytes(self) -> int:
        """How much of what was received has not been parsed yet."""
        return self._reader.unread_bytes

    @property
    def _current_limits(self) -> RequestLimits:
        return self._limits if self.session.authenticated else unauthenticated_limits(self._limits)

    def receive(self, data: bytes) -> bytes:
        """Takes the bytes that were read and returns the bytes to write; `next` then says how to continue."""
        # Nearly all reads are one run: an INCR takes 0.75 us here, and 4.5 us on the general path.
        found = self._runs.find_in_read(data) if self.is_between_requests else NO_RUN
        frames = found.frames
        if not frames:
            if self._transactions.expected:
                if not self.is_between_requests:
                    return self._receive_in_transaction(data)
                if data.startswith(OPENINGS):
                    return self._receive_transactions(data)
            return self._receive_requests(data)
        self._took_general_path = False
        subject = self._runs.subject
        command, draw = subject.command, subject.draw
        ids = draw.ids
        self.session.last_command = command
        if ids == 1:
            first, count = self._generator.take(frames)
        else:
            first, count = self._generator.take_blocks(ids, frames) if ids else (0, frames)
        self._commands[command] += count
        output = draw.encode(first, ids, count) if count else b""
        if count == frames and found.end == len(data):
            return output
        self._run_left = frames - count
        rest = data[found.end :]  # may take long, unlike a run
        return output + (self._receive_requests(rest) if rest else self._answer_turn())

    def _receive_transactions(self, data: bytes) -> bytes:
        """Answers the transactions with which a read begins: 16 INCRs take 4 us, and 25 on the general path."""
        output, position = b"", 0
        self._took_general_path = False
        kinds = self._kinds
        for _ in range(MOST_AT_ONCE):
            frames, known, end = self._transactions.find(kinds, data, position)
            replies = self._run_at_once(frames, known) if end else b""
            if not replies:
                break
            output, position = output + replies, end
            if position == len(data) or self._parts is not None or len(output) >= TURN_OUTPUT_BYTES:
                break
        if self._parts is None and position == len(data):
            return output
        rest = data[position:]
        if not position and (output := self._begin_transaction(data)):
            return output
        return output + (self._receive_requests(rest) if rest else self._answer_turn())

    def _begin_transaction(self, data: bytes) -> bytes:
        """Answers MULTI and the requests after it in a read without EXEC; returns b"" if they need the general path."""
        found = self._find_quick(data[MULTI_BYTES:])
        if found is None:
            return b""
        begun = run(self.session, [b"MULTI"])
        return begun + self._queue_quickly(*found) if isinstance(begun, bytes) else b""

    def _receive_in_transaction(self, data: bytes) -> bytes:
        """Answers a read with requests of a transaction, EXEC, or both. Jedis sends EXEC alone, others each request."""
        session = self.session
        ending = data[-EXEC_BYTES:]
        if ending not in CLOSINGS:
            ending = b""
        is_next = session.transaction is not None and self.next is _READ and self._reader.is_empty
        found = self._find_quick(data[: len(data) - len(ending)]) if is_next and session.takes_runs else None
        if found is None:
            return self._receive_requests(data)
        output = self._queue_quickly(*found)
        if not ending:
            return output
        replies, self._parts = exec_at_once(session)
        if not replies:
            return output + self._receive_requests(ending)
        self.is_between_requests = self._parts is None
        return output + replies + (b"" if self._parts is None else self._answer_turn())

    def _find_quick(self, requests: bytes) -> Requests[Known] | None:
        """Returns the requests of a transaction that can be queued at once; None if they need the general path."""
        session = self.session
        is_large = session.queued_bytes > MOST_UNNOTED_BYTES
        if is_large or session.transaction_broken or session.tracking is not None:
            return None
        if not requests:
            return NO_REQUESTS
        frames, known = self._transactions.find_all(self._kinds, requests)
        queued = 0 if session.transaction is None else session.queued_size
        has_room = queued + frames + len(known) <= session.worker.config.max_queued_commands
        return (frames, known) if has_room and self._is_quick(frames, known) else None

    def _queue_quickly(self, frames: int, known: tuple[Known, ...]) -> bytes:
        self.is_between_requests = self._took_general_path = False
        self._transactions.trust()
        if frames:
            self._run_left = frames
            self.session.last_command = self._runs.subject.command
            return self._answer_run() or b""
        self._recognised = known
        return self._answer_known() or b"" if known else b""

    @property
    def _kinds(self) -> Kinds[Known]:
        return known_kinds(self.session) if self._reader.accepts_short else {}

    def _is_quick(self, frames: int, known: tuple[Known, ...]) -> bool:
        """Whether these requests of a transaction are better answered at once."""
        if known:
            return not (is_run(known) and self._runs.may_learn(len(known)))
        return frames > 0 and self._runs.subject.draw.ids > 0

    def _run_at_once(self, frames: int, known: tuple[Known, ...]) -> bytes:
        """Answers a transaction of the expected run, or of known requests; returns b"" if it needs the general path."""
        session, output = self.session, b""
        if session.tracking is None and self._is_quick(frames, known):
            if known:
                output, self._parts = run_known_at_once(session, known)
                self.budget.left_ns -= len(known) * NS_PER_KNOWN
            else:
                subject = self._runs.subject
                output, self._parts = run_at_once(session, subject.command, subject.draw, frames)
        if output:
            self._transactions.trust()
        else:
            self._transactions.doubt()
        return output

    def _receive_requests(self, data: bytes) -> bytes:
        self._feed(data)
        if self.next is not _READ:
            return b""
        budget = self.budget
        budget.left_ns -= READ_NS + len(data) * NS_PER_BYTE
        if budget.left_ns <= 0:
            self.next = _TURN
            self.is_between_requests = self.is_settled = False
            return b""
        # Most reads that are no run are answered here: a GET takes 2.4 us, and 4.5 us with the detours of a turn.
        # A turn measures its time, which matters for longer reads.
        is_next = self.is_between_requests and not self._run_left and self._parts is None
        output = b""
        if is_next and len(data) < QUICK_READ_BYTES:
            output = self._answer_quickly()
            if output and self._following is None and not self._recognised and self._reader.finish():
                return output
            if self._following is not None:
                self._request, self._following = self._following, None
            elif not output and self._request is None:
                self._known.pause += 1  # at the same place, an attempt would be in vain again
        return output + self._answer_turn()

    def _feed(self, data: bytes) -> None:
        self._reader.feed(data)
        self._read_bytes = len(data)
        self._took_general_path = False

    def forget(self) -> None:
        """Frees what the client holds, before the connection is closed."""
        self._reader = RequestReader(self._limits)
        self._parts = self._request = None
        self.session.end_transaction()

    def resume(self) -> bytes:
        """Continues where it stopped and returns the bytes to write; `next` then says how to continue."""
        output = self._answer_turn() if self.next in (_TURN, Next.WAIT) else b""
        if self.next is _READ:  # the next read takes about as long as the last one, and cannot be put off any more
            self.budget.left_ns -= READ_NS + self._read_bytes * NS_PER_BYTE
        return output

    def note_long_read(self, taken_ns: int) -> None:
        """Call if it took long to decrypt what was read, as no requests for IDs do."""
        self._took_general_path = True
        self.budget.left_ns -= taken_ns

    @property
    def is_cheap(self) -> bool:
        """Whether the last read took little time for its size: it had requests for IDs, or other known ones, only."""
        return self.is_between_requests and not self._took_general_path

    @property
    def budget(self) -> Budget:
        return self._budgets.authenticated if self.session.authenticated else self._budgets.unauthenticated

    def _answer_turn(self) -> bytes:
        """Answers for one turn, and takes the time from the budget of the round."""
        session, budget = self.session, self.budget
        monotonic_ns = session.worker.clock.monotonic_ns
        begun_ns = monotonic_ns()
        turn_ns = TURN_NS if session.authenticated else UNAUTHENTICATED_TURN_NS
        output = self._answer_until(begun_ns + min(turn_ns, budget.left_ns))
        self.is_settled = self.is_settled and self.is_between_requests
        budget.left_ns -= monotonic_ns() - begun_ns + len(output) * NS_PER_BYTE
        return output

    def _answer_until(self, deadline_ns: int) -> bytes:
        session = self.session
        output: list[bytes] = []
        output_bytes = 0
        self.next = _TURN
        monotonic_ns = session.worker.clock.monotonic_ns
        for _ in range(TURN_REQUESTS):
            reply = self._answer()
            if reply is None:
                break
            if reply:
                if session.reply_mode is _ON or session.reply_mode is _SKIP_NEXT:
                    output.append(reply)
                    output_bytes += len(reply)
                if reply[0] == errors.FIRST_BYTE:
                    session.worker.stats.errors[reply[1:].split(maxsplit=1)[0].decode()] += 1
            if self._parts is None:
                if session.reply_mode is not _ON:
                    self._change_reply_mode()
                self._request, self._following = self._following, None
            if session.closing or output_bytes >= TURN_OUTPUT_BYTES or monotonic_ns() >= deadline_ns:
                break
        if session.closing:
            self.next = _CLOSE
            self._reader = RequestReader(self._limits)  # frees unread input: the client may be slow to leave
        self.is_between_requests = self.next is _READ and session.is_plain and self._reader.is_empty
        return b"".join(output)

    def _answer(self) -> bytes | None:
        """The next reply, several replies, or part of one. None when there is none now; `next` says why."""
        if self._parts is not None:
            return self._answer_part(self._parts)
        if self._request is not None:
            return self._answer_request(self._request)
        if self._recognised:
            return self._answer_known()
        if self._run_left or (self._runs.expects is not None and self._find_run()):
            return self._answer_run()
        if self._reader.finish():
            self._end_read()
            return None
        if self.session.is_plain:
            if replies := self._answer_quickly():
                return replies
        elif self.session.transaction and self.session.takes_runs:  # not for the first one, from which a run is learned
            self._recognise()
        return self._answer_known() if self._recognised else self._answer_next()

    def _answer_next(self) -> bytes | None:
        # Until here, a pipeline whose turn has ended between two requests waits as the one before did.
        self.session.wait.want_one()
        try:
            request = self._request = self._request or self._read_request()
        except ProtocolError as error:
            self.session.closing = True
            self.session.worker.stats.connections_closed[error.limit or "protocol_error"] += 1
            return errors.error(f"ERR Protocol error: {error}")
        if request is not None:
            return self._answer_request(request)
        self._end_read()
        return None

    def _answer_request(self, request: list[bytes]) -> bytes | None:
        self._took_general_path = True
        # A blank line has no reply, but it uses up part of the turn.
        reply = run(self.session, request, self._expect_run) if request else b""
        if isinstance(reply, bytes):
            return reply
        if reply is None:
            self._wait()
            return None
        self._parts = reply
        return self._answer_part(reply)

    def _end_read(self) -> None:
        """Call when all that was read is answered, but for an incomplete request."""
        self.session.wait.want_one()
        self.session.wait.end()
        self.next = _READ

    def _answer_recognised(self, most: int | None = None) -> bytes:
        """Answers known requests up to one that gets no ID now."""
        answered, replies = answer_known(self.session, self._recognised[:most])
        self._recognised = self._recognised[answered:]
        return replies

    def _recognise(self) -> None:
        """Looks for known requests, unless that was in vain many times."""
        if self._known.pause:
            self._known.pause -= 1
        else:
            self._recognised = self._reader.next_known(self._known, known_kinds(self.session))

    def _queue_known(self, transaction: list[Queued]) -> bytes:
        queued, replies = queue_known(self.session, transaction, self._recognised)
        self.session.last_command = self._recognised[queued - 1].command
        self._recognised = self._recognised[queued:]
        return replies

    def _answer_known(self) -> bytes | None:
        if self.session.transaction is not None:
            return self._queue_known(self.session.transaction)
        is_refused = self.session.refusal() is not None  # then how to answer all of them is not worth finding out
        replies = self._answer_recognised(1 if is_refused else None)
        if replies:
            return replies
        refusal = refuse_known(self.session, self._recognised[0])
        if refusal is None:
            self._wait()
        else:
            self._recognised = self._recognised[1:]
        return refusal

    def _answer_quickly(self) -> bytes:
        """Answers the next requests as long as they are known, or short and quick, without the detours of others.

        It ends before a run. The request after them is kept if it was parsed.
        """
        self._recognise()
        if not self._recognised:
            return self._answer_in_turn([])
        output = self._answer_recognised()
        if self._recognised or self._reader.finish():
            return output
        return self._answer_in_turn([output])

    def _answer_in_turn(self, replies: list[bytes]) -> bytes:
        """Adds the replies to requests that are short and quick, and to known ones among them."""
        left = MOST_QUICK
        while left > 0:
            most = left if self._known.pause else 1
            if self._answer_short(replies, most) < most or self._reader.finish():
                break
            self._recognise()
            left -= most + len(self._recognised)
            if self._recognised:
                replies.append(self._answer_recognised())
                if self._recognised or self._reader.finish():
                    break
        return b"".join(replies)

    def _answer_short(self, replies: list[bytes], most: int) -> int:
        """Adds the replies to the next requests that are short and quick. Returns how many these are."""
        reader, runs = self._reader, self._runs
        on_repeatable = None if runs.pause else self._expect_run
        answered = 0
        while answered < most:
            if runs.expects is not None and reader.is_at(runs.expects.start):
                break
            request = reader.next_short_request()
            if request is None:
                if replies:
                    self._known.pause += 1  # at the same place, an attempt would be in vain again
                break
            reply = run_quickly(self.session, request, on_repeatable)
            if reply is None:
                self.session.wait.want_one()
                if replies:
                    self._following = request
                else:
                    self._request = request
                break
            replies.append(reply)
            answered += 1
        if runs.pause:
            runs.may_learn(answered)
        return answered

    def _answer_part(self, parts: Parts) -> bytes | None:
        try:
            part = next(parts)
        except StopIteration:
            self._parts = None
            if self.session.last_command == "exec":
                self._transactions.note_parsed()
            return b""
        if part is None:
            self._wait()
        return part

    def _find_run(self) -> bool:
        session = self.session
        if not session.takes_runs or (session.transaction is not None and not self._runs.subject.draw.ids):
            return False
        self._run_left = self._reader.next_run(self._runs)
        if not self._run_left:
            return False
        session.last_command = self._runs.subject.command
        return True

    def _answer_run(self) -> bytes | None:
        session = self.session
        subject = self._runs.subject  # which no request can replace before the run has ended
        command, draw = subject.command, subject.draw
        if session.transaction is not None:
            queued, output = queue_draws(session, session.transaction, command, draw, self._run_left)
            self._run_left -= queued
            return output
        answered, replies = draw.answer(session, self._run_left)
        if replies is None:
            self._wait()
            return None
        self._run_left -= answered
        self._commands[command] += answered
        if replies[0] == errors.FIRST_BYTE:
            session.worker.stats.failed_calls[command] += answered
        return replies

    def _expect_run(self, command: Command, arguments: list[bytes]) -> None:
        """Expects a run of such requests if this one is like the one before."""
        if command.draw_of is None and self.session.transaction is not None:
            return  # queued: a run of constant replies is none in a transaction
        if not self._runs.repeats(arguments, command.free):
            return
        if len(arguments) * LONGEST_ARGUMENT > self._limits.request_bytes:
            return  # a run is not checked against the limit
        if command.draw_of is None:
            drawn: Drawn | None = constant_draw(self.session, command.handler, arguments)
        else:
            drawn = command.draw_of(self._generator.layout, arguments)
        if isinstance(drawn, Draw):
            self._runs.learn(arguments, command.free, RunDraw(command.name, drawn))
        else:
            self._runs.note_unlearnable()

    def _read_request(self) -> list[bytes] | None:
        session, reader = self.session, self._reader
        reader.limits = self._limits if session.authenticated else unauthenticated_limits(self._limits)
        # In a plain session, `_answer_quickly` has looked for a short one.
        return (None if session.is_plain else reader.next_short_request()) or reader.next_request()

    def _change_reply_mode(self) -> None:
        """CLIENT REPLY SKIP holds for one command. A blank line leaves it to the next one."""
        session = self.session
        if self._request == []:
            return
        if session.reply_mode is _SKIPPING:
            session.reply_mode = _ON
        elif session.reply_mode is _SKIP_NEXT:
            session.reply_mode = _SKIPPING

    def _wait(self) -> None:
        worker, wait = self.session.worker, self.session.wait
        self.next = Next.WAIT
        wait.begin(worker.clock.wall_ms())
        wait.is_followed = self._parts is not None or not self._reader.is_empty or len(self._recognised) > 1
        if worker.generator.stopped_for_ms() >= STREAM_PATIENCE_MS:
            self.session.closing = True
