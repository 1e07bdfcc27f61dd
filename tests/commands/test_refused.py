"""Commands of Redis that respid refuses: with advice, after authentication, and never halfway through a transaction."""

import pytest

from respid.commands import REFUSED
from respid.resp import errors
from tests.support.command_client import CommandClient


@pytest.mark.parametrize(
    ("conversation", "advice"),
    [
        ("EVALSHA abc 0", b"it runs no scripts or functions. Send INCR or ID.NEXT instead"),
        ("decr k", b"IDs only go up. Use INCR"),
        ("DEL k", b"IDs never start over"),
        ("LPUSH k v", b"it stores no values"),
        ("SUBSCRIBE news", b"it has no Pub/Sub"),
        ("CONFIG SET maxmemory 1", b"does not support CONFIG SET: settings are the options of respid serve"),
        ("shutdown", b"Send SIGTERM to its process"),
        ("BGSAVE", b"it has no data to save"),
        ("MODULE LOAD x", b"it has no modules. Use a Redis server"),
        ("CLIENT KILL ID 3", b"Set --idle-timeout or --max-connection-age"),
        ("MEMORY USAGE k", b"Use INFO, CLIENT LIST, the log, and the metrics"),
    ],
)
def test_refusal_names_the_command_and_advice(client: CommandClient, conversation: str, advice: bytes) -> None:
    error = client.tell(conversation)
    assert error.startswith(b"-ERR respid does not support ")
    assert advice in error


def test_container_refuses_its_subcommands(client: CommandClient) -> None:
    assert client.tell("SCRIPT LOAD x; XGROUP CREATE a b c; FUNCTION") == (
        REFUSED[b"SCRIPT"] + REFUSED[b"XGROUP"] + REFUSED[b"FUNCTION"]
    )


def test_refused_command_draws_no_id_in_multi(client: CommandClient) -> None:
    before = client.integers("INCR k; INCR k")[-1]
    replies = client.tell("MULTI; INCR k; DEL k; INCR k; EXEC")
    assert replies == b"+OK\r\n+QUEUED\r\n" + REFUSED[b"DEL"] + b"+QUEUED\r\n" + errors.EXEC_ABORTED
    assert client.integers("INCR k; INCR k")[0] == before + 1


def test_expire_keeps_a_transaction_whole(client: CommandClient) -> None:
    *_, executed = client.ask("MULTI; INCR k; EXPIRE k 60; TTL k; SETNX k 0; EXEC")
    assert [element.text for element in executed.elements[1:]] == [b"0", b"-1", b"0"]


def test_plain_set_in_multi_fails_alone(client: CommandClient) -> None:
    *_, executed = client.ask("MULTI; INCR k; SET k 5; EXEC")
    assert [element.type for element in executed.elements] == [":", "-"]
