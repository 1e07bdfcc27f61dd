"""CLIENT TRACKING and what belongs to it. That the replies are those of Redis, `conformance` shows."""

from tests.support.command_client import CommandClient


def test_trackinginfo_shows_modes_and_prefixes(client: CommandClient) -> None:
    client.tell("CLIENT TRACKING ON BCAST NOLOOP PREFIX b PREFIX a")
    (info,) = client.ask("CLIENT TRACKINGINFO")
    flags, redirect, prefixes = info.elements[1::2]
    assert [flag.text for flag in flags.elements] == [b"on", b"bcast", b"noloop"]
    assert redirect.text == b"0"
    assert [prefix.text for prefix in prefixes.elements] == [b"a", b"b"]


def test_trackinginfo_flags_are_a_set_in_resp3(client: CommandClient) -> None:
    client.tell("HELLO 3")
    (info,) = client.ask("CLIENT TRACKINGINFO")
    assert (info.type, info.elements[1].type) == ("%", "~")


def test_redirect_needs_a_connected_client(client: CommandClient) -> None:
    identifier = client.integers("CLIENT ID; CLIENT ID")[0]
    assert client.tell(f"CLIENT TRACKING ON REDIRECT {identifier}") == b"+OK\r\n"
    assert client.integers("CLIENT GETREDIR; CLIENT GETREDIR")[0] == identifier
    assert b"does not exist" in client.tell(f"CLIENT TRACKING ON REDIRECT {identifier + 1}")


def test_reset_turns_tracking_off(client: CommandClient) -> None:
    client.tell("CLIENT TRACKING ON; RESET")
    assert client.integers("CLIENT GETREDIR; CLIENT GETREDIR")[0] == -1


def test_choice_of_caching_ends_with_a_run(client: CommandClient) -> None:
    """Requests that are answered as a run do not pass the dispatcher."""
    draws = "; ".join(["INCR k"] * 10)
    client.tell(f"{draws}; CLIENT TRACKING ON OPTIN; CLIENT CACHING YES")
    assert b"caching-yes" in client.tell("CLIENT TRACKINGINFO")
    client.tell(draws)
    assert b"caching-yes" not in client.tell("CLIENT GETNAME; CLIENT TRACKINGINFO")
