"""Draws of one ID or one block: how the IDs are taken, and how they are encoded.

This is the same for one request and for a run of many, which draw with one call. Knows no commands and no frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from respid.commands.session import Handler, Reply, RequestKind, Session
from respid.ids.layout import Layout
from respid.resp import encoder

# A block is small if this many of its size fit into a millisecond. Drivers and ORMs reserve 10 to 100 IDs at a time;
# only an import waits because its blocks are larger than that.
SMALL_BLOCKS = 16
_LONGEST_CONSTANT = 32  # bytes of a reply that is repeated hundreds of times
_MOST_AT_ONCE = 512  # about 0.1 ms, until the time is checked
_SINGLE = RequestKind.SINGLE  # a global is found faster than a member of an enumeration


@dataclass(frozen=True, slots=True)  # its fields are read faster than those of a tuple
class Draw:
    """A number of consecutive IDs, of which the last one is the reply; or none, and a constant reply."""

    ids: int
    encode: Callable[[int, int, int], bytes]  # the replies, given the first ID, `ids`, and the number of draws

    def take(self, session: Session, count: int) -> tuple[int, int]:
        """Draws up to `count` times in the same millisecond: (first ID, number of draws), or (0, 0) if none now."""
        generator, wait = session.worker.generator, session.wait
        if not self.ids:
            wait.want_one()
            return 0, count
        self.want(session, count)
        if self.ids == 1:
            return generator.take(count, wait.since_ms)
        return generator.take_blocks(self.ids, count, wait.since_ms)

    def want(self, session: Session, count: int) -> None:
        """Notes for the waiting queue what the client wants, before it may have to wait."""
        wait = session.wait
        wait.kind, wait.block, wait.ids = _SINGLE, self.ids, self.ids * count
        if self.ids > 1 and self.ids * SMALL_BLOCKS > session.worker.generator.layout.sequence_size:
            wait.kind = RequestKind.BLOCK

    def take_different(self, session: Session, ends: Sequence[int]) -> tuple[int, int]:
        """Draws blocks of other sizes after this one, as `take_different_blocks` does."""
        self.want(session, 1)
        session.wait.ids = ends[-1]
        return session.worker.generator.take_different_blocks(ends, session.wait.since_ms)

    def answer(self, session: Session, count: int) -> tuple[int, bytes | None]:
        """Answers up to `count` requests: (number answered, their replies), or (0, None) if they have to wait.

        A client that has waited gets the IDs of several milliseconds, as far as it is entitled to them.
        """
        answered, replies = 0, b""
        most = min(count, _MOST_AT_ONCE)
        while answered < most:
            first, drawn = self.take(session, count - answered)
            if not drawn:
                break
            replies += self.encode(first, self.ids, drawn)
            answered += drawn
        if answered:
            return answered, replies
        refusal = session.refusal()
        return (0, None) if refusal is None else (1, refusal)


def _integers(first: int, _ids: int, count: int) -> bytes:
    return b":%d\r\n" % first if count == 1 else encoder.consecutive_integers(first, count)


def _block_integers(first: int, ids: int, count: int) -> bytes:
    last = first + ids - 1
    return b":%d\r\n" % last if count == 1 else encoder.spaced_integers(last, ids, count)


def _strings(first: int, _ids: int, count: int) -> bytes:
    return encoder.integer_string(first) if count == 1 else encoder.consecutive_strings(first, count)


ONE_INTEGER = Draw(1, _integers)
ONE_STRING = Draw(1, _strings)


@lru_cache(maxsize=256)
def block(ids: int) -> Draw:
    """A block, of which the last ID is returned as an integer."""
    return ONE_INTEGER if ids == 1 else Draw(ids, _block_integers)


def constant_draw(session: Session, answer: Handler, arguments: list[bytes]) -> Draw | None:
    """Returns a draw of no IDs, which is answered as this request is; None if that is an error, or long.

    The handler is called for each run, because its reply depends on the version of the protocol.
    """

    def encode(_first: int, _ids: int, count: int) -> bytes:
        reply = answer(session, arguments)
        return reply * count if isinstance(reply, bytes) else b""

    reply = encode(0, 0, 1)
    return None if reply.startswith(b"-") or len(reply) > _LONGEST_CONSTANT else Draw(0, encode)


# The draw of a request; or another reply: an error, or one that needs the session.
Drawn = Draw | bytes | Callable[[Session], Reply]
DrawOf = Callable[[Layout, list[bytes]], Drawn]


def handler(draw_of: DrawOf) -> Handler:
    """Returns the handler of a command that draws what `draw_of` says."""

    def answer(session: Session, arguments: list[bytes]) -> Reply:
        drawn = draw_of(session.worker.generator.layout, arguments)
        if isinstance(drawn, Draw):
            return drawn.answer(session, 1)[1]
        return drawn if isinstance(drawn, bytes) else drawn(session)

    return answer
