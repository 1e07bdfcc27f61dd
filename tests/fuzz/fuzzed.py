"""The property that holds for any bytes that a client sends, and that the fuzzer tries to break. Needs no atheris.

An input has one byte that selects the worker and the other clients, four that select where reads cut the rest, and the
bytes to send.
"""

import re
from bisect import bisect
from dataclasses import dataclass, replace
from random import Random

import hiredis
import pytest

from respid.ids.layout import Layout
from respid.net.connection import TURN_OUTPUT_BYTES, Connection
from respid.net.states import Next
from respid.net.turns import ROUND_NS
from respid.resp.reader import ProtocolError, RequestReader, unauthenticated_limits
from tests.support.both_paths import FEW_IDS, Outcome, Setting, play, use_general_path
from tests.support.byte_streams import LOCKED, STREAMS, request
from tests.support.request_limits import DEFAULT_LIMITS

HEAD_BYTES = 5
LAST = b"+last\r\n"
PASSWORD = "secret"
FEW_IDS_CHOICE = 2  # a bit of the first byte of an input
LIMITS = replace(DEFAULT_LIMITS, request_bytes=64 * 1024)
LOW_LIMITS = replace(DEFAULT_LIMITS, request_bytes=250, arguments=5)  # no request is known, and few make runs
REQUEST = re.compile(rb"(?<=\n)\*[1-9]\r\n\$")
WHOLE_REQUESTS = 249
LARGEST_REPLY_BYTES = 64 * 1024  # COMMAND, and an echo as large as LIMITS allow
KEPT_BYTES = LIMITS.request_bytes + 70_000  # an incomplete request and an incomplete line
RUNS = [request(*words.split()) for words in ("INCR key", "INCRBY key 5", "HINCRBY key field 1", "INCRBYFLOAT key 1")]
RUNS += [request("ID.NEXT"), request("ID.NEXT", "AS", "STRING"), request("GET", "key"), request("PING")]
WORDS = re.compile(rb"client|reply|quit|reset|auth|hello|post|host:", re.IGNORECASE)


class Broken(Exception):  # noqa: N818 - the name appears in libFuzzer's report
    """The property does not hold."""


@dataclass(frozen=True)
class Case:
    """One parsed input."""

    sent: bytes
    # Of the reads, repeated: their bytes, or from WHOLE_REQUESTS on, the number of their requests.
    cuts: tuple[int, ...]
    setting: Setting

    @classmethod
    def of(cls, data: bytes) -> "Case":
        choice = data[0] if data else 0
        is_short = bool(choice & 4)
        setting = Setting(
            password=PASSWORD if choice & 1 else "",
            layout=FEW_IDS if choice & FEW_IDS_CHOICE else Layout(),
            reserved_ms=20 if is_short else 60_000,
            is_extended=is_short and bool(choice & 8),
            max_queued_commands=9 if choice & 16 else 100_000,
            limits=LOW_LIMITS if choice & 32 else LIMITS,
            round_ns=20_000 if choice & 64 else ROUND_NS,
            request_ns=1_000 if choice & 64 else 0,
            is_crowded=bool(choice & 128),
        )
        return cls(data[HEAD_BYTES:], tuple(1 + byte for byte in data[1:HEAD_BYTES] if byte) or (1,), setting)

    def pieces(self) -> list[bytes]:
        begun = [match.start() for match in REQUEST.finditer(self.sent, 1)]
        pieces, start, turn = [], 0, 0
        while start < len(self.sent):
            size = self.cuts[turn % len(self.cuts)]
            end = start + size
            if size >= WHOLE_REQUESTS:
                place = bisect(begun, start) + size - WHOLE_REQUESTS
                end = begun[place] if place < len(begun) else len(self.sent)
            pieces.append(self.sent[start:end])
            start, turn = end, turn + 1
        return pieces


def _check_step(connection: Connection, output: bytes) -> None:
    """Checks the output of one step, and the memory kept after it."""
    if len(output) > TURN_OUTPUT_BYTES + LARGEST_REPLY_BYTES:
        raise Broken(f"{len(output)} bytes of output in one turn")
    reader = connection._pending.reader
    kept = len(reader._buffer) - reader._position + len(reader._pending) + sum(map(len, reader._arguments))
    if connection.next is Next.READ and kept > KEPT_BYTES:
        raise Broken(f"{kept} bytes are kept for an incomplete request")


def check(data: bytes) -> None:
    """Raises Broken if the property does not hold for these bytes; passes on any exception of respid."""
    case = Case.of(data)
    whole, in_parts = play_whole(case), play_in_parts(case)
    # Else requests wait, in each read anew, and get the IDs of the time since then.
    depends_on_cuts = case.setting.is_crowded or case.setting.is_extended
    if not depends_on_cuts:
        _compare("cut into reads", whole, in_parts)
    with pytest.MonkeyPatch.context() as patch:
        use_general_path(patch)
        _compare("on the general path", whole, play_whole(case))
        if depends_on_cuts:
            _compare("cut into reads, on the general path", in_parts, play_in_parts(case))
    # Too many wrong passwords close a connection, also within the reply to EXEC.
    may_break_off = whole.broke_off or whole.closings["wrong_passwords"] > 0 or b"reply" in case.sent.lower()
    replies = _parse(whole, may_break_off=may_break_off)
    if not WORDS.search(case.sent):
        _check_replies(case, whole, replies)


def play_whole(case: Case) -> Outcome:
    return play([case.sent], case.setting, _check_step)


def play_in_parts(case: Case) -> Outcome:
    return play(case.pieces(), case.setting, _check_step)


def _compare(how: str, expected: Outcome, other: Outcome) -> None:
    if expected != other:
        raise Broken(f"{how}, the outcome differs: {other} instead of {expected}")


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
    limits = case.setting.limits
    reader = RequestReader(unauthenticated_limits(limits) if case.setting.password else limits)
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
    # Each read is a run that another one has taught, and something else after it.
    others = [request("PING"), request("GET", "key"), request("MULTI"), request("INCR", "key"), request("BOGUS")]
    for run in RUNS:
        mixed = run * 4 + b"".join([run * 3 + other for other in others])
        for choice in (0, 2, 4, 64, 128):
            inputs.append((choice, bytes([WHOLE_REQUESTS + 2, 0, 0, 0]), mixed))
            inputs.append((choice, bytes([4 * len(run) - 1, 3 * len(run) + 9, 0, 0]), mixed))
    limited = request("INCR", "key") + request("EXPIRE", "key", "60") + request("SET", "key", "0", "NX")
    known = request("MULTI") + limited + request("ID.NEXT", "AS", "STRING") + request("EXEC")
    inputs += [(choice, bytes([len(known) - 1, 0, 0, 0]), known * 9 + limited) for choice in (0, 2, 4, 6)]
    return [bytes([choice]) + cuts + sent for choice, cuts, sent in inputs]
