"""The property that holds for any bytes that a client sends, and that the fuzzer tries to break. Needs no atheris.

An input has one byte that selects the worker, four that select where reads cut the rest, and the bytes to send.
"""

import re
from dataclasses import dataclass, replace
from random import Random

import hiredis
import pytest

from respid.ids.layout import Layout
from respid.net.connection import TURN_OUTPUT_BYTES, Connection
from respid.net.pending_requests import STREAM_PATIENCE_MS
from respid.net.states import Next
from respid.resp.reader import ProtocolError, RequestReader, unauthenticated_limits
from tests.support.both_paths import use_general_path
from tests.support.byte_streams import LOCKED, STREAMS, request
from tests.support.request_limits import DEFAULT_LIMITS
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, start_worker

HEAD_BYTES = 5
LAST = b"+last\r\n"
PASSWORD = "secret"
FEW_IDS = Layout(sequence_bits=4)  # 16 a millisecond: a few bytes make requests wait and streams take many turns
FEW_IDS_CHOICE = 2  # a bit of the first byte of an input
LIMITS = replace(DEFAULT_LIMITS, request_bytes=64 * 1024)
LARGEST_REPLY_BYTES = 64 * 1024  # COMMAND, and an echo as large as LIMITS allow
KEPT_BYTES = LIMITS.request_bytes + 70_000  # an incomplete request and an incomplete line
RUNS = [request(*words.split()) for words in ("INCR key", "INCRBY key 5", "HINCRBY key field 1", "INCRBYFLOAT key 1")]
RUNS += [request("ID.NEXT"), request("ID.NEXT", "AS", "STRING"), request("GET", "key"), request("PING")]
WORDS = re.compile(rb"client|reply|quit|reset|auth|hello|post|host:", re.IGNORECASE)


class Broken(Exception):  # noqa: N818 - the name appears in libFuzzer's report
    """The property does not hold."""


@dataclass
class Outcome:
    """Everything that a client or a scraper can observe of one connection."""

    output: bytes
    needs: str
    broke_off: bool  # closed within a stream because no ID was available for too long
    last_id: int | None
    last_command: str
    transaction: int
    commands: dict[str, int]
    errors: dict[str, int]


@dataclass(frozen=True)
class Case:
    """One parsed input."""

    sent: bytes
    cuts: tuple[int, ...]  # sizes of the reads, repeated
    locked: bool
    few_ids: bool
    reserved_ms: int

    @classmethod
    def of(cls, data: bytes) -> "Case":
        choice = data[0] if data else 0
        cuts = tuple(1 + byte for byte in data[1:HEAD_BYTES] if byte) or (1,)
        return cls(
            data[HEAD_BYTES:], cuts, bool(choice & 1), bool(choice & FEW_IDS_CHOICE), 20 if choice & 4 else 60_000
        )

    def pieces(self) -> list[bytes]:
        pieces, start, turn = [], 0, 0
        while start < len(self.sent):
            end = start + self.cuts[turn % len(self.cuts)]
            pieces.append(self.sent[start:end])
            start, turn = end, turn + 1
        return pieces


def play(case: Case, pieces: list[bytes]) -> Outcome:
    clock = ScriptedClock()
    layout = FEW_IDS if case.few_ids else Layout()
    worker = start_worker(clock, password=PASSWORD if case.locked else "", reserved_ms=case.reserved_ms, layout=layout)
    connection = connect(worker, LIMITS)
    output: list[bytes] = []
    for piece in pieces:
        if connection.next is Next.CLOSE:
            break
        output.append(_bounded(connection, connection.receive(piece)))
        while connection.next in (Next.WAIT, Next.TURN):
            if connection.next is Next.WAIT:
                clock.pass_ms(1 if worker.generator.obstacle() is None else 100)
            output.append(_bounded(connection, connection.resume()))
    session, stats = connection.session, worker.stats
    return Outcome(
        b"".join(output),
        connection.next.value,
        connection.next is Next.CLOSE and worker.generator.stopped_for_ms() >= STREAM_PATIENCE_MS,
        worker.generator.last_id,
        session.last_command,
        session.queued_requests,
        {name: count for name, count in stats.commands.items() if count},
        dict(stats.errors),
    )


def _bounded(connection: Connection, output: bytes) -> bytes:
    """Checks the output of one step, and the memory kept after it."""
    if len(output) > TURN_OUTPUT_BYTES + LARGEST_REPLY_BYTES:
        raise Broken(f"{len(output)} bytes of output in one turn")
    reader = connection._pending.reader
    kept = len(reader._buffer) - reader._position + len(reader._pending) + sum(map(len, reader._arguments))
    if connection.next is Next.READ and kept > KEPT_BYTES:
        raise Broken(f"{kept} bytes are kept for an incomplete request")
    return output


def check(data: bytes) -> None:
    """Raises Broken if the property does not hold for these bytes; passes on any exception of respid."""
    case = Case.of(data)
    whole = play(case, [case.sent])
    _compare("cut into reads", whole, play(case, case.pieces()))
    with pytest.MonkeyPatch.context() as patch:
        use_general_path(patch)
        _compare("on the general path", whole, play(case, [case.sent]))
    replies = _parse(whole, may_break_off=whole.broke_off or b"reply" in case.sent.lower())
    if not WORDS.search(case.sent):
        _check_replies(case, whole, replies)


def _compare(how: str, whole: Outcome, other: Outcome) -> None:
    if whole != other:
        raise Broken(f"{how}, the outcome differs: {other} instead of {whole}")


def _parse(outcome: Outcome, *, may_break_off: bool) -> list[object]:
    """Parses the replies with hiredis. CLIENT REPLY within MULTI breaks the reply to EXEC, as in Redis."""
    reader = hiredis.Reader()
    reader.feed(outcome.output + LAST)
    replies: list[object] = []
    while (reply := reader.gets()) is not False:
        replies.append(reply)
    if not may_break_off and (not replies or replies.pop() != b"last"):
        raise Broken(f"the last reply is not complete: {outcome.output[-200:]!r}")
    return replies


def _check_replies(case: Case, outcome: Outcome, replies: list[object]) -> None:
    """For input without commands that change replies: each request has a reply, and the IDs increase."""
    requests, refused = _requests(case)
    if len(replies) != len(requests) + refused and not outcome.broke_off:
        raise Broken(f"{len(replies)} replies to {len(requests)} requests, {refused} refused")
    drawn = [
        reply
        for arguments, reply in zip(requests, replies, strict=False)
        if arguments[0].upper() in (b"INCR", b"INCRBY", b"HINCRBY") and isinstance(reply, int)
    ]
    if sorted(set(drawn)) != drawn:
        raise Broken(f"IDs do not increase: {drawn}")


def _requests(case: Case) -> tuple[list[list[bytes]], bool]:
    reader = RequestReader(unauthenticated_limits(LIMITS) if case.locked else LIMITS)
    reader.feed(case.sent)
    requests: list[list[bytes]] = []
    try:
        while (arguments := reader.next_request()) is not None:
            requests += [arguments] if arguments else []
    except ProtocolError:
        return requests, True
    return requests, False


def seeds() -> list[bytes]:
    """Returns the first inputs: every stream that tests compare with Redis, and runs that the fast path knows."""
    streams = [(0, stream.sent) for stream in STREAMS] + [(1, stream.sent) for stream in LOCKED]
    for changed in [b"", request("HELLO", "3"), request("MULTI"), request("CLIENT", "REPLY", "SKIP"), request("RESET")]:
        for run in RUNS:
            streams += [(choice, changed + run * 40 + request("EXEC") + run) for choice in (0, 2, 4, 6)]
            streams.append((1, run + request("AUTH", PASSWORD) + changed + run * 40))
    several = b"".join([request("INCR", "key"), *RUNS, request("EXISTS", "key"), request("TTL", "other")])
    streams += [(choice, several * 5 + several[:20] + several * 5) for choice in (0, 2, 4, 6)]
    for command in ["ID.NEXT COUNT 700", "ID.NEXT COUNT 60 AS STRING", "ID.RANGE 900", "INCRBY a 16", "INCRBY a 9"]:
        streams += [(choice, request(*command.split()) * 3 + request("INCR", "a")) for choice in (0, 2, 4, 6)]
    random = Random(1)
    inputs = [(choice, random.randbytes(HEAD_BYTES - 1), sent) for choice, sent in streams if len(sent) < 5_000]
    for transaction in (request("MULTI") + run * 4 + request("EXEC") for run in RUNS):
        reads = bytes([len(transaction) - 1, 0, 0, 0])  # each is one transaction
        inputs += [(choice, reads, transaction * 9) for choice in (0, 2, 4, 6)]
    limited = request("INCR", "key") + request("EXPIRE", "key", "60") + request("SET", "key", "0", "NX")
    known = request("MULTI") + limited + request("ID.NEXT", "AS", "STRING") + request("EXEC")
    inputs += [(choice, bytes([len(known) - 1, 0, 0, 0]), known * 9 + limited) for choice in (0, 2, 4, 6)]
    return [bytes([choice]) + cuts + sent for choice, cuts, sent in inputs]
