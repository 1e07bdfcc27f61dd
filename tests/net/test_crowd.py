"""Which connection makes room for a newcomer."""

from respid.net.crowd import Crowd


def crowd(*addresses: str) -> Crowd[str]:
    """Connections from these addresses, which are their names."""
    members: Crowd[str] = Crowd()
    for address in addresses:
        members.add(address, address)
    return members


def test_longest_waiting_comes_first() -> None:
    members = crowd("a:1", "a:2", "a:3")
    assert members.longest_waiting() == "a:1"
    members.touch("a:1")
    assert members.longest_waiting() == "a:2"
    members.discard("a:2")
    assert (len(members), list(members)) == (2, ["a:3", "a:1"])


def test_peer_with_most_makes_room() -> None:
    members = crowd("few:1", "[::1]:7", "[::1]:8")
    assert members.longest_waiting() == "[::1]:7"
    members.discard("[::1]:7")
    assert members.longest_waiting() == "few:1"


def test_unknown_members_change_nothing() -> None:
    members = crowd("a:1")
    members.discard("a:2")
    members.touch("a:2")
    assert list(members) == ["a:1"]
    members.discard("a:1")
    assert not members
