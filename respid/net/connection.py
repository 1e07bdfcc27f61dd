"""One client without its socket: bytes in, bytes out. Uses no asyncio, no sockets, and no clock of its own.

Answers a read that is a run as a whole, and all else in turns, which leave time for others. `pending_requests` finds
the replies of a turn.
"""

from typing import NamedTuple

from respid.commands import Known, ReplyMode, Session, is_run, run
from respid.net.pending_requests import PendingRequests
from respid.net.states import Next
from respid.net.turns import ROUND_NS, UNAUTHENTICATED_ROUND_NS, Budget
from respid.resp import errors
from respid.resp.reader import RequestLimits
from respid.resp.transaction import CLOSINGS, EXEC_BYTES, MULTI_BYTES, NO_REQUESTS, OPENINGS
from respid.worker.worker import Worker

# The most that one client gets done before others have their turn. It bounds memory, and how long the others wait.
TURN_OUTPUT_BYTES = 64 * 1024
TURN_REQUESTS = 512
MOST_TRANSACTIONS = 16  # at once, of 4 to 40 us each, until the time is checked
QUICK_READ_BYTES = 1024  # a shorter read of quick requests takes up to 70 us, which need not be measured
TURN_NS = 3_000_000  # some requests are slow: CONFIG GET with a thousand names, 60 KB of escapes in an inline command
UNAUTHENTICATED_TURN_NS = 100_000
# The time to read and keep what a client sends, and to write replies, in the budget of the round.
READ_NS = 10_000
NS_PER_BYTE = 1
NS_PER_QUICK_BYTE = 20  # of a short read of quick requests: with the time to answer them
NS_PER_KNOWN = 300  # of a known request in a transaction that is answered at once
FIRST_READ_BYTES = 32_000  # as long as the client has sent nothing
MOST_UNNOTED_BYTES = 1400  # of a transaction: 128 known requests are too few for their memory to be noted

# Looking up a member of an enumeration takes 80 ns more than a global, and a request on the general path needs six.
_ON, _SKIP_NEXT, _SKIPPING = ReplyMode.ON, ReplyMode.SKIP_NEXT, ReplyMode.SKIPPING
_OFF, _OFF_SKIP_NEXT, _OFF_SKIPPING = ReplyMode.OFF, ReplyMode.OFF_SKIP_NEXT, ReplyMode.OFF_SKIPPING
_READ, _TURN = Next.READ, Next.TURN


class Budgets(NamedTuple):
    """The time that clients have in a round of the event loop."""

    authenticated: Budget
    unauthenticated: Budget


class Connection:
    """The requests of one client, answered in order."""

    __slots__ = (
        "_budgets",
        "_commands",
        "_general_requests",
        "_generator",
        "_pending",
        "_read_bytes",
        "_runs",
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
        self._read_bytes = FIRST_READ_BYTES  # what came last
        self._pending = PendingRequests(self.session, limits)
        # That were pending and answered before the last read; None if that was a run and nothing else.
        self._general_requests: int | None = -1
        self._runs, self._transactions = self._pending.runs, self._pending.transactions
        self._generator = worker.generator
        self._commands = worker.stats.commands
        # Everything that was read is answered, and the client is neither in MULTI nor in CLIENT REPLY OFF.
        self.is_between_requests = self.session.is_plain
        self.is_settled = True  # it has held nothing since `settle` was called, or a small transaction only

    def settle(self) -> None:
        """Call when what the client holds has been noted."""
        self.is_settled = self._is_answered

    @property
    def is_between_replies(self) -> bool:
        """Whether no reply has begun and the client is neither in MULTI nor in CLIENT REPLY OFF, as pushes need it."""
        return self._pending.parts is None and self.session.is_plain

    @property
    def held_bytes(self) -> int:
        """The memory of requests that are not answered yet, of the transaction, and of what the last read was like."""
        pending_bytes = 0 if self.is_between_requests else self._pending.held_bytes
        return pending_bytes + self._pending.remembered_bytes

    @property
    def has_part(self) -> bool:
        """Whether requests have arrived that are not read yet, or a part of one."""
        return not self._pending.reader.is_empty

    @property
    def unread_bytes(self) -> int:
        """How much of what was received has not been parsed yet."""
        return self._pending.unread_bytes

    def receive(self, data: bytes) -> bytes:
        """Takes the bytes that were read and returns the bytes to write; `next` then says how to continue."""
        if not self.is_between_requests:
            if self.next is _READ and self._pending.reader.is_cut:
                # Networks cut a pipeline every 1,448 bytes. A part that was parsed would cost 5 us, and the rest 8 us.
                data = self._pending.reader.take_part() + data
                self.is_between_requests = self.session.is_plain
            if not self.is_between_requests:
                self._general_requests = self._pending.general_requests
                is_expected = self._transactions.expected
                return self._receive_in_transaction(data) if is_expected else self._receive_requests(data)
        # Nearly all reads are one run: an INCR takes 0.75 us here, and 4.5 us on the general path. It uses few objects
        # of its client. Those of thousands of clients do not stay in the caches: `_pending` alone would take 0.2 us.
        frames, end = self._runs.find_in_read(data)
        if not frames:
            self._general_requests = self._pending.general_requests
            if self._transactions.expected and data.startswith(OPENINGS):
                return self._receive_transactions(data)
            return self._receive_requests(data)
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
        if count == frames and end == len(data):
            self._general_requests = None
            return output
        self._general_requests = self._pending.general_requests
        self._pending.continue_run(frames - count)
        rest = data[end:]  # may take long, unlike a run
        if not rest and self._generator.queued and not self._generator.stopped_for_ms():
            self._wait_with_run()  # an attempt would be in vain, since others wait
            return output
        return output + (self._receive_rest(rest) if rest else self._answer_turn())

    def _wait_with_run(self) -> None:
        self._pending.wait_with_run()
        self.next = Next.WAIT
        self.is_between_requests = self.is_settled = False

    def _receive_transactions(self, data: bytes) -> bytes:
        """Answers the transactions with which a read begins: 16 INCRs take 4 us, and 25 on the general path."""
        output, position, pending = b"", 0, self._pending
        kinds = pending.kinds
        for _ in range(MOST_TRANSACTIONS):
            frames, known, end, is_whole = self._transactions.find(kinds, data, position)
            if is_whole:
                replies = self._run_at_once(frames, known)
            else:
                replies = self._begin_transaction(frames, known, end - position)
            if not replies:
                break
            output, position = output + replies, end
            is_last = position == len(data) or pending.has_begun
            if is_last or not is_whole or len(output) >= TURN_OUTPUT_BYTES:
                break
        if position == len(data) and not pending.has_begun:
            return output
        rest = data[position:]
        return output + (self._receive_rest(rest) if rest else self._answer_turn())

    def _begin_transaction(self, frames: int, known: tuple[Known, ...], read_bytes: int) -> bytes:
        """Answers MULTI and these requests of a transaction that goes on; returns b"" if it needs the general path."""
        is_alone = read_bytes == MULTI_BYTES
        if not self._may_queue(is_alone=is_alone) or not (is_alone or self._has_room(frames, known)):
            return b""
        begun = run(self.session, [b"MULTI"])
        return begun + self._queue_quickly(frames, known, read_bytes) if isinstance(begun, bytes) else b""

    def _receive_in_transaction(self, data: bytes) -> bytes:
        """Answers a read with requests of a transaction, EXEC, or both. Jedis sends EXEC alone, others each request."""
        session = self.session
        is_next = session.transaction is not None and self.next is _READ and self._pending.reader.is_empty
        ending = data[-EXEC_BYTES:]
        requests = data[:-EXEC_BYTES] if ending in CLOSINGS else data
        if not is_next or not session.takes_runs or not self._may_queue(is_alone=not requests):
            return self._receive_requests(data)
        found = self._transactions.find_first(self._pending.kinds, requests) if requests else NO_REQUESTS
        frames, known, end = found
        if requests and not self._has_room(frames, known):
            return self._receive_requests(data)
        output = self._queue_quickly(frames, known, end)
        if end < len(requests):
            return output + self._receive_rest(data[end:])
        if requests is data:
            return output
        replies = self._pending.exec_transaction()
        if not replies:
            return output + self._receive_requests(ending)
        self._transactions.trust()
        self.is_between_requests = not self._pending.has_begun
        return output + replies + (b"" if self.is_between_requests else self._answer_turn())

    def _may_queue(self, *, is_alone: bool) -> bool:
        """Whether requests of a transaction can be queued at once, or MULTI or EXEC alone be answered so.

        Requests cannot be if the time of the round is used up, since only the general path waits for a turn.
        """
        session = self.session
        is_large = session.queued_bytes > MOST_UNNOTED_BYTES
        if is_large or session.transaction_broken:
            return False
        return is_alone or self._budgets.authenticated.left_ns > 0

    def _has_room(self, frames: int, known: tuple[Known, ...]) -> bool:
        """Whether the transaction has room for these requests, and they are better queued at once."""
        session = self.session
        has_room = session.queued_size + frames + len(known) <= session.worker.config.max_queued_commands
        if has_room and self._is_quick(frames, known):
            return True
        if frames or known:
            self._transactions.doubt()
        return False

    def _queue_quickly(self, frames: int, known: tuple[Known, ...], read_bytes: int) -> bytes:
        self.is_between_requests = False
        if not frames and not known:
            return b""  # MULTI or EXEC alone takes a few microseconds, which are not counted
        if frames + len(known) > 1:  # one request does not make up for an attempt in vain at another
            self._transactions.trust()
        self._budgets.authenticated.left_ns -= READ_NS + read_bytes * NS_PER_BYTE + len(known) * NS_PER_KNOWN
        return self._pending.queue(frames, known)

    def _is_quick(self, frames: int, known: tuple[Known, ...]) -> bool:
        """Whether these requests of a transaction are better answered at once."""
        if known:
            return not (is_run(known) and self._runs.may_learn(len(known)))
        return frames > 0 and self._runs.subject.draw.ids > 0

    def _run_at_once(self, frames: int, known: tuple[Known, ...]) -> bytes:
        """Answers a transaction of the expected run, or of known requests; returns b"" if it needs the general path."""
        output = b""
        if self._is_quick(frames, known):
            output = self._pending.run_transaction(frames, known)
            if known:
                self.budget.left_ns -= len(known) * NS_PER_KNOWN
        if output:
            self._transactions.trust()
        else:
            self._transactions.doubt()
        return output

    def _receive_rest(self, data: bytes) -> bytes:
        """Takes what follows requests that were answered at once, mostly a part of the next one."""
        pending = self._pending
        if pending.has_begun:
            self.is_between_requests = False
            return self._receive_requests(data)
        if not pending.reader.feed_part(data):
            return self._receive_requests(data)
        self.is_between_requests = False
        return b""

    def _receive_requests(self, data: bytes) -> bytes:
        pending = self._pending
        self._read_bytes = len(data)
        if self.next is not _READ:
            pending.feed(data)
            return b""
        # Most reads that are no run are answered here: a GET takes 1.3 us, and 4.5 us with the detours of a turn.
        # A turn measures its time, which matters for longer reads.
        is_quick = self.is_between_requests and len(data) < QUICK_READ_BYTES
        budget = self._budgets.authenticated if is_quick else self.budget
        budget.left_ns -= READ_NS + len(data) * (NS_PER_QUICK_BYTE if is_quick else NS_PER_BYTE)
        if is_quick and budget.left_ns > 0:
            output, is_all = pending.answer_short_read(data)
            if not is_all:
                return output + self._answer_turn()
            if pending.reader.is_cut:
                self.is_between_requests = False
            return output
        pending.feed(data)
        if budget.left_ns <= 0:
            self.next = _TURN
            self.is_between_requests = self.is_settled = False
            return b""
        return self._answer_turn()

    def forget(self) -> None:
        """Frees what the client holds, before the connection is closed."""
        self._pending.forget()
        self.session.end_transaction()

    def resume(self) -> bytes:
        """Continues where it stopped and returns the bytes to write; `next` then says how to continue."""
        output = self._answer_turn() if self.next in (_TURN, Next.WAIT) else b""
        if self.next is _READ:  # the next read takes about as long as the last one, and cannot be put off any more
            self.budget.left_ns -= READ_NS + self._read_bytes * NS_PER_BYTE
        return output

    def note_long_read(self, taken_ns: int) -> None:
        """Call if it took long to decrypt what was read, as no requests for IDs do."""
        self._general_requests = -1
        self.budget.left_ns -= taken_ns

    @property
    def is_cheap(self) -> bool:
        """Whether the last read took little time for its size: it had requests for IDs, or other known ones, only."""
        return self._is_answered and self._general_requests in (None, self._pending.general_requests)

    @property
    def _is_answered(self) -> bool:
        """Whether the client is between requests, or has sent a part of a short one."""
        return self.is_between_requests or (
            self.next is _READ and self._pending.reader.is_cut and self.session.is_plain
        )

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
        self.is_settled = self.is_settled and self._is_answered
        budget.left_ns -= monotonic_ns() - begun_ns + len(output) * NS_PER_BYTE
        return output

    def _answer_until(self, deadline_ns: int) -> bytes:
        session, pending = self.session, self._pending
        output: list[bytes] = []
        output_bytes = 0
        self.next = _TURN
        monotonic_ns = session.worker.clock.monotonic_ns
        for _ in range(TURN_REQUESTS):
            reply = pending.answer()
            if reply is None:
                self.next = _READ if session.wait.since_ms is None else Next.WAIT
                break
            if reply:
                if session.reply_mode is _ON or session.reply_mode is _SKIP_NEXT:
                    output.append(reply)
                    output_bytes += len(reply)
                if reply[0] == errors.FIRST_BYTE:
                    session.worker.stats.errors[reply[1:].split(maxsplit=1)[0].decode()] += 1
            if pending.parts is None:
                if session.reply_mode is not _ON:
                    self._change_reply_mode()
                pending.request, pending.following = pending.following, None
            if session.closing or output_bytes >= TURN_OUTPUT_BYTES or monotonic_ns() >= deadline_ns:
                break
        if session.closing:
            self.next = Next.CLOSE
            pending.forget_unread()  # the client may be slow to leave
        is_answered = self.next is _READ
        self.is_between_requests = is_answered and session.is_plain and pending.reader.is_empty
        return b"".join(output)

    def _change_reply_mode(self) -> None:
        """CLIENT REPLY SKIP holds for one command. A blank line leaves it to the next one."""
        session = self.session
        if self._pending.request == []:
            return
        if session.reply_mode is _SKIPPING:
            session.reply_mode = _ON
        elif session.reply_mode is _SKIP_NEXT:
            session.reply_mode = _SKIPPING
        elif session.reply_mode is _OFF_SKIP_NEXT:
            session.reply_mode = _OFF_SKIPPING
        elif session.reply_mode is _OFF_SKIPPING:
            session.reply_mode = _OFF
