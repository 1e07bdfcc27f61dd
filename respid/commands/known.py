"""Requests that are known before they are sent, but for keys: their replies are a template for an ID, or constant.

They are answered many at once, without their handlers. Knows no frames; `resp.known_frames` recognises them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from respid.commands.draw import ONE_INTEGER, ONE_STRING, Draw, Drawn, DrawOf
from respid.commands.session import Session
from respid.commands.table import COMMANDS
from respid.ids.layout import Layout
from respid.resp import encoder
from respid.resp.known_frames import FREE, NUMBER, ONE, Kind, Kinds, Number, kind_of

# The most frequent ones, as drivers send them. INCRBY is what redis-py sends for `incr()`. Some frameworks set a
# missing counter, or the time after which it expires, in the same pipeline. An argument in lower case is free, but for
# `number`, which is a positive one, and `one`, which drivers with doubles send as 1.0. A last argument of 1 stands
# for any number of IDs.
REQUESTS = (
    "PING",
    "ID.NEXT",
    "ID.NEXT AS STRING",
    "INCR key",
    "INCRBY key 1",
    "HINCRBY key field 1",
    "INCRBYFLOAT key one",
    "GET key",
    "EXISTS key",
    "TTL key",
    "PTTL key",
    "TYPE key",
    "TOUCH key",
    "EXPIRE key number",
    "EXPIRE key number NX",
    "PEXPIRE key number",
    "SETNX key value",
    "SET key 0 NX",
)
_ONE_ID = b"1"  # as the last argument, where any number of IDs is known
_MOST_BLOCKS = 4096  # sizes that are known, which take 0.8 MB; a layout may have millions
_NUMBERS = {"number": NUMBER, "one": ONE}
_SAMPLE = b"1"  # of an argument that does not matter
_STRING = b"%b"
_REPLIES = {ONE_INTEGER: b":%d\r\n", ONE_STRING: _STRING}  # by what is drawn


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A known request."""

    words: str  # of REQUESTS
    command: str
    reply: bytes  # a template for an ID, if one is drawn
    drawn: Draw | None


_KINDS_CACHE: dict[tuple[int, int], Kinds[Known]] = {}  # by version of the protocol, and the largest block


def known_kinds(session: Session) -> Kinds[Known]:
    """Returns the known requests of a session, in upper and in lower case."""
    key = session.version, session.worker.generator.layout.sequence_bits
    kinds = _KINDS_CACHE.get(key)
    if kinds is None:
        kinds = _KINDS_CACHE[key] = dict(
            _kind(session, words, [name.encode(), *map(_argument, others)])
            for words in REQUESTS
            for upper, *others in [words.split()]
            for name in (upper, upper.lower())
        )
    return kinds


def in_this_version(session: Session, requests: tuple[Known, ...]) -> tuple[Known, ...]:
    """Returns the same requests, with the replies of the version that the session has now."""
    by_words = {kind.subject.words: kind.subject for kind in known_kinds(session).values()}
    return tuple([request if request.drawn else by_words[request.words] for request in requests])


def _argument(word: str) -> bytes | Number:
    if word.islower():
        return _NUMBERS.get(word, FREE)
    return word.encode()


def _kind(session: Session, words: str, pattern: list[bytes | Number]) -> tuple[bytes, Kind[Known]]:
    arguments = [each if isinstance(each, bytes) and each else _SAMPLE for each in pattern]
    command, layout = COMMANDS[arguments[0].upper()], session.worker.generator.layout
    draw_of = command.draw_of
    drawn: Drawn | None = None
    blocks: _Blocks | None = None
    reply = None if draw_of else command.handler(session, arguments)
    if draw_of and isinstance(drawn := draw_of(layout, arguments), Draw):
        reply = _REPLIES.get(drawn)
    if not isinstance(reply, bytes):
        raise TypeError(f"the reply to {command.name} is neither constant nor an ID")
    known = Known(words, command.name, reply, drawn if isinstance(drawn, Draw) else None)
    if draw_of and pattern[-1] == _ONE_ID:
        blocks = _Blocks(known, draw_of, layout, arguments)
    return kind_of(pattern, known, may_run=command.runs, by_last=blocks)


class _Blocks(dict[bytes, Known | None]):
    """Known requests for blocks of IDs, by their last argument with its header."""

    def __init__(self, one: Known, draw_of: DrawOf, layout: Layout, arguments: list[bytes]) -> None:
        super().__init__({encoder.bulk_string(_ONE_ID): one})
        self._one, self._draw_of, self._layout, self._arguments = one, draw_of, layout, arguments

    def __missing__(self, argument: bytes) -> Known | None:
        text = argument[4:-2]
        if argument != encoder.bulk_string(text):
            return None
        drawn = self._draw_of(self._layout, [*self._arguments[:-1], text])
        if not isinstance(drawn, Draw) or len(self) >= _MOST_BLOCKS:
            return None
        known = self[argument] = replace(self._one, drawn=drawn)
        return known


class _Plan(NamedTuple):
    """How to answer these requests, one after the other."""

    template: bytes
    draws: int
    ends: tuple[int, ...]  # if there are blocks: the size of each draw, added to those before it
    strings: tuple[int, ...]  # which of the IDs are strings
    counts: tuple[tuple[str, int], ...]  # by command


@lru_cache(maxsize=256)
def _plan(requests: tuple[Known, ...]) -> _Plan:
    # Some clients never send the same sequence again, so this must be fast: a Counter takes 5 us to make.
    replies: list[bytes] = []
    strings: list[int] = []
    commands: list[str] = []
    ends: list[int] = []
    ids = 0
    for request in requests:
        replies.append(request.reply)
        commands.append(request.command)
        if request.drawn is not None:
            if request.reply == _STRING:
                strings.append(len(ends))
            ids += request.drawn.ids
            ends.append(ids)
    counts = dict.fromkeys(commands, 0)
    for command in counts:
        counts[command] = commands.count(command)
    has_blocks = ids > len(ends)
    return _Plan(b"".join(replies), len(ends), tuple(ends) if has_blocks else (), tuple(strings), tuple(counts.items()))


def answer_known(session: Session, requests: tuple[Known, ...]) -> tuple[int, bytes]:
    """Answers the requests before the first one that gets no ID now: (number of these, their replies)."""
    if len(requests) == 1:
        return _answer_one(session, requests[0])
    template, draws, ends, strings, counts = _plan(requests)
    if draws:
        first, drawn = _take(session, requests, ends) if ends else ONE_INTEGER.take(session, draws)
        if drawn < draws:
            session.last_command = requests[0].command
            requests = requests[:drawn] if draws == len(requests) else _before_draw(requests, drawn)
            template, _, _, strings, counts = _plan(requests)
        numbers = [first - 1 + end for end in ends[:drawn]] if ends else range(first, first + drawn)
        template %= tuple(_with_strings(numbers, strings) if strings else numbers)
    commands = session.worker.stats.commands
    for command, count in counts:
        commands[command] += count
    if requests:
        session.last_command = requests[-1].command
    return len(requests), template


def _take(session: Session, requests: tuple[Known, ...], ends: tuple[int, ...]) -> tuple[int, int]:
    """Draws for requests with blocks among them: (first ID, number of draws), or (0, 0) if none now."""
    draw = requests[0].drawn or next(request.drawn for request in requests if request.drawn)
    return draw.take_different(session, ends)


def _answer_one(session: Session, request: Known) -> tuple[int, bytes]:
    """Does the same for a single request. A plan would take twice the time."""
    session.last_command = request.command
    reply, draw = request.reply, request.drawn
    if draw is not None:
        first, drawn = draw.take(session, 1)
        if not drawn:
            return 0, b""
        reply = draw.encode(first, draw.ids, 1)
    session.worker.stats.commands[request.command] += 1
    return 1, reply


def _with_strings(numbers: Sequence[int], strings: tuple[int, ...]) -> list[int | bytes]:
    """The values for a template: numbers, and those in these places as bulk strings."""
    values: list[int | bytes] = [*numbers]
    for place in strings:
        values[place] = encoder.integer_string(numbers[place])
    return values


def is_run(requests: tuple[Known, ...]) -> bool:
    """Whether all are draws of the same kind, which are answered faster as a run once that is learned."""
    first = requests[0]
    return first.drawn is not None and requests.count(first) == len(requests)


def _before_draw(requests: tuple[Known, ...], number: int) -> tuple[Known, ...]:
    """The requests before the draw with this number, the first one having 0."""
    draws = [place for place, request in enumerate(requests) if request.drawn]
    return requests[: draws[number]]


def answer_or_refuse_known(session: Session, requests: tuple[Known, ...]) -> tuple[int, bytes | None]:
    """Does what `Draw.answer` does, for known requests: answers the first ones, refuses one, or answers none."""
    is_refused = session.refusal() is not None  # then how to answer all of them is not worth finding out
    answered, replies = answer_known(session, requests[:1] if is_refused else requests)
    if answered:
        return answered, replies
    refusal = _refuse(session, requests[0])
    return (0, None) if refusal is None else (1, refusal)


def _refuse(session: Session, request: Known) -> bytes | None:
    """Returns the error reply to a request that got no ID, as `run` does; None while it should wait for one."""
    refusal = session.refusal()
    if refusal is not None:
        session.worker.stats.commands[request.command] += 1
        session.worker.stats.failed_calls[request.command] += 1
    return refusal
