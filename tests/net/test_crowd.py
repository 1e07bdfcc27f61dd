"""Which connection makes room for a newcomer."""

import random
from collections import Counter

from respid.net.crowd import Crowd, peer_of


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


def test_peer_with_most_is_always_known() -> None:
    """Against a plain count, while connections come and go."""
    chance, members, there = random.Random(7), Crowd[str](), list[str]()
    for number in range(2_000):
        if there and chance.random() < 0.5:
            members.discard(there.pop(chance.randrange(len(there))))
        else:
            there.append(f"{chance.choice('abcdef')}:{number}")
            members.add(there[-1], there[-1])
        if there:
            most = Counter(map(peer_of, there)).most_common(1)[0][1]
            chosen = members.longest_waiting()
            of_its_peer = [each for each in there if peer_of(each) == peer_of(chosen)]
            assert (len(of_its_peer), of_its_peer[0]) == (most, chosen)
            assert members.oldest() == there[0]


def test_ipv6_network_is_one_peer() -> None:
    members = crowd("10.0.0.1:1", "2001:db8:1:2::1:7", "2001:db8:1:2:ffff::2:8", "2001:db8:1:3::1:7")
    assert members.longest_waiting() == "2001:db8:1:2::1:7"
    assert peer_of("::ffff:10.0.0.1:80") == "10.0.0.1"
    assert peer_of("fe80::1%eth0:80") == peer_of("fe80::2%eth0:80")
    assert peer_of("unix:0") == "unix"


def test_unknown_members_change_nothing() -> None:
    members = crowd("a:1")
    members.discard("a:2")
    members.touch("a:2")
    assert list(members) == ["a:1"]
    members.discard("a:1")
    assert not members
