"""One connection of the check: requests out, replies in, and what the worker at its other end says of itself."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from ssl import SSLCertVerificationError, SSLContext, SSLError
from typing import NamedTuple

from respid.check.ledger import Issuer
from respid.check.wire import ErrorReply, InvalidReplyError, Reply, ReplyReader, encode_request
from respid.ids.clock import Clock
from respid.ids.layout import Layout

CONNECT_SECONDS = 3.0
REPLY_SECONDS = 10.0  # respid lets a request wait for 5 at most
CLOSE_SECONDS = 1.0  # for what was sent last, and for TLS to say goodbye
READ_BYTES = 64 * 1024
MAX_RUN_ID_CHARACTERS = 64
CLOCK_SAMPLES = 3
_PASSING = ("LOADING ", "ERR max number of clients reached")  # how errors begin that may be over soon


class Address(NamedTuple):
    """Where a worker, or a Service before several, listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ClockSample(NamedTuple):
    """A worker's wall clock less the one of this machine; the truth is at most `error_seconds` away."""

    seconds: float
    error_seconds: float


class Greeting(NamedTuple):
    """What a worker says of itself when a connection begins."""

    issuer: Issuer
    clock: ClockSample
    lead_seconds: float


class RefusedError(Exception):
    """A worker does not talk to us; the message says why."""

    @property
    def is_final(self) -> bool:
        """Whether it would be the same if it was asked again."""
        return not str(self).startswith(_PASSING)


class ClientConnection:
    """One connection: requests out, replies in. Raises what is in TROUBLE."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._replies = ReplyReader()

    async def exchange(self, requests: bytes, reply_count: int) -> list[Reply]:
        """Sends the requests; returns this many replies."""
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
        """The reply to one request. Raises RefusedError when it is an error."""
        (reply,) = await self.exchange(encode_request(*arguments), 1)
        if isinstance(reply, ErrorReply):
            raise RefusedError(reply.message)
        return reply


# All that a connection can end with.
TROUBLE = (OSError, EOFError, UnicodeError, InvalidReplyError, RefusedError)


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
    if password:
        await connection.ask(b"AUTH", os.fsencode(password))
    told = _pairs(await connection.ask(b"ID.INFO"))
    try:
        layout, worker_id = Layout.parse_fingerprint(told[b"fingerprint"].decode()), int(told[b"worker_id"])
        lead_seconds = int(told[b"clock_lead_ms"]) / 1000
    except (KeyError, ValueError):
        raise RefusedError("what answers is no respid: its ID.INFO tells no fingerprint and worker ID") from None
    server = await connection.ask(b"INFO", b"server")
    run_id = (
        server.partition(b"\nrun_id:")[2].split(b"\r\n")[0].decode("ascii", "replace")[:MAX_RUN_ID_CHARACTERS]
        if isinstance(server, bytes)
        else ""
    )
    samples = [await _sample_clock(connection, clock) for _ in range(CLOCK_SAMPLES)]
    issuer = Issuer(str(address), worker_id, layout, run_id or str(address))
    return Greeting(issuer, min(samples, key=lambda sample: sample.error_seconds), lead_seconds)


async def _sample_clock(connection: ClientConnection, clock: Clock) -> ClockSample:
    """As Cristian's algorithm does: the worker's clock was read somewhere between the request and the reply."""
    asked_ns = clock.wall_ns()
    match await connection.ask(b"TIME"):
        case [bytes(seconds), bytes(microseconds)] if seconds.isdigit() and microseconds.isdigit():
            answered_ns = clock.wall_ns()
            told_ns = int(seconds) * 1_000_000_000 + int(microseconds) * 1000
            difference_ns = told_ns - (asked_ns + answered_ns) / 2
            return ClockSample(difference_ns / 1e9, (answered_ns - asked_ns) / 2e9)
    raise RefusedError("its TIME tells no time")


def _pairs(reply: Reply) -> dict[bytes, bytes]:
    """A map as RESP2 has it, numbers as text."""
    elements = [b"%d" % element if isinstance(element, int) else element for element in _list(reply)]
    texts = [element for element in elements if isinstance(element, bytes)]
    return dict(zip(texts[::2], texts[1::2], strict=False))


def _list(reply: Reply) -> list[Reply]:
    return reply if isinstance(reply, list) else []


def reason_of(error: BaseException) -> str:
    match error:
        case RefusedError():
            return str(error)
        case InvalidReplyError():
            return f"invalid reply: {error}"
        case TimeoutError():
            return "no answer in time"
        case SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case SSLError():
            return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
        case UnicodeError():
            return "no host has such a name"
        case EOFError():
            return "the connection was closed"
        case OSError(errno=int(number)) if number > 0 and not isinstance(error, socket.gaierror):
            return os.strerror(number)
    return (isinstance(error, OSError) and error.strerror) or str(error)
