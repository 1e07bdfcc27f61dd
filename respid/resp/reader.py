"""Requests out of bytes: arrays of bulk strings, and inline commands. Knows no sockets and no commands.

Every header is checked before anything is kept on its behalf, so that no header makes memory grow. What redis-server
lets pass passes (`*0`, `*-5`, any two bytes after a bulk string); what it refuses is refused in its words.
"""

import re
from dataclasses import dataclass, replace
from functools import cache

from respid.resp.fast_path import NO_RUN, Run, find_run
from respid.resp.inline import split_inline

_ARRAY = ord("*")
_BULK_STRING = ord("$")
_MAX_LINE_BYTES = 64 * 1024  # Redis's PROTO_INLINE_MAX_SIZE: of a header without an end
_MAX_ARRAY_LENGTH = (1 << 31) - 1
_MAX_INTEGER = (1 << 63) - 1
_MAX_BULK_BYTES = 512 * 1024 * 1024  # Redis's proto-max-bulk-len, refused before all smaller limits
_INTEGER = re.compile(rb"-?[1-9][0-9]{0,18}|0")

# Nearly all headers have one or two digits. Looked up whole they take 120 and 230 ns, against 450 for a search, a
# slice and a conversion; they are exact, so what is not found here is read the long way. Bulk strings this short are
# checked against the limit of the whole request only when all that was read is used up.
_SHORT_ARRAY_HEADERS = {b"*%d\r\n" % length: length for length in range(1, 10)}
_SHORT_BULK_HEADERS = {b"$%d\r\n" % length: length for length in range(100)}


class ProtocolError(Exception):
    """What the client sent is no request; the message is Redis's. The connection cannot go on.

    `limit` names the limit that it is above, if it is one that can be set.
    """

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How large a request may be, in bytes and in arguments, and Redis's words for one that is larger."""

    request_bytes: int
    arguments: int
    inline_bytes: int
    request_bytes_error: str = "invalid bulk length"
    arguments_error: str = "invalid multibulk length"


@cache
def unauthenticated_limits(limits: RequestLimits) -> RequestLimits:
    """Redis's limits before authentication, or the given ones where they are lower: little memory before a password."""
    return replace(
        limits,
        request_bytes=min(16 * 1024, limits.request_bytes),
        arguments=min(10, limits.arguments),
        request_bytes_error="unauthenticated bulk length",
        arguments_error="unauthenticated multibulk length",
    )


def parse_integer(text: bytes) -> int | None:
    """The signed 64-bit number that `text` is in Redis's strict form (no plus sign, space, leading zero), else None."""
    if _INTEGER.fullmatch(text) is None:
        return None
    number = int(text)
    return number if -_MAX_INTEGER - 1 <= number <= _MAX_INTEGER else None


class RequestReader:
    """Collects bytes and gives the requests in them, each as the list of its arguments.

    `limits` may change between two requests: they are larger after authentication.
    """

    __slots__ = (
        "_arguments",
        "_buffer",
        "_missing",
        "_needed_bytes",
        "_pending",
        "_position",
        "_request_bytes",
        "limits",
    )

    def __init__(self, limits: RequestLimits) -> None:
        self.limits = limits
        self._buffer = b""
        self._position = 0
        # What was read while a bulk string was incomplete: joined with the rest once it is all there, not at every
        # read. A list of what was read would take a hundred times as much memory when that was single bytes.
        self._pending = bytearray()
        self._needed_bytes = 0
        # The request that is not complete yet: its arguments so far, how many are missing, and its bytes.
        self._arguments: list[bytes] = []
        self._missing = 0
        self._request_bytes = 0

    def feed(self, data: bytes) -> None:
        """Adds what was read."""
        rest_bytes = len(self._buffer) - self._position
        if not rest_bytes and not self._pending:
            self._buffer = data
            self._position = 0
            return
        self._pending += data
        if rest_bytes + len(self._pending) >= self._needed_bytes:
            self._buffer = b"".join([self._buffer[self._position :], self._pending])
            self._position = 0
            self._pending = bytearray()

    def next_request(self) -> list[bytes] | None:
        """The next complete request, without arguments for a blank line; None when it takes more bytes.

        Raises ProtocolError.
        """
        if not self._missing:
            if self._position == len(self._buffer):
                self._buffer = b""  # an idle connection keeps nothing of its last request
                self._position = 0
                return None
            if self._buffer[self._position] != _ARRAY:
                return self._read_inline_command()
            if not self._read_array_header():
                return None
        if not self._read_bulk_strings():
            return None
        arguments, self._arguments = self._arguments, []
        return arguments

    def next_run(self) -> Run:
        """The commands that come next and can be told without their arguments, as one run; NO_RUN when they cannot."""
        if self._missing:
            return NO_RUN
        run = find_run(self._buffer, self._position)
        if run is not NO_RUN:
            self._position = run[2]
        return run

    @property
    def is_empty(self) -> bool:
        """Whether nothing was fed that has not been given as a request."""
        return self._position == len(self._buffer) and not self._missing and not self._pending

    @property
    def unread_bytes(self) -> int:
        """How many bytes of what was fed have not been read yet."""
        return len(self._buffer) - self._position + len(self._pending)

    def _read_array_header(self) -> bool:
        position = self._position
        count = _SHORT_ARRAY_HEADERS.get(self._buffer[position : position + 4])
        if count is None:
            end = self._header_end(position, "too big mbulk count string")
            if end < 0:
                return False
            count = parse_integer(self._buffer[position + 1 : end])
            if count is None or count > _MAX_ARRAY_LENGTH:
                raise ProtocolError("invalid multibulk length")
            if count > self.limits.arguments:
                raise ProtocolError(self.limits.arguments_error, "arguments")
            count = max(count, 0)
            self._position = end + 2
        else:
            self._position = position + 4
        self._missing = count
        self._request_bytes = 0
        return True

    def _read_bulk_strings(self) -> bool:
        """Reads the missing arguments; False when it takes more bytes."""
        buffer = self._buffer
        position = self._position
        while self._missing:
            length = _SHORT_BULK_HEADERS.get(buffer[position : position + 4])
            start = position + 4
            if length is None:
                length = _SHORT_BULK_HEADERS.get(buffer[position : position + 5])
                start = position + 5
            if length is None:
                start = self._header_end(position, "too big bulk count string") + 2
                if start < 2:  # noqa: PLR2004 - no end was found
                    break
                length = self._bulk_length(position, start)
            end = start + length
            if end + 2 > len(buffer):
                self._needed_bytes = end + 2 - position
                break
            self._arguments.append(buffer[start:end])
            self._request_bytes += length
            self._missing -= 1
            position = end + 2
        self._position = position
        if self._request_bytes > self.limits.request_bytes:
            raise ProtocolError(self.limits.request_bytes_error, "request_bytes")
        return not self._missing

    def _bulk_length(self, position: int, start: int) -> int:
        if self._buffer[position] != _BULK_STRING:
            got = self._buffer[position : position + 1].decode("utf-8", "surrogateescape")
            raise ProtocolError(f"expected '$', got '{got}'")
        length = parse_integer(self._buffer[position + 1 : start - 2])
        if length is None or not 0 <= length <= _MAX_BULK_BYTES:
            raise ProtocolError("invalid bulk length")
        if self._request_bytes + length > self.limits.request_bytes:
            raise ProtocolError(self.limits.request_bytes_error, "request_bytes")
        return length

    def _header_end(self, position: int, too_long: str) -> int:
        """Where the header's carriage return is; -1 when it or the byte after it has not come yet."""
        end = self._buffer.find(b"\r", position, position + _MAX_LINE_BYTES + 1)
        if end < 0 and len(self._buffer) - position > _MAX_LINE_BYTES:
            raise ProtocolError(too_long)
        if end < 0 or end + 1 == len(self._buffer):
            self._needed_bytes = 0
            return -1
        return end

    def _read_inline_command(self) -> list[bytes] | None:
        # A line of just that size may have a carriage return, too.
        most = self.limits.inline_bytes
        end = self._buffer.find(b"\n", self._position, self._position + most + 2)
        if end < 0:
            if len(self._buffer) - self._position > most + 1:
                raise ProtocolError("too big inline request", "inline_bytes")
            self._needed_bytes = 0
            return None
        arguments = split_inline(self._buffer[self._position : end].removesuffix(b"\r"))
        if arguments is None:
            raise ProtocolError("unbalanced quotes in request")
        if len(arguments) > self.limits.arguments:
            raise ProtocolError("too big inline request", "arguments")
        self._position = end + 1
        return arguments
