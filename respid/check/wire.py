"""Requests to bytes and bytes to replies, with hiredis: a defect in respid's own parser or encoder cannot hide here.

hiredis allocates an array as soon as it has read the array's header. `ReplyReader` therefore adds up all announced
lengths before it passes the bytes on.
"""

import re
from dataclasses import dataclass

import hiredis

MAX_BATCH_BYTES = 1024 * 1024  # a batch of the check gets less than 32 KiB
MAX_BATCH_ELEMENTS = 10_000  # announced by all array headers together; a batch of the check gets about 1,000
_MAX_ERROR_CHARACTERS = 200
# Strings and arrays of RESP2; maps, sets, pushes and attributes of RESP3. The same bytes within a string count as well.
_HEADER = re.compile(rb"([$*%~>|])([1-9][0-9]{0,9})")
_INCOMPLETE = object()


class InvalidReplyError(Exception):
    """The received bytes are not a reply, or announce one that is too large."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error reply; the message begins with its code, such as ERR or LOADING."""

    message: str

    @property
    def is_loading(self) -> bool:
        """Whether the worker cannot issue an ID now, and asks the client to try again."""
        return self.message.startswith("LOADING ")


Reply = int | bytes | None | ErrorReply | list["Reply"]
"""A reply in RESP2. hiredis reads RESP3 as well, so that a broken server can cause values of other types."""


def encode_request(*arguments: bytes) -> bytes:
    encoded: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type] # the stub knows one argument only
    return encoded


class ReplyReader:
    """Parses the replies on one connection. The methods raise InvalidReplyError; the connection is unusable then."""

    def __init__(self) -> None:
        # hiredis takes any callable for an error, whatever its stub says.
        self._parser = hiredis.Reader(replyError=_shorten_error, notEnoughData=_INCOMPLETE)  # type: ignore[arg-type]
        self._line = bytearray()  # the end of what was received: a line that is not complete yet
        self.begin_batch()

    def begin_batch(self) -> None:
        """Resets the counts of bytes and elements."""
        self._bytes = self._announced_bytes = self._announced_elements = 0

    def feed(self, data: bytes) -> list[Reply]:
        """Returns the replies that `data` completes."""
        self._bytes += len(data)
        _check_limit("bytes", self._bytes, MAX_BATCH_BYTES)
        end = data.rfind(b"\n") + 1
        if not end:
            self._line += data
            return []
        lines = bytes(self._line) + data[:end]
        self._line = bytearray(data[end:])
        self._count_announced(lines)
        self._parser.feed(lines)
        return self._take_replies()

    def _count_announced(self, lines: bytes) -> None:
        """Reads whole lines only, so that no header is cut in two."""
        for kind, length in _HEADER.findall(lines):
            if kind == b"$":
                self._announced_bytes += int(length)
            else:
                self._announced_elements += int(length)
        _check_limit("bytes", self._announced_bytes, MAX_BATCH_BYTES)
        _check_limit("elements", self._announced_elements, MAX_BATCH_ELEMENTS)

    def _take_replies(self) -> list[Reply]:
        replies: list[Reply] = []
        try:
            while (reply := self._parser.gets()) is not _INCOMPLETE:
                replies.append(reply)
        except (hiredis.HiredisError, TypeError) as error:  # TypeError: a map of RESP3 whose key is an array
            raise InvalidReplyError(str(error)) from None
        return replies


def _check_limit(unit: str, size: int, limit: int) -> None:
    if size > limit:
        raise InvalidReplyError(f"too large: {size:,} {unit}, at most {limit:,} are expected")


def _shorten_error(message: str) -> ErrorReply:
    return ErrorReply(message[:_MAX_ERROR_CHARACTERS])
