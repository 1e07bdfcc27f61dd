"""TIME, ROLE, DBSIZE, and the commands that have nothing to report."""

import pytest

from respid.resp import errors
from tests.support.command_client import CommandClient
from tests.support.scripted_clock import ScriptedClock


def test_time_is_wall_clock(client: CommandClient, clock: ScriptedClock) -> None:
    clock.wall = 1_700_000_000_123
    assert client.tell("TIME") == b"*2\r\n$10\r\n1700000000\r\n$6\r\n123000\r\n"


def test_empty_replies(client: CommandClient) -> None:
    assert client.tell("DBSIZE; SLOWLOG LEN; SLOWLOG GET; SLOWLOG RESET") == b":0\r\n:0\r\n*0\r\n+OK\r\n"
    assert client.tell("ROLE") == b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
    assert client.tell("CLUSTER SLOTS; CLUSTER HELP; READONLY") == errors.CLUSTER_DISABLED * 3


@pytest.mark.parametrize("container", ["CLIENT", "CONFIG", "COMMAND", "SLOWLOG", "LATENCY"])
def test_help_lists_subcommands(client: CommandClient, container: str) -> None:
    (help_,) = client.ask(f"{container} HELP")
    assert {line.type for line in help_.elements} == {"+"}
    lines = [(line.text or b"").decode() for line in help_.elements]
    assert lines[0].startswith(f"{container} <subcommand>")
    assert lines[-2:] == ["HELP", "    Returns this help."]
