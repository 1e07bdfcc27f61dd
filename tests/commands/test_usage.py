"""The syntax of commands, and what is derived from it."""

import pytest

from respid.commands import COMMANDS
from respid.commands.table import Command
from respid.commands.usage import Argument, Usage


@pytest.mark.parametrize(
    ("text", "arity"),
    [
        ("TIME", 1),
        ("ECHO message", 2),
        ("PING [message]", -1),
        ("INCRBY key increment", 3),
        ("EXISTS key [key ...]", -2),
        ("QUIT [ignored ...]", -1),
        ("AUTH [username] password", -2),
        ("SET key value [NX | XX] [EX seconds | PX milliseconds]", -3),
        ("HELLO [protover [AUTH username password] [SETNAME clientname]]", -1),
        ("REPLY ON | OFF | SKIP", 2),
        ("X COUNT n", 3),
        ("X [COUNT n]", -1),
        ("X key value [key value ...]", -3),
        ("X NAME a | VERSION b", 3),
        ("X [TYPE ONE | TWO] key", -2),
        ("X key FIELDS n field [field ...]", -5),
    ],
)
def test_arity_of_command(text: str, arity: int) -> None:
    assert Usage.parse(text).arity == arity


@pytest.mark.parametrize(
    ("text", "words", "arity"),
    [("CLIENT ID", 2, 2), ("CLIENT SETINFO attribute value", 2, 4), ("COMMAND INFO [name [name ...]]", 2, -2)],
)
def test_arity_of_subcommand(text: str, words: int, arity: int) -> None:
    assert Usage.parse(text, words=words).arity == arity


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("PING [message]", (0, 0, 0)),
        ("INCR key", (1, 1, 1)),
        ("HINCRBY key field increment", (1, 1, 1)),
        ("WATCH key [key ...]", (1, -1, 1)),
        ("X value key", (2, 2, 1)),
        ("X key value [key value ...]", (1, -1, 2)),
        ("X key FIELDS n field [field ...]", (1, 1, 1)),
    ],
)
def test_key_positions(text: str, keys: tuple[int, int, int]) -> None:
    assert Usage.parse(text).keys == keys


def test_usage_is_parsed_to_arguments() -> None:
    usage = Usage.parse("X key [key ...] [NX | XX] [EX seconds | KEEPTTL] [AUTH username password] [GET]")
    assert usage.arguments == (
        Argument("key", "key", multiple=True),
        Argument(
            "condition",
            "oneof",
            optional=True,
            parts=(Argument("nx", "pure-token", "NX"), Argument("xx", "pure-token", "XX")),
        ),
        Argument(
            "seconds-or-keepttl",
            "oneof",
            optional=True,
            parts=(Argument("seconds", "integer", "EX"), Argument("keepttl", "pure-token", "KEEPTTL")),
        ),
        Argument(
            "auth",
            "block",
            "AUTH",
            optional=True,
            parts=(Argument("username", "string"), Argument("password", "string")),
        ),
        Argument("get", "pure-token", "GET", optional=True),
    )


def test_argument_is_documented() -> None:
    (key, count) = Usage.parse("X key [COUNT n]").arguments
    assert key.document() == {"name": "key", "type": "key", "display_text": "key", "key_spec_index": 0}
    assert count.document() == {
        "name": "n",
        "type": "integer",
        "display_text": "n",
        "token": "COUNT",
        "flags": frozenset({"optional"}),
    }


def test_unclosed_bracket_is_refused() -> None:
    with pytest.raises(ValueError, match="bracket"):
        Usage.parse("X [a")


ALL = [each for command in COMMANDS.values() for each in (command, *command.subcommands.values())]


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_command_is_named_as_in_usage(command: Command) -> None:
    words = command.usage.text.split()[: command.usage.words]
    assert command.name == "|".join(words).lower()
    assert [word for word in words if not word.isupper()] == []
    assert command.summary.endswith(".")
    assert abs(command.arity) >= command.usage.words
