"""HELLO and AUTH."""

import pytest

from respid.resp import encoder, errors
from tests.support.command_client import CommandClient


def test_hello_switches_version(client: CommandClient) -> None:
    (hello, null) = client.ask("HELLO 3; GET a")
    assert (hello.type, null.type) == ("%", "_")
    (hello, null) = client.ask("HELLO 2; GET a")
    assert (hello.type, null.type) == ("*", "$")


def test_hello_describes_server(client: CommandClient) -> None:
    (hello,) = client.ask("HELLO 3")
    names = [name.text for name in hello.elements[::2]]
    assert names == [b"server", b"version", b"proto", b"id", b"mode", b"role", b"modules"]
    values = [value.text for value in hello.elements[1::2]]
    assert [*values[:1], *values[2:6]] == [b"redis", b"3", b"1", b"standalone", b"master"]


def test_failed_hello_changes_nothing(client: CommandClient) -> None:
    for failing in ("HELLO 4", "HELLO 3 AUTH nobody x", "HELLO 3 SETNAME me BOGUS", "HELLO 3 SETNAME"):
        assert client.tell(failing).startswith(b"-")
        assert client.tell("GET a; CLIENT GETNAME") == b"$-1\r\n$-1\r\n"


def test_hello_sets_user_and_name(unauthenticated_client: CommandClient) -> None:
    assert unauthenticated_client.tell("HELLO 3") == errors.HELLO_NOT_AUTHENTICATED
    assert unauthenticated_client.tell("HELLO 3 AUTH default secret SETNAME me").startswith(b"%7\r\n")
    assert unauthenticated_client.tell("CLIENT GETNAME") == b"$2\r\nme\r\n"


@pytest.mark.parametrize(
    "attempt", ["AUTH wrong", "AUTH default wrong", "AUTH nobody secret", "AUTH ''", "AUTH secret2"]
)
def test_wrong_password_is_refused(unauthenticated_client: CommandClient, attempt: str) -> None:
    for _ in range(3):
        assert unauthenticated_client.tell(attempt) == errors.WRONG_PASSWORD
    assert unauthenticated_client.tell("PING") == errors.NOT_AUTHENTICATED


def test_wrong_password_keeps_authentication(unauthenticated_client: CommandClient) -> None:
    assert (
        unauthenticated_client.tell("AUTH secret; AUTH wrong; PING")
        == encoder.OK + errors.WRONG_PASSWORD + encoder.PONG
    )


def test_auth_without_configured_password(client: CommandClient) -> None:
    assert client.tell("AUTH x") == errors.NO_PASSWORD_SET
    assert client.tell("AUTH default x") == encoder.OK
    assert client.tell("HELLO 3 AUTH default x").startswith(b"%7\r\n")
