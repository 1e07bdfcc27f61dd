"""A message that no request asked for never lies inside a reply, whatever the client sends and however it is cut."""

import asyncio
import random
import socket
from dataclasses import dataclass, field

import pytest

from respid.net import connection as connection_module
from respid.net.clients import Clients
from respid.net.moves import message
from respid.net.protocol import RespProtocol
from respid.net.states import Next, State
from respid.worker.worker import Worker
from tests.support.byte_streams import STREAMS, Stream, request, requests
from tests.support.mock_transport import mock_transport
from tests.support.reply_parser import parse_replies
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_loop import run_scripted
from tests.support.scripted_worker import connect, start_worker

PUSH = message(7, 10)
LONG = [  # replies of many turns
    "ID.NEXT COUNT 9000; PING; ID.NEXT COUNT 9000",
    "MULTI; ID.NEXT COUNT 5000; PING; ID.RANGE 9000; INCR k; EXEC; PING",
    "INCRBY k 4096; INCRBY k 4096; MULTI; INCRBY k 4096; INCRBY k 4096; EXEC; INCR k",
    "CLIENT REPLY OFF; ID.NEXT COUNT 9000; CLIENT REPLY ON; PING",
    "CLIENT REPLY SKIP; ID.NEXT COUNT 9000; PING",
    "COMMAND DOCS; COMMAND; INFO; CONFIG GET *",
]
# As in Redis, the array of an EXEC in which CLIENT REPLY SKIP runs lacks an element.
BROKEN = "MULTI; CLIENT REPLY"
CASES = [stream for stream in STREAMS if not stream.name.startswith(BROKEN)] + [
    Stream(conversation, requests(conversation)) for conversation in LONG
]


def converse(sent: bytes, cut: int, *, pushing: bool) -> tuple[bytes, int]:
    """Returns all bytes that the client gets, and how many messages were put between its replies."""
    clock = ScriptedClock()
    client = connect(start_worker(clock))
    output, pushed = [], 0
    for start in range(0, len(sent), cut):
        turn = client.receive(sent[start : start + cut])
        while True:
            output.append(turn)
            if pushing and client.is_between_replies:
                output.append(PUSH)
                pushed += 1
            if client.next is Next.WAIT:
                clock.pass_ms(1)
            if client.next not in (Next.TURN, Next.WAIT):
                break
            turn = client.resume()
        if client.next is Next.CLOSE:
            break
    return b"".join(output), pushed


@pytest.mark.parametrize("cut", [7, 1 << 20])
def test_push_never_lies_inside_a_reply(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "TURN_REQUESTS", 1)
    for stream in CASES:
        sent = stream.sent[:4000]
        plain, _ = converse(sent, cut, pushing=False)
        received, pushed = converse(sent, cut, pushing=True)
        assert received.replace(PUSH, b"") == plain, stream.name
        assert [reply.type for reply in parse_replies(received)].count(">") == pushed, stream.name


def test_push_waits_for_the_end_of_exec_and_of_silence() -> None:
    clock = ScriptedClock()
    client = connect(start_worker(clock))
    seen = {}
    for conversation in ("PING", "MULTI", "PING", "EXEC", "CLIENT REPLY SKIP", "PING", "CLIENT REPLY OFF", "PING"):
        client.receive(requests(conversation))
        seen[conversation] = client.is_between_replies
    assert not seen["MULTI"]
    assert seen["EXEC"]
    assert not seen["CLIENT REPLY SKIP"]
    assert not seen["CLIENT REPLY OFF"]
    client.receive(requests("CLIENT REPLY ON"))
    assert client.is_between_replies


async def test_push_is_not_written_to_a_client_that_does_not_read(worker: Worker) -> None:
    loop = asyncio.get_running_loop()
    client, connected = socket.socketpair()
    client.settimeout(0)
    _, protocol = await loop.connect_accepted_socket(lambda: RespProtocol(Clients(worker, loop)), connected)
    assert protocol.push(PUSH)
    assert await loop.sock_recv(client, 100) == PUSH
    await loop.sock_sendall(client, request("ECHO", "x" * 900_000))
    while protocol._state is not State.BLOCKED:
        await asyncio.sleep(0.01)
    assert not protocol.push(PUSH)
    protocol.abort()
    assert not protocol.push(PUSH)
    client.close()


@dataclass
class RandomClient:
    """Sends a conversation in pieces, and reads and is sent messages at random moments."""

    random: random.Random
    clock: ScriptedClock
    received: bytearray = field(default_factory=bytearray)
    pushed: int = 0
    is_read: bool = True  # by the server
    is_reading: bool = True

    async def converse(self, worker: Worker, sent: bytes) -> None:
        transport = mock_transport()
        transport.write.side_effect = self.received.extend
        transport.pause_reading.side_effect = lambda: setattr(self, "is_read", False)
        transport.resume_reading.side_effect = lambda: setattr(self, "is_read", True)
        protocol = RespProtocol(Clients(worker, asyncio.get_running_loop()))
        protocol.connection_made(transport)
        protocol.session.describe_socket = None  # there is none, which CLIENT LIST would describe
        while sent and protocol._state is not State.CLOSING:
            action = self.random.randrange(5)
            if action == 0 and self.is_read and self.is_reading:
                size = self.random.choice((1, 7, 100, 4000))
                protocol.data_received(sent[:size])
                sent = sent[size:]
            elif action == 1:
                self.turn_to_read(protocol)
            elif action == 2:
                self.pushed += protocol.push(PUSH)
            else:
                self.clock.pass_ms(self.random.choice((0, 0, 0, 1)))
                await asyncio.sleep(0)
        if not self.is_reading:
            self.turn_to_read(protocol)
        while protocol._state not in (State.READING, State.CLOSING):
            self.pushed += protocol.push(PUSH)
            self.clock.pass_ms(1)
            await asyncio.sleep(0)

    def turn_to_read(self, protocol: RespProtocol) -> None:
        self.is_reading = not self.is_reading
        if self.is_reading:
            protocol.resume_writing()
        else:
            protocol.pause_writing()


@pytest.mark.parametrize("seed", range(3))
def test_push_at_random_moments_never_lies_inside_a_reply(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a client does not read, waits for its turn or for the next millisecond, or has sent a part of a request."""
    monkeypatch.setattr(connection_module, "TURN_REQUESTS", 3)
    monkeypatch.setattr(connection_module, "TURN_OUTPUT_BYTES", 100)
    chosen = random.Random(seed)
    pushed = 0
    for stream in [*(case for case in CASES if case.name in LONG), *chosen.sample(CASES, 25)]:
        sent = stream.sent[:4000]
        plain, _ = converse(sent, 1 << 20, pushing=False)
        clock = ScriptedClock()
        client = RandomClient(chosen, clock)
        run_scripted(clock, client.converse(start_worker(clock), sent))
        types = [reply.type for reply in parse_replies(bytes(client.received))]
        assert types.count(">") == client.pushed, stream.name
        assert [each for each in types if each != ">"] == [each.type for each in parse_replies(plain)], stream.name
        pushed += client.pushed
    assert pushed > 20
