"""Parses requests: arrays of bulk strings, and inline commands. Knows no sockets and no commands.

Every header is checked before memory is used for it, so that a header alone never makes memory grow. The parser accepts
everything that redis-server accepts (`*0`, `*-5`, any two bytes after a bulk string), and refuses the rest with the
same errors.
"""

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from respid.resp.fast_path import RunReader
from respid.resp.inline import split_inline
from respid.resp.known_frames import Kinds, KnownFrames, Subject

_ARRAY = ord("*")
_BULK_STRING = ord("$")
ARGUMENT_OVERHEAD_BYTES = 48  # of a bytes object and its place in a list
_MAX_LINE_BYTES = 64 * 1024  # of a header; Redis's PROTO_INLINE_MAX_SIZE
_MAX_ARRAY_LENGTH = (1 << 31) - 1
_MAX_INTEGER = (1 << 63) - 1
_MAX_BULK_BYTES = 512 * 1024 * 1024  # Redis's proto-max-bulk-len, checked before all smaller limits
_INTEGER = re.compile(rb"-?[1-9][0-9]{0,18}|0")

# Nearly all headers have one or two digits. Looking up the whole header takes 120 or 230 ns, compared with 450 ns for a
# search, a slice and a conversion. The keys are exact, so any other header takes the long way. Bulk strings this short
# are checked against the limit of the whole request only once all received bytes are used.
_SHORT_ARRAY_HEADERS = {b"*%d\r\n" % length: length for length in range(1, 10)}
_SHORT_BULK_HEADERS = {b"$%d\r\n" % length: length for length in range(100)}
# The first two headers of nearly all requests, looked up at once: the number of arguments, and the length of the name.
_OPENINGS = {b"*%d\r\n$%d\r\n" % (count, length): (count, length) for count in range(1, 10) for length in range(1, 10)}
_OPENING_BYTES = 8
# Where the content of an argument begins and ends, by its first five bytes, of which the last is any after one digit.
_ARGUMENTS = {b"$%d\r\n" % length: (5, 5 + length) for length in range(10, 100)} | {
    b"$%d\r\n%c" % (length, byte): (4, 4 + length) for length in range(10) for byte in range(256)
}
_SHORT_ARGUMENTS, _SHORT_BYTES = 9, 9 * 99  # the largest request with such headers
_LONGEST_PART = 1000  # bytes; a request with such headers has fewer
# What a read may cut such headers to.
_CUT_ARRAY_HEADERS = {header[:end] for header in _SHORT_ARRAY_HEADERS for end in range(1, 4)}
_CUT_BULK_HEADERS = {header[:end] for header in _SHORT_BULK_HEADERS for end in range(5)}


class ProtocolError(Exception):
    """The input is not a valid request; the message is Redis's. The connection cannot continue.

    `limit` names the exceeded limit, if it is one that can be configured.
    """

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The largest allowed request, in bytes and in arguments, and Redis's errors for larger ones."""

    request_bytes: int
    arguments: int
    inline_bytes: int
    request_bytes_error: str = "invalid bulk length"
    arguments_error: str = "invalid multibulk length"


@cache
def unauthenticated_limits(limits: RequestLimits) -> RequestLimits:
    """Returns Redis's limits before authentication, or the given ones where they are lower."""
    return replace(
        limits,
        request_bytes=min(16 * 1024, limits.request_bytes),
        arguments=min(10, limits.arguments),
        inline_bytes=min(2 * 1024, limits.inline_bytes),  # Redis has no limit of its own here
        request_bytes_error="unauthenticated bulk length",
        arguments_error="unauthenticated multibulk length",
    )


def parse_integer(text: bytes) -> int | None:
    """Parses a signed 64-bit integer in Redis's strict form: no plus sign, space or leading zero. Else returns None."""
    if _INTEGER.fullmatch(text) is None:
        return None
    number = int(text)
    return number if -_MAX_INTEGER - 1 <= number <= _MAX_INTEGER else None


def _is_part(data: bytes) -> bool:
    """Whether this is the beginning of a request with short headers, but not all of it."""
    count = _SHORT_ARRAY_HEADERS.get(data[:4])
    if count is None:
        return data in _CUT_ARRAY_HEADERS
    end = 4
    for _ in range(count):
        argument = _ARGUMENTS.get(data[end : end + 5])
        if argument is None:
            return data[end : end + 5] in _CUT_BULK_HEADERS
        end += argument[1] + 2
    return end > len(data)


class RequestReader:
    """Collects bytes and returns the requests in them, each as a list of arguments.

    `limits` may change between two requests: they are higher after authentication.
    """

    __slots__ = (
        "_arguments",
        "_buffer",
        "_missing",
        "_needed_bytes",
        "_pending",
        "_position",
        "_request_bytes",
        "accepts_short",
        "is_cut",
        "limits",
    )

    def __init__(self, limits: RequestLimits) -> None:
        self.limits = limits
        # Whether any request with short headers keeps the limits. Before authentication they may be lower, but not by
        # so much.
        self.accepts_short = limits.arguments >= _SHORT_ARGUMENTS and limits.request_bytes >= _SHORT_BYTES
        self._buffer = b""
        self._position = 0
        # Bytes received while a bulk string was incomplete. They are joined with the buffer once, not at every read.
        # A list of the reads would take a hundred times as much memory if each read was a single byte.
        self._pending = bytearray()
        self._needed_bytes = 0
        # The incomplete request: its arguments so far, the number of missing ones, and its size.
        self._arguments: list[bytes] = []
        self._missing = 0
        self._request_bytes = 0
        # A read has ended within a short request. Its part is all that is left, and nothing of it was parsed.
        self.is_cut = False

    def feed(self, data: bytes) -> None:
        """Adds received bytes."""
        self.is_cut = False
        rest_bytes = len(self._buffer) - self._position
        if not rest_bytes and not self._pending:
            self._buffer = data
            self._position = 0
            return
        self._pending += data
        # `_needed_bytes` may be that of an earlier request, unless one is incomplete.
        if not self._missing or rest_bytes + len(self._pending) >= self._needed_bytes:
            self._buffer = b"".join([self._buffer[self._position :], self._pending])
            self._position = 0
            self._pending = bytearray()

    def feed_part(self, data: bytes) -> bool:
        """Adds received bytes if they are a part of a short request; call it when all others have been read.

        Returns False, and adds nothing, if they are anything else.
        """
        self.is_cut = self.accepts_short and _is_part(data)
        if self.is_cut:
            self._buffer, self._position = data, 0
        return self.is_cut

    def keep_part(self) -> bool:
        """If what is left is a part of a short request, keeps nothing else. Returns whether it is.

        Call it between two requests.
        """
        return self._keep_part_from(self._position)

    def _keep_part_from(self, begun: int) -> bool:
        # A copy of all that is left would make a long pipeline take quadratic time.
        return self.feed_part(self._buffer[begun : begun + _LONGEST_PART + 1])

    def take_part(self) -> bytes:
        """Removes that part and returns it. The next read can then be recognised together with it."""
        part, self._buffer, self.is_cut = self._buffer, b"", False
        return part

    def next_request(self) -> list[bytes] | None:
        """Returns the next complete request, empty for a blank line; None if more bytes are needed.

        Raises ProtocolError.
        """
        begun = self._position
        is_new = not self._missing
        if is_new:
            if begun == len(self._buffer):
                self._buffer = b""  # an idle connection must not keep its last request
                self._position = 0
                return None
            if self._buffer[begun] != _ARRAY:
                return self._read_inline_command()
            if not self._read_array_header():
                return None
        if not self._read_bulk_strings():
            if is_new and self._keep_part_from(begun):
                self._arguments, self._missing, self._request_bytes = [], 0, 0
            return None
        arguments, self._arguments = self._arguments, []
        return arguments

    def next_short_request(self) -> list[bytes] | None:
        """Returns what `next_request` would, if that is a request with short headers only; None in all other cases."""
        if self._missing or not self.accepts_short:
            return None
        buffer, start = self._buffer, self._position + _OPENING_BYTES
        opening = _OPENINGS.get(buffer[self._position : start])
        if opening is None:
            return None
        count, length = opening
        end = start + length + 2
        arguments = [buffer[start : end - 2]]
        while len(arguments) < count:
            argument = _ARGUMENTS.get(buffer[end : end + 5])
            if argument is None:
                return None
            first, last = argument
            arguments.append(buffer[end + first : end + last])
            end += last + 2
        if end > len(buffer):
            return None
        self._position = end
        return arguments

    def is_at(self, start: bytes) -> bool:
        """Whether the next bytes are these."""
        return self._buffer.startswith(start, self._position)

    def next_run(self, runs: RunReader[Any]) -> int:
        """Returns how many of the next requests are one run, which are then read; 0 if `runs` recognises none."""
        if self._missing:
            return 0
        frames, end = runs.find(self._buffer, self._position)
        if frames:
            self._position = end
        return frames

    def next_known(self, known: KnownFrames[Subject], kinds: Kinds[Subject], *, may_run: bool) -> tuple[Subject, ...]:
        """Returns the subjects of the next requests, as far as `known` recognises them. These are then read."""
        if self._missing or not self.accepts_short:
            return ()
        found, self._position = known.find(kinds, self._buffer, self._position, may_run=may_run)
        return found

    def finish(self) -> bool:
        """Whether all received bytes have been returned as requests. They are freed: an idle client must keep none."""
        if self._position < len(self._buffer) or self._missing or self._pending:
            return False
        self._buffer, self._position = b"", 0
        return True

    @property
    def is_empty(self) -> bool:
        """Whether all received bytes have been returned as requests."""
        return self._position == len(self._buffer) and not self._missing and not self._pending

    @property
    def held_bytes(self) -> int:
        """The memory of what was received and is not returned yet."""
        arguments_bytes = self._request_bytes + ARGUMENT_OVERHEAD_BYTES * len(self._arguments) if self._missing else 0
        return len(self._buffer) + len(self._pending) + arguments_bytes

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
        """Reads the missing arguments; returns False if more bytes are needed."""
        buffer, position, arguments = self._buffer, self._position, self._arguments
        missing, request_bytes = self._missing, self._request_bytes
        last = len(buffer) - 2
        while missing:
            length = _SHORT_BULK_HEADERS.get(buffer[position : position + 4])
            start = position + 4
            if length is None:
                length = _SHORT_BULK_HEADERS.get(buffer[position : position + 5])
                start = position + 5
            if length is None:
                start = self._header_end(position, "too big bulk count string") + 2
                if start < 2:  # noqa: PLR2004 - no end was found
                    break
                length = self._bulk_length(position, start, request_bytes)
            end = start + length
            if end > last:
                self._needed_bytes = end + 2 - position
                break
            arguments.append(buffer[start:end])
            request_bytes += length
            missing -= 1
            position = end + 2
        self._position, self._missing, self._request_bytes = position, missing, request_bytes
        if request_bytes > self.limits.request_bytes:
            raise ProtocolError(self.limits.request_bytes_error, "request_bytes")
        return not missing

    def _bulk_length(self, position: int, start: int, request_bytes: int) -> int:
        if self._buffer[position] != _BULK_STRING:
            got = self._buffer[position : position + 1].decode("utf-8", "surrogateescape")
            raise ProtocolError(f"expected '$', got '{got}'")
        length = parse_integer(self._buffer[position + 1 : start - 2])
        if length is None or not 0 <= length <= _MAX_BULK_BYTES:
            raise ProtocolError("invalid bulk length")
        if request_bytes + length > self.limits.request_bytes:
            raise ProtocolError(self.limits.request_bytes_error, "request_bytes")
        return length

    def _header_end(self, position: int, too_long: str) -> int:
        """Returns the position of the header's carriage return; -1 until it and the byte after it have arrived."""
        end = self._buffer.find(b"\r", position, position + _MAX_LINE_BYTES + 1)
        if end < 0 and len(self._buffer) - position > _MAX_LINE_BYTES:
            raise ProtocolError(too_long)
        if end < 0 or end + 1 == len(self._buffer):
            self._needed_bytes = 0
            return -1
        return end

    def _read_inline_command(self) -> list[bytes] | None:
        # The limit does not count a carriage return.
        most = self.limits.inline_bytes
        end = self._buffer.find(b"\n", self._position, self._position + most + 2)
        if end < 0:
            if len(self._buffer) - self._position > most + 1:
                raise ProtocolError("too big inline request", "inline_bytes")
            self._needed_bytes = 0
            return None
        arguments = split_inline(self._buffer[self._position : end])
        if arguments is None:
            raise ProtocolError("unbalanced quotes in request")
        if len(arguments) > self.limits.arguments:
            raise ProtocolError("too big inline request", "arguments")
        self._position = end + 1
        return arguments
