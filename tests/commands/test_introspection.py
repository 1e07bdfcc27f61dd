"""COMMAND and its subcommands. The conformance tests compare their contents with Redis."""

import pytest

from respid.commands import COMMANDS
from respid.resp import errors
from tests.support.command_client import CommandClient
from tests.support.reply_parser import Reply


def texts(reply: Reply) -> list[bytes | None]:
    return [element.text for element in reply.elements]


def test_subcommands_agree_on_commands(client: CommandClient) -> None:
    listed, described, described_again = client.ask("COMMAND LIST; COMMAND; COMMAND INFO")
    assert client.integers("COMMAND COUNT") == [len(COMMANDS)]
    containers = [name for name in texts(listed) if name is not None and b"|" not in name]
    assert set(containers) == {name.lower() for name in COMMANDS}
    assert [command.elements[0].text for command in described.elements] == containers
    assert described == described_again


def test_command_info_has_ten_elements(client: CommandClient) -> None:
    (reply,) = client.ask("COMMAND INFO INCRBY bogus client|ID")
    incrby, unknown, client_id = reply.elements
    assert len(incrby.elements) == 10
    assert [element.text for element in incrby.elements[:2]] == [b"incrby", b"3"]
    assert (unknown.type, unknown.text) == ("$", None)
    assert client_id.elements[0].text == b"client|id"


def test_internal_flags_are_hidden(client: CommandClient) -> None:
    (reply,) = client.ask("COMMAND INFO incr multi ttl")
    for command in reply.elements:
        assert not {b"draws", b"immediate", b"constant"} & set(texts(command.elements[2]))


def test_command_docs_is_a_map(client: CommandClient) -> None:
    client.tell("HELLO 3")
    (docs,) = client.ask("COMMAND DOCS id.next CLIENT bogus")
    assert docs.type == "%"
    assert texts(docs)[::2] == [b"id.next", b"client"]
    id_next, client_ = docs.elements[1::2]
    assert texts(id_next)[::2] == [b"summary", b"since", b"group", b"arguments"]
    assert texts(client_)[::2] == [b"summary", b"since", b"group", b"subcommands"]


@pytest.mark.parametrize(
    ("conversation", "keys"),
    [
        ("COMMAND GETKEYS INCR a", [b"a"]),
        ("COMMAND GETKEYS exists a b c", [b"a", b"b", b"c"]),
        ("COMMAND GETKEYS SET a b NX", [b"a"]),
    ],
)
def test_getkeys_finds_keys(client: CommandClient, conversation: str, keys: list[bytes]) -> None:
    (reply,) = client.ask(conversation)
    assert texts(reply) == keys


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("BOGUS a", "ERR Invalid command specified"),
        ("CLIENT BOGUS", "ERR Invalid command specified"),
        ("PING a", "ERR The command has no key arguments"),
        ("INCR a b", "ERR Invalid number of arguments specified for command"),
    ],
)
def test_getkeys_explains_errors(client: CommandClient, arguments: str, error: str) -> None:
    assert client.tell(f"COMMAND GETKEYS {arguments}") == errors.error(error)
