"""INFO, CONFIG GET, TIME and other commands about the server."""

import pytest

from respid.resp import encoder, errors
from tests.support.command_client import CommandClient
from tests.support.reply_parser import Reply
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import RUN_ID


def information(client: CommandClient, sections: str = "") -> dict[str, str]:
    """The fields of INFO."""
    (reply,) = client.ask(f"INFO {sections}".strip())
    return dict(line.split(":", 1) for line in (reply.text or b"").decode().split("\r\n") if ":" in line)


def as_dict(reply: Reply) -> dict[bytes | None, bytes | None]:
    return {name.text: value.text for name, value in zip(reply.elements[::2], reply.elements[1::2], strict=True)}


def test_info_has_expected_fields(client: CommandClient, clock: ScriptedClock) -> None:
    client.tell("INCR a; PING")
    clock.pass_ms(90_000_000)
    found = information(client)
    expected = {
        "redis_mode": "standalone",
        "role": "master",
        "tcp_port": "6379",
        "run_id": RUN_ID,
        "uptime_in_seconds": "90000",
        "uptime_in_days": "1",
        "connected_clients": "1",
        "used_memory": "50000000",
        "cluster_enabled": "0",
        "total_commands_processed": "3",
        "worker_id": "1",
        "ids_issued": "1",
        "layout": "41/10/12",
    }
    assert expected.items() <= found.items()


def test_info_filters_sections(client: CommandClient) -> None:
    assert information(client, "replication") == {"role": "master", "connected_slaves": "0"}
    assert information(client, "CLUSTER Replication").keys() == {"role", "connected_slaves", "cluster_enabled"}
    assert information(client, "bogus") == {}
    assert information(client).keys() == information(client, "all").keys() == information(client, "everything").keys()


def test_info_text_format(client: CommandClient) -> None:
    text = "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n"
    assert client.tell("INFO cluster replication") == encoder.bulk_string(text.encode())
    client.tell("HELLO 3")
    assert client.tell("INFO cluster replication") == encoder.text_string(text, 3)


def test_info_reports_loading(client: CommandClient, clock: ScriptedClock) -> None:
    assert information(client, "persistence") == {"loading": "0"}
    clock.pass_ms(100_000)
    assert information(client, "persistence") == {"loading": "1", "loading_eta_seconds": "1"}


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ("save", {b"save": b""}),
        ("appendonly timeout", {b"appendonly": b"no", b"timeout": b"0"}),
        ("DATABASES", {b"DATABASES": b"16"}),
        ("*-read-only", {b"replica-read-only": b"yes", b"slave-read-only": b"yes"}),
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
    assert "HELP" in lines


def test_config_get_limits_patterns(client: CommandClient) -> None:
    names = " ".join(["save"] * 1000)
    assert client.tell(f"CONFIG GET {names}") == client.tell("CONFIG GET save")
    assert client.tell("CONFIG GET " + "sav[e] " * 15 + "sav?") == client.tell("CONFIG GET save")
    assert client.tell("CONFIG GET " + "* " * 16 + "*") == b"-ERR CONFIG GET accepts at most 16 patterns\r\n"
