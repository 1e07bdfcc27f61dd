"""The checks that all commands share, and their order."""

import itertools
from collections import Counter
from types import SimpleNamespace
from typing import cast

import pytest

from respid.ids.clock import Clock
from respid.net.connection import TURN_NS, TURN_REQUESTS
from respid.net.states import Next
from respid.resp import encoder, errors
from respid.worker.worker import Worker
from tests.support.byte_streams import request, requests
from tests.support.command_client import CommandClient
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, converse


@pytest.mark.parametrize("name", ["ping", "PING", "pInG"])
def test_command_ignores_case(client: CommandClient, name: str) -> None:
    assert client.tell(name) == encoder.PONG


@pytest.mark.parametrize("command", ["client id", "CLIENT ID", "Client iD"])
def test_subcommand_ignores_case(client: CommandClient, command: str) -> None:
    assert client.tell(command) == b":1\r\n"


def test_full_subcommand_name_is_unknown(client: CommandClient) -> None:
    assert client.tell("client|id") == b"-ERR unknown command 'client|id', with args beginning with: \r\n"


def test_unknown_command_is_quoted(client: CommandClient) -> None:
    assert client.tell("BOGUS a b") == b"-ERR unknown command 'BOGUS', with args beginning with: 'a' 'b' \r\n"


def test_checks_are_in_redis_order(unauthenticated_client: CommandClient) -> None:
    assert unauthenticated_client.tell("ECHO") == errors.wrong_arity("echo")
    assert unauthenticated_client.tell("BOGUS").startswith(b"-ERR unknown command")
    assert unauthenticated_client.tell("CLIENT BOGUS").startswith(b"-ERR unknown subcommand")
    assert unauthenticated_client.tell("ECHO x") == errors.NOT_AUTHENTICATED


@pytest.mark.parametrize(
    "command", ["INCR a", "ID.NEXT", "INFO", "COMMAND", "CLIENT ID", "MULTI", "CONFIG GET *", "GET a"]
)
def test_commands_need_authentication(unauthenticated_client: CommandClient, command: str) -> None:
    assert unauthenticated_client.tell(command) == errors.NOT_AUTHENTICATED
    assert unauthenticated_client.tell("RESET") == encoder.RESET
    assert unauthenticated_client.tell("AUTH secret; PING") == encoder.OK + encoder.PONG


def test_unauthenticated_client_draws_no_id(unauthenticated_client: CommandClient) -> None:
    unauthenticated_client.tell("INCR a; INCRBY a 5; ID.NEXT COUNT 10; ID.RANGE 3; MULTI; INCR a; EXEC")
    assert unauthenticated_client.connection.session.worker.generator.ids_issued == 0


@pytest.mark.parametrize("conversation", ["POST / HTTP/1.1; INCR a", "host: example.org; INCR a"])
def test_browser_gets_no_answer(client: CommandClient, conversation: str) -> None:
    assert client.tell(conversation) == b""
    assert client.needs() is Next.CLOSE
    assert client.connection.session.worker.generator.ids_issued == 0


def test_commands_are_counted_by_full_name(client: CommandClient) -> None:
    client.tell("ping; PING; CLIENT ID; BOGUS; ECHO; MULTI; INCR a; DISCARD; MULTI; INCR a; EXEC")
    counted = client.connection.session.worker.stats.commands
    assert counted == {"ping": 2, "client|id": 1, "multi": 2, "discard": 1, "incr": 1, "exec": 1}


@pytest.mark.parametrize("command", ["InCr a", "INCRBY a 2", "INCRBYFLOAT a 1", "ID.NEXT"])
def test_waiting_command_is_counted_once(client: CommandClient, clock: ScriptedClock, command: str) -> None:
    client.tell(f"INCRBY a 4096; ID.INFO; {command}")
    commands = client.connection.session.worker.stats.commands
    before = sum(commands.values())
    for _ in range(3):
        assert client.needs() is Next.WAIT
        client.connection.resume()
    clock.pass_ms(1)
    assert client.connection.resume()
    assert sum(commands.values()) == before + 1


def test_waiting_run_is_counted_in_part(client: CommandClient, clock: ScriptedClock) -> None:
    commands = client.connection.session.worker.stats.commands
    client.connection.receive(requests("INCR a") * 5_000)
    while client.needs() is Next.TURN:
        client.connection.resume()
    assert (commands["incr"], client.needs()) == (4096, Next.WAIT)
    clock.pass_ms(1)
    while client.needs() is not Next.READ:
        client.connection.resume()
    assert commands["incr"] == 5_000


def test_errors_are_counted_by_code(client: CommandClient) -> None:
    client.tell("BOGUS; ECHO; HELLO 4; AUTH a b; MULTI; BOGUS; EXEC")
    assert client.connection.session.worker.stats.errors == Counter(ERR=3, NOPROTO=1, WRONGPASS=1, EXECABORT=1)


def test_limits_are_lower_while_unauthenticated(unauthenticated_client: CommandClient) -> None:
    """After RESET, too."""
    many = request("PING", *["x"] * 10)
    assert unauthenticated_client.tell("AUTH secret") == encoder.OK
    assert converse(unauthenticated_client.connection, many).startswith(b"-ERR wrong number of arguments")
    unauthenticated_client.tell("RESET")
    assert converse(unauthenticated_client.connection, many) == (
        b"-ERR Protocol error: unauthenticated multibulk length\r\n"
    )


def test_protocol_errors_are_counted_by_limit(worker: Worker) -> None:
    closed = worker.stats.connections_closed
    before = closed.copy()
    for sent in (b"*x\r\n", b"*-x\r\n", b"*1\r\n$600000000\r\n", b"*1\r\n$500000000\r\n", b"*2000000000\r\n"):
        connection = connect(worker)
        assert connection.receive(sent).startswith(b"-ERR Protocol error: ")
        assert connection.next is Next.CLOSE
    assert closed - before == {"protocol_error": 3, "request_bytes": 1, "arguments": 1}


@pytest.mark.parametrize("before", ["", "MULTI; "])
def test_slow_requests_end_the_turn(worker: Worker, clock: ScriptedClock, before: str) -> None:
    ticks = itertools.count(clock.monotonic, TURN_NS // 10)
    worker.clock = cast("Clock", SimpleNamespace(monotonic_ns=lambda: next(ticks), wall_ms=clock.wall_ms))
    connection = connect(worker)
    output = connection.receive(requests(before + "ECHO a; " * 100 + "EXEC"))
    assert connection.next is Next.TURN
    assert 5 <= output.count(b"+") + output.count(b"$") <= 10
    while connection.next is Next.TURN:
        output += connection.resume()
    assert output.count(encoder.bulk_string(b"a")) == 100


@pytest.mark.parametrize("empty", [b"\r\n", b" \n", b"\0\r\n", b"*0\r\n", b"*-1\r\n"])
def test_empty_requests_use_up_the_turn(client: CommandClient, empty: bytes) -> None:
    connection = client.connection
    assert connection.receive(requests("CLIENT REPLY SKIP") + empty * (TURN_REQUESTS + 1)) == b""
    assert client.needs() is Next.TURN
    while client.needs() is Next.TURN:
        assert connection.resume() == b""
    assert client.tell("PING; PING") == encoder.PONG
