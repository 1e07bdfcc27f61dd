"""The requests of a connection, one for every way to draw IDs, and the IDs in their replies. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from respid.check.ledger import Block
from respid.check.wire import ErrorReply, Reply, encode_request
from respid.ids.layout import Layout

KEY = b"respid:check"
PIPELINED_REQUESTS = 100
PIPELINED_BLOCKS = 10
BLOCK_IDS = 100
BULK_IDS = 1000
LARGEST_BATCH_REQUESTS = 5  # of different sizes
UNLIMITED = 1 << 30
RANGE_MILLISECONDS = 2  # the reply to ID.RANGE then has more than one pair
_DECIMAL = re.compile(rb"[1-9][0-9]{0,18}")
_MAX_SHOWN_BYTES = 64

RawBlock = tuple[int, int]
"""A Block as a plain tuple, which is four times as fast to create: most IDs need one."""


class WrongReplyError(Exception):
    """The reply does not fit the request; the message describes the reply."""


class Request(NamedTuple):
    """A request, and the function that extracts the IDs from its reply; it raises WrongReplyError."""

    arguments: tuple[bytes, ...]
    ids: int
    read: Callable[[Reply], list[RawBlock]]

    @property
    def name(self) -> str:
        return b" ".join(self.arguments).decode()


class Batch(NamedTuple):
    """Requests that are sent together, and may be a transaction."""

    requests: tuple[Request, ...]
    is_transaction: bool = False

    @property
    def ids(self) -> int:
        return sum(request.ids for request in self.requests)

    @property
    def encoded(self) -> bytes:
        requests = [encode_request(*request.arguments) for request in self.requests]
        if self.is_transaction:
            requests = [encode_request(b"MULTI"), *requests, encode_request(b"EXEC")]
        return b"".join(requests)

    @property
    def reply_count(self) -> int:
        return len(self.requests) + (2 if self.is_transaction else 0)

    def answered(self, replies: list[Reply]) -> Iterator[tuple[Request, Reply]]:
        """Pairs each request with its reply; if EXEC failed, each gets the reply to EXEC."""
        if not self.is_transaction:
            return zip(self.requests, replies, strict=True)
        executed = replies[-1]
        if not isinstance(executed, list) or len(executed) != len(self.requests):
            executed = [executed] * len(self.requests)
        return zip(self.requests, executed, strict=True)


def make_batches(layout: Layout, most_ids: int = UNLIMITED) -> list[Batch]:
    """Returns every way to draw IDs, with at most `most_ids` a batch, in sizes that the layout allows."""
    share = max(1, most_ids // LARGEST_BATCH_REQUESTS)
    block_ids = min(BLOCK_IDS, layout.sequence_size, share)
    bulk_ids = min(BULK_IDS, share)
    range_ids = min(RANGE_MILLISECONDS * layout.sequence_size, share)
    incr = Request((b"INCR", KEY), 1, _read_one)
    block = Request((b"INCRBY", KEY, b"%d" % block_ids), block_ids, _block_reader(block_ids))
    field_block = Request((b"HINCRBY", KEY, b"field", b"%d" % block_ids), block_ids, _block_reader(block_ids))
    as_float = Request((b"INCRBYFLOAT", KEY, b"1"), 1, _read_one_string)
    one = Request((b"ID.NEXT",), 1, _read_one)
    one_string = Request((b"ID.NEXT", b"AS", b"STRING"), 1, _read_one_string)
    bulk = Request((b"ID.NEXT", b"COUNT", b"%d" % bulk_ids), bulk_ids, _array_reader(bulk_ids))
    id_range = Request((b"ID.RANGE", b"%d" % range_ids), range_ids, _range_reader(range_ids))
    if most_ids < LARGEST_BATCH_REQUESTS:
        return [Batch((each,)) for each in (incr, block, field_block, as_float, one, one_string, bulk, id_range)]
    return [
        Batch((incr,) * min(PIPELINED_REQUESTS, most_ids)),
        Batch((block,) * min(PIPELINED_BLOCKS, most_ids // block_ids)),
        Batch((bulk,)),
        Batch((id_range,)),
        Batch((incr, as_float, field_block, one, one_string)),
        Batch((incr, block, one, bulk, id_range), is_transaction=True),
    ]


def join(raw_blocks: Iterable[RawBlock], layout: Layout) -> list[Block]:
    """Joins consecutive IDs into blocks that each stay within one millisecond."""
    blocks: list[Block] = []
    sequence_mask = layout.sequence_size - 1
    first = end = 0  # of the block that is being joined
    for next_first, size in raw_blocks:
        if next_first != end or not end & sequence_mask:
            if end > first:
                blocks.append(Block(first, end - first))
            first = next_first
        end = next_first + size
    if end > first:
        blocks.append(Block(first, end - first))
    return blocks


def _read_one(reply: Reply) -> list[RawBlock]:
    return [(_number(reply), 1)]


def _read_one_string(reply: Reply) -> list[RawBlock]:
    if not isinstance(reply, bytes) or _DECIMAL.fullmatch(reply) is None:
        raise WrongReplyError(_describe(reply))
    return [(int(reply), 1)]


def _block_reader(size: int) -> Callable[[Reply], list[RawBlock]]:
    """INCRBY returns the last ID of its block."""
    return lambda reply: [(_number(reply) - size + 1, size)]


def _array_reader(count: int) -> Callable[[Reply], list[RawBlock]]:
    def read(reply: Reply) -> list[RawBlock]:
        if not isinstance(reply, list) or len(reply) != count:
            raise WrongReplyError(_describe(reply))
        return [(_number(element), 1) for element in reply]

    return read


def _range_reader(count: int) -> Callable[[Reply], list[RawBlock]]:
    def read(reply: Reply) -> list[RawBlock]:
        blocks = [_pair(element) for element in reply] if isinstance(reply, list) else []
        if sum(size for _, size in blocks) != count:
            raise WrongReplyError(_describe(reply))
        return blocks

    return read


def _pair(reply: Reply) -> RawBlock:
    match reply:
        case [int(first), int(size)] if size > 0:
            return (first, size)
    raise WrongReplyError(_describe(reply))


def _number(reply: Reply) -> int:
    if type(reply) is not int:  # a bool of RESP3 is an int, too
        raise WrongReplyError(_describe(reply))
    return reply


def _describe(reply: Reply) -> str:
    match reply:
        case list():
            return f"{len(reply)} elements"
        case ErrorReply():
            return f"the error {reply.message}"
        case bytes():
            return repr(reply[:_MAX_SHOWN_BYTES])
        case None:
            return "null"
    if type(reply) is int:
        return str(reply)
    return f"a RESP3 value of type {type(reply).__name__}"
