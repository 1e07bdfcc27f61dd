"""Requests that are known before they are sent, but for their key: their replies are a template for an ID, or constant.

They are answered many at once, without their handlers. Knows no frames; `resp.known_frames` recognises them.
"""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from respid.commands.draw import ONE_INTEGER
from respid.commands.session import Session
from respid.commands.table import COMMANDS
from respid.resp.known_frames import Kind, Kinds, kind_of

# The most frequent ones, as drivers send them. INCRBY is what redis-py sends for `incr()`.
WITH_KEY = ("INCR key", "INCRBY key 1", "GET key", "EXISTS key", "TTL key", "PTTL key", "TYPE key", "TOUCH key")
WITHOUT_KEY = ("PING", "ID.NEXT")
_ID = b"%d"
_INTEGER_ID = b":%d\r\n"


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A known request."""

    command: str
    reply: bytes  # in which %d stands for an ID


_KINDS_CACHE: dict[int, Kinds[Known]] = {}  # by version of the protocol


def known_kinds(session: Session) -> Kinds[Known]:
    """Returns the known requests of a session, in upper and in lower case."""
    kinds = _KINDS_CACHE.get(session.version)
    if kinds is None:
        requests = [(words.split(), words in WITH_KEY) for words in WITH_KEY + WITHOUT_KEY]
        kinds = _KINDS_CACHE[session.version] = dict(
            _kind(session, [name.encode(), *map(str.encode, others)], has_key=has_key)
            for (upper, *others), has_key in requests
            for name in (upper, upper.lower())
        )
    return kinds


def _kind(session: Session, arguments: list[bytes], *, has_key: bool) -> tuple[bytes, Kind[Known]]:
    command = COMMANDS[arguments[0].upper()]
    if command.draw_of is None:
        reply = command.handler(session, arguments)
    else:
        drawn = command.draw_of(session.worker.generator.layout, arguments)
        reply = _INTEGER_ID if drawn == ONE_INTEGER else None
    if not isinstance(reply, bytes):
        raise TypeError(f"the reply to {command.name} is neither constant nor an ID")
    return kind_of(arguments, Known(command.name, reply), has_key=has_key)


class _Plan(NamedTuple):
    """How to answer these requests, one after the other."""

    template: bytes
    ids: int
    counts: tuple[tuple[str, int], ...]  # by command


@lru_cache(maxsize=256)
def _plan(requests: tuple[Known, ...]) -> _Plan:
    template = b"".join([request.reply for request in requests])
    counts = Counter([request.command for request in requests])
    return _Plan(template, template.count(_ID), tuple(counts.items()))


def answer_known(session: Session, requests: tuple[Known, ...]) -> tuple[int, bytes]:
    """Answers the requests before the first one that gets no ID now: (number of these, their replies)."""
    template, ids, counts = _plan(requests)
    if ids:
        first, drawn = ONE_INTEGER.take(session, ids)
        if drawn < ids:
            session.last_command = requests[0].command
            requests = _before_draw(requests, drawn)
            template, _, counts = _plan(requests)
        template %= tuple(range(first, first + drawn))
    commands = session.worker.stats.commands
    for command, count in counts:
        commands[command] += count
    if requests:
        session.last_command = requests[-1].command
    return len(requests), template


def _before_draw(requests: tuple[Known, ...], number: int) -> tuple[Known, ...]:
    """The requests before the draw with this number, the first one having 0."""
    draws = [place for place, request in enumerate(requests) if _ID in request.reply]
    return requests[: draws[number]]


def refuse_known(session: Session, request: Known) -> bytes | None:
    """Returns the error reply to a request that got no ID, as `run` does; None while it should wait for one."""
    refusal = session.refusal()
    if refusal is not None:
        session.worker.stats.commands[request.command] += 1
        session.worker.stats.failed_calls[request.command] += 1
    return refusal
