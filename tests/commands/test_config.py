"""CONFIG GET."""

import pytest

from tests.support.command_client import CommandClient
from tests.support.reply_parser import Reply


def as_dict(reply: Reply) -> dict[bytes | None, bytes | None]:
    return {name.text: value.text for name, value in zip(reply.elements[::2], reply.elements[1::2], strict=True)}


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ("save", {b"save": b""}),
        ("appendonly timeout", {b"appendonly": b"no", b"timeout": b"0"}),
        ("DATABASES", {b"DATABASES": b"16"}),
        ("*-read-only", {b"replica-read-only": b"yes", b"slave-read-only": b"yes"}),
        ("slowlog-max-len maxmemory-policy", {b"slowlog-max-len": b"0", b"maxmemory-policy": b"noeviction"}),
        ("bogus", {}),
        ("x" * 1_000 + "*", {}),
    ],
)
def test_config_get_returns_settings(
    client: CommandClient, parameters: str, found: dict[bytes | None, bytes | None]
) -> None:
    (resp2,) = client.ask(f"CONFIG GET {parameters}")
    assert (resp2.type, as_dict(resp2)) == ("*", found)
    client.tell("HELLO 3")
    (resp3,) = client.ask(f"CONFIG GET {parameters}")
    assert (resp3.type, as_dict(resp3)) == ("%", found)


def test_password_is_never_shown(unauthenticated_client: CommandClient) -> None:
    unauthenticated_client.tell("AUTH secret")
    assert b"secret" not in unauthenticated_client.tell(
        "CONFIG GET *; INFO; ID.INFO; CLIENT LIST; CONFIG GET requirepass"
    )


def test_config_get_limits_patterns(client: CommandClient) -> None:
    names = " ".join(["save"] * 1000)
    assert client.tell(f"CONFIG GET {names}") == client.tell("CONFIG GET save")
    assert client.tell("CONFIG GET " + "sav[e] " * 15 + "sav?") == client.tell("CONFIG GET save")
    assert client.tell("CONFIG GET " + "* " * 16 + "*") == b"-ERR CONFIG GET accepts at most 16 patterns\r\n"
