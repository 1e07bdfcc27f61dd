"""Replies of RESP2 out of a stream. Every length is bounded: what answers may be anything."""

import asyncio
from dataclasses import dataclass

from respid.resp.reader import parse_integer

MAX_STRING_BYTES = 1024 * 1024
MAX_ARRAY_LENGTH = 10_000  # more than any request of the check asks for
MAX_DEPTH = 4  # EXEC of ID.RANGE has three


class NotRedisError(Exception):
    """What was received is no reply."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error reply; the message begins with its code, such as ERR or LOADING."""

    message: str

    @property
    def is_loading(self) -> bool:
        """Whether the worker cannot issue an ID now, and asks to try again."""
        return self.message.startswith("LOADING ")


Reply = int | bytes | None | ErrorReply | list["Reply"]


async def read_reply(stream: asyncio.StreamReader, depth: int = 1) -> Reply:
    """The next reply. Raises NotRedisError, and what the stream raises at its end."""
    try:
        line = await stream.readuntil(b"\r\n")
    except asyncio.LimitOverrunError:
        raise NotRedisError("a line without an end") from None
    kind, text = line[:1], line[1:-2]
    if kind == b":" and (number := parse_integer(text)) is not None:
        return number
    if kind == b"+":
        return text
    if kind == b"-":
        return ErrorReply(text.decode("utf-8", "replace"))
    return await _read_sized(stream, line, depth)


async def _read_sized(stream: asyncio.StreamReader, header: bytes, depth: int) -> Reply:
    kind, length = header[:1], parse_integer(header[1:-2])
    if kind in (b"$", b"*") and length == -1:
        return None
    if kind == b"$" and length is not None and 0 <= length <= MAX_STRING_BYTES:
        return (await stream.readexactly(length + 2))[:-2]
    if kind == b"*" and length is not None and 0 <= length <= MAX_ARRAY_LENGTH and depth < MAX_DEPTH:
        return [await read_reply(stream, depth + 1) for _ in range(length)]
    raise NotRedisError(f"{header[:40]!r} is no reply")
