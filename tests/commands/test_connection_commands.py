"""HELLO, AUTH, RESET, CLIENT and other commands about the connection."""

import pytest

from respid.commands.names import MAX_NAME_BYTES
from respid.net.states import Next
from respid.resp import encoder, errors
from tests.support.command_client import CommandClient
from tests.support.scripted_clock import ScriptedClock


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


def test_reset_restores_initial_state(unauthenticated_client: CommandClient) -> None:
    unauthenticated_client.tell("AUTH secret; HELLO 3 SETNAME me; SELECT 5; CLIENT REPLY OFF; MULTI")
    assert unauthenticated_client.tell("RESET; PING") == encoder.RESET + errors.NOT_AUTHENTICATED
    assert (
        unauthenticated_client.tell("AUTH secret; CLIENT GETNAME; EXEC")
        == encoder.OK + b"$-1\r\n" + errors.EXEC_WITHOUT_MULTI
    )
    assert unauthenticated_client.connection.session.database == 0


@pytest.mark.parametrize("conversation", ["QUIT; PING", "MULTI; QUIT; EXEC", "QUIT whatever; PING"])
def test_quit_ends_replies(client: CommandClient, conversation: str) -> None:
    assert client.tell(conversation).count(encoder.OK) == conversation.count("QUIT") + conversation.count("MULTI")
    assert client.needs() is Next.CLOSE


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


@pytest.mark.parametrize(
    ("options", "reply"),
    [
        ("ON", encoder.OK),
        ("on optin noloop", encoder.OK),
        ("ON BCAST PREFIX a PREFIX b", encoder.OK),
        ("ON REDIRECT 5", encoder.OK),
        ("OFF", encoder.OK),
        ("MAYBE", errors.SYNTAX),
        ("ON BOGUS", errors.SYNTAX),
        ("OFF BOGUS", errors.SYNTAX),
        ("ON REDIRECT", errors.SYNTAX),
        ("ON PREFIX a", errors.TRACKING_PREFIX_WITHOUT_BCAST),
        ("ON BCAST OPTIN", errors.TRACKING_OPT_WITH_BCAST),
        ("ON OPTIN OPTOUT", errors.TRACKING_OPTIN_AND_OPTOUT),
    ],
)
def test_client_tracking_options(client: CommandClient, options: str, reply: bytes) -> None:
    assert client.tell(f"CLIENT TRACKING {options}") == reply
