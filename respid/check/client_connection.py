"""One client connection to a worker: sends requests, receives replies, and asks the worker for its identity."""

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator
from ssl import SSLCertVerificationError, SSLContext, SSLError
from typing import NamedTuple

from respid.check.ledger import Issuer
from respid.check.wire import ErrorReply, InvalidReplyError, Reply, ReplyReader, encode_request
from respid.ids.clock import Clock
from respid.ids.layout import Layout

CONNECT_SECONDS = 3.0
REPLY_SECONDS = 10.0  # respid lets a request wait for at most 5 s
CLOSE_SECONDS = 1.0
READ_BYTES = 64 * 1024
CLOCK_SAMPLES = 3
MAX_RUN_ID_CHARACTERS = 64
_PASSING = ("LOADING ", "ERR max number of clients reached")  # errors that begin like this may go away
_INTEGER = re.compile(rb"-?[0-9]{1,18}")


class Address(NamedTuple):
    """Where a worker listens, or a Service in front of several workers."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ClockSample(NamedTuple):
    """A worker's wall clock minus this machine's; the true difference is at most `error_seconds` away."""

    seconds: float
    error_seconds: float


class Greeting(NamedTuple):
    """The identity that a worker reports when a connection begins."""

    issuer: Issuer
    clock: ClockSample
    lead_seconds: float


class RefusedError(Exception):
    """The worker refused a request, or is not a respid worker; the message says why."""

    @property
    def is_final(self) -> bool:
        """Whether a retry would get the same answer."""
        return not str(self).startswith(_PASSING)


class ClientConnection:
    """Sends requests and receives replies. Raises CONNECTION_ERRORS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._replies = ReplyReader()

    async def exchange(self, requests: bytes, reply_count: int) -> list[Reply]:
        """Sends encoded requests and returns their replies."""
        self._writer.write(requests)
        async with asyncio.timeout(REPLY_SECONDS):
            await self._writer.drain()
            return await self._receive(reply_count)

    async def _receive(self, reply_count: int) -> list[Reply]:
        self._replies.begin_batch()
        replies: list[Reply] = []
        while len(replies) < reply_count:
            data = await self._reader.read(READ_BYTES)
            if not data:
                raise EOFError
            replies += self._replies.feed(data)
        if len(replies) > reply_count:
            raise InvalidReplyError("more replies than requests")
        return replies

    async def ask(self, *arguments: bytes) -> Reply:
        """Returns the reply to one request. Raises RefusedError if it is an error."""
        (reply,) = await self.exchange(encode_request(*arguments), 1)
        if isinstance(reply, ErrorReply):
            raise RefusedError(reply.message)
        return reply


CONNECTION_ERRORS = (OSError, EOFError, UnicodeError, InvalidReplyError, RefusedError)


@contextlib.asynccontextmanager
async def connected(address: Address, tls: SSLContext | None) -> AsyncIterator[ClientConnection]:
    async with asyncio.timeout(CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(*address, ssl=tls)
    try:
        yield ClientConnection(reader, writer)
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await writer.wait_closed()
    except OSError:
        writer.transport.abort()


async def greet(connection: ClientConnection, address: Address, password: str, clock: Clock) -> Greeting:
    """Authenticates and identifies the worker. Raises CONNECTION_ERRORS, TimeoutError if it takes too long."""
    async with asyncio.timeout(REPLY_SECONDS):
        if password:
            await connection.ask(b"AUTH", os.fsencode(password))
        info = _pairs(await connection.ask(b"ID.INFO"))
        run_id = _find_run_id(await connection.ask(b"INFO", b"server"))
        samples = [await _sample_clock(connection, clock) for _ in range(CLOCK_SAMPLES)]
    try:
        layout = Layout.parse_fingerprint(info[b"fingerprint"].decode())
        worker_id, lead_ms = read_integer(info[b"worker_id"]), read_integer(info[b"clock_lead_ms"])
    except (KeyError, ValueError):
        raise RefusedError("not a respid worker: its ID.INFO has no valid fingerprint and worker ID") from None
    issuer = Issuer(str(address), worker_id, layout, run_id or str(address))
    return Greeting(issuer, min(samples, key=lambda sample: sample.error_seconds), lead_ms / 1000)


def _find_run_id(server: Reply) -> str:
    """Returns the run ID in the reply to INFO; an empty string if it has none."""
    if not isinstance(server, bytes):
        return ""
    run_id = server.partition(b"\nrun_id:")[2].split(b"\r\n")[0]
    return run_id[:MAX_RUN_ID_CHARACTERS].decode("ascii", "replace")


async def _sample_clock(connection: ClientConnection, clock: Clock) -> ClockSample:
    """Uses Cristian's algorithm: the worker read its clock at some time between the request and the reply."""
    asked_ns = clock.wall_ns()
    reply = await connection.ask(b"TIME")
    answered_ns = clock.wall_ns()
    try:
        seconds, microseconds = map(read_integer, _texts(reply))
    except ValueError:
        raise RefusedError("its reply to TIME is not a time") from None
    difference_ns = seconds * 1_000_000_000 + microseconds * 1000 - (asked_ns + answered_ns) / 2
    return ClockSample(difference_ns / 1e9, (answered_ns - asked_ns) / 2e9)


def _pairs(reply: Reply) -> dict[bytes, bytes]:
    """Returns a map, which RESP2 sends as a flat array."""
    texts = _texts(reply)
    return dict(zip(texts[::2], texts[1::2], strict=False))


def _texts(reply: Reply) -> list[bytes]:
    """Returns the strings of an array, and its integers as text; an empty list for any other reply."""
    elements = reply if isinstance(reply, list) else []
    texts = [b"%d" % element if isinstance(element, int) else element for element in elements]
    return [text for text in texts if isinstance(text, bytes)]


def read_integer(text: bytes) -> int:
    """Raises ValueError unless it has at most 18 digits, all of them ASCII."""
    if _INTEGER.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not an integer of at most 18 digits")
    return int(text)


def describe_error(error: BaseException) -> str:
    """Returns why a connection failed, in one line."""
    match error:
        case RefusedError():
            return str(error)
        case InvalidReplyError():
            return f"invalid reply: {error}"
        case TimeoutError():
            return "timed out"
        case SSLCertVerificationError():
            return f"certificate not trusted: {error.verify_message}"
        case SSLError():
            return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
        case UnicodeError():
            return "not a valid host name"
        case EOFError():
            return "connection closed"
        case OSError(errno=int(number)) if number > 0 and not isinstance(error, socket.gaierror):
            return os.strerror(number)
    return (isinstance(error, OSError) and error.strerror) or str(error)
