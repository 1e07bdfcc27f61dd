"""CLIENT MAINT_NOTIFICATIONS. That drivers follow what it turns on, `tests/clients` shows."""

import pytest

from respid.net.drivers import can_be_asked
from tests.support.command_client import CommandClient

OK = b"+OK\r\n"
SYNTAX = b"-ERR syntax error\r\n"
ON = "CLIENT MAINT_NOTIFICATIONS ON"


def in_resp3(client: CommandClient) -> CommandClient:
    client.tell("HELLO 3")
    return client


@pytest.mark.parametrize(
    "sent",
    [
        ON,
        "client maint_notifications on",
        f"{ON} moving-endpoint-type none",
        f"{ON} MOVING-ENDPOINT-TYPE External-FQDN",
        f"{ON} parameter value moving-endpoint-type internal-ip",
        "CLIENT MAINT_NOTIFICATIONS OFF",
    ],
)
def test_drivers_forms_are_accepted(client: CommandClient, sent: str) -> None:
    assert in_resp3(client).tell(sent) == OK


@pytest.mark.parametrize("sent", [f"{ON} none", f"{ON} moving-endpoint-type here", "CLIENT MAINT_NOTIFICATIONS MAYBE"])
def test_other_forms_are_refused(client: CommandClient, sent: str) -> None:
    assert in_resp3(client).tell(sent) == SYNTAX
    assert client.connection.session.moving_endpoint_type is None


def test_resp2_client_cannot_be_asked(client: CommandClient) -> None:
    assert client.tell(ON).startswith(b"-ERR CLIENT MAINT_NOTIFICATIONS needs RESP3")


def test_unauthenticated_client_is_refused(unauthenticated_client: CommandClient) -> None:
    assert unauthenticated_client.tell(ON).startswith(b"-NOAUTH")


def test_client_of_a_unix_socket_is_not_asked(client: CommandClient) -> None:
    in_resp3(client).tell(f"{ON} moving-endpoint-type none")
    client.connection.session.address = "unix:0"
    assert not can_be_asked(client.connection.session)


@pytest.mark.parametrize("ending", ["CLIENT MAINT_NOTIFICATIONS OFF", "RESET", "HELLO 2"])
def test_client_is_no_longer_asked(client: CommandClient, ending: str) -> None:
    in_resp3(client).tell(f"{ON} moving-endpoint-type none")
    assert can_be_asked(client.connection.session)
    client.tell(ending)
    assert not can_be_asked(client.connection.session)


@pytest.mark.parametrize(
    ("name", "version", "endpoint_type", "asked"),
    [
        ("redis-py", "8.1.0", "internal-ip", True),
        ("redis-py(django-redis_v7.0)", "8.1.0", "external-fqdn", True),
        ("redis-py", "9.0.0", "internal-ip", False),
        ("go-redis(,go1.26.8)", "9.23.0", "external-ip", True),
        ("Lettuce", "7.7.0", "external-ip", False),
        ("node-redis", "6.3.1", "external-ip", False),
        ("node-redis", "6.3.1", "none", True),
        ("jedis", "8.1.0", "external-ip", False),
        ("ioredis", "6.1.0", "internal-ip", False),
        ("", "", "external-ip", False),
        ("", "", "none", True),
    ],
)
def test_only_drivers_that_follow_are_asked(
    client: CommandClient, name: str, version: str, endpoint_type: str, *, asked: bool
) -> None:
    session = client.connection.session
    session.library_name, session.library_version = name.encode(), version.encode()
    assert not can_be_asked(session)
    assert in_resp3(client).tell(f"{ON} moving-endpoint-type {endpoint_type}") == OK
    assert can_be_asked(session) == asked
