"""CLIENT and its subcommands."""

from collections import Counter
from unittest import mock

import pytest

from respid.commands import Session
from respid.commands.names import MAX_NAME_BYTES
from respid.net.connection import Budgets, Connection
from respid.net.states import Next
from respid.net.turns import Budget
from respid.resp import encoder
from respid.worker.client_list import FEW_CLIENTS, SLICE
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.command_client import CommandClient
from tests.support.reply_parser import parse_replies
from tests.support.request_limits import DEFAULT_LIMITS
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, converse


@pytest.mark.parametrize(
    ("conversation", "replies"),
    [
        ("CLIENT REPLY OFF; PING; BOGUS; INCR a", b""),
        ("CLIENT REPLY OFF; PING; CLIENT REPLY ON; PING", encoder.OK + encoder.PONG),
        ("CLIENT REPLY SKIP; BOGUS; PING", encoder.PONG),
        ("CLIENT REPLY SKIP; RESET; PING", encoder.PONG),
        ("CLIENT REPLY SKIP; CLIENT REPLY SKIP; BOGUS; PING", encoder.PONG),
        ("CLIENT REPLY SKIP; ID.NEXT COUNT 3000; PING", encoder.PONG),
    ],
)
def test_client_reply_suppresses_replies(client: CommandClient, conversation: str, replies: bytes) -> None:
    assert client.tell(conversation) == replies


def test_commands_run_without_replies(client: CommandClient) -> None:
    client.tell("CLIENT REPLY OFF; INCR a; INCR a; CLIENT SETNAME me; CLIENT REPLY ON")
    assert client.connection.session.worker.generator.ids_issued == 2
    assert client.tell("CLIENT GETNAME") == b"$2\r\nme\r\n"


def test_empty_name_removes_name(client: CommandClient) -> None:
    assert client.tell("CLIENT SETNAME me; CLIENT SETNAME ''; CLIENT GETNAME") == encoder.OK * 2 + b"$-1\r\n"


@pytest.mark.parametrize(
    "command", ["CLIENT SETNAME", "CLIENT SETINFO LIB-NAME", "CLIENT SETINFO LIB-VER", "HELLO 3 SETNAME"]
)
def test_long_name_is_refused(client: CommandClient, command: str) -> None:
    name = "x" * MAX_NAME_BYTES
    assert client.tell(f"{command} {name}x").endswith(b" cannot be longer than 512 bytes\r\n")
    assert not client.tell(f"{command} {name}").startswith(b"-")


def test_client_list_and_info(client: CommandClient, other_client: CommandClient, clock: ScriptedClock) -> None:
    client.tell(
        "CLIENT SETNAME first; CLIENT SETINFO LIB-NAME driver; CLIENT SETINFO LIB-VER 1.2; SELECT 3; MULTI; PING"
    )
    clock.pass_ms(2_500)
    (listed,) = other_client.ask("CLIENT LIST")
    (info,) = other_client.ask("CLIENT INFO")
    assert listed.text is not None
    first, second = listed.text.decode().splitlines()
    assert info.text is not None
    assert info.text.decode() == second.replace("cmd=client|list", "cmd=client|info") + "\n"
    for field in (
        "id=1",
        "name=first",
        "age=2",
        "db=3",
        "multi=1",
        "lib-name=driver",
        "lib-ver=1.2",
        "addr=127.0.0.1:50000",
    ):
        assert field in first.split(" ")
    assert "id=2" in second.split(" ")


def test_long_client_list_is_made_once_in_a_while(client: CommandClient, clock: ScriptedClock) -> None:
    worker = client.connection.session.worker
    others = [connect(worker).session for _ in range(FEW_CLIENTS)]
    described = Counter[int]()

    def describe(session: Session) -> str:
        described[session.identifier] += 1
        return original(session)

    original = Session.describe
    with mock.patch.object(Session, "describe", describe):
        for _ in range(10):
            (listed,) = client.ask("CLIENT LIST")
        assert listed.text is not None
        assert len(listed.text.splitlines()) == FEW_CLIENTS + 1
        assert {described[other.identifier] for other in others} == {1}
        assert described[client.connection.session.identifier] == 11
        clock.pass_ms(100)
        client.ask("CLIENT LIST")
        assert {described[other.identifier] for other in others} == {2}


def test_long_client_list_has_own_line_as_it_is_now(client: CommandClient) -> None:
    worker = client.connection.session.worker
    for _ in range(FEW_CLIENTS):
        connect(worker)
    client.ask("CLIENT LIST")
    client.ask("CLIENT SETNAME changed")
    (listed,) = client.ask("CLIENT LIST")
    assert listed.text is not None
    own = client.connection.session.identifier
    assert [line.split(b" ")[0] for line in listed.text.splitlines() if b" name=changed " in line] == [b"id=%d" % own]
    late = connect(worker)
    (listed,) = parse_replies(converse(late, request("CLIENT", "LIST")))
    assert listed.text is not None
    numbers = [line.split(b" ")[0] for line in listed.text.splitlines()]
    assert (numbers[-1], len(numbers)) == (b"id=%d" % late.session.identifier, FEW_CLIENTS + 2)


def test_long_client_list_ends_however_late_its_turns_are(worker: Worker, clock: ScriptedClock) -> None:
    for _ in range(2 * FEW_CLIENTS):
        connect(worker)
    no_time = Budget(0)
    client = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS, budgets=Budgets(no_time, no_time))
    output = client.receive(request("CLIENT", "LIST"))
    for _ in range(2 * FEW_CLIENTS):  # enough turns for one line each
        clock.pass_ms(1000)
        output += client.resume()
    assert output.count(b"id=") == 2 * FEW_CLIENTS


def test_long_client_list_lets_others_have_their_turn(worker: Worker) -> None:
    for _ in range(2 * FEW_CLIENTS):
        connect(worker)
    listing = [request("CLIENT", "LIST"), request("CLIENT", "LIST", "ID", *map(str, worker.clients))]
    for sent in listing:
        no_time = Budget(0)
        client = Connection(worker, 1, "127.0.0.1:1", DEFAULT_LIMITS, budgets=Budgets(no_time, no_time))
        client.receive(sent)
        silent_turns = 0
        while not (reply := client.resume()):
            assert client.next is Next.TURN
            silent_turns += 1
        assert silent_turns >= 2 * FEW_CLIENTS // SLICE - 2
        (listed,) = parse_replies(reply)
        assert listed.text is not None
        assert len(listed.text.splitlines()) == 2 * FEW_CLIENTS
