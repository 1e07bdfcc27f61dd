"""Connections that may be closed to make room, and which of them is closed first. Never touches a socket."""

import ipaddress
from collections.abc import Iterator
from typing import Generic, TypeVar

IPV6_NETWORK_BYTES = 8  # one customer has at least this network (/64), with any number of addresses
_Member = TypeVar("_Member")


class Crowd(Generic[_Member]):
    """Connections by peer, in the order in which they came. Adding, removing and choosing take constant time."""

    def __init__(self) -> None:
        self._addresses: dict[_Member, str] = {}
        self._by_peer: dict[str, dict[_Member, None]] = {}
        self._peers_by_size: dict[int, dict[str, None]] = {}  # peers by the number of their connections
        self._most = 0  # connections of one peer

    def __len__(self) -> int:
        return len(self._addresses)

    def __iter__(self) -> Iterator[_Member]:
        return iter(list(self._addresses))

    def add(self, member: _Member, address: str) -> None:
        """Takes an address of the form HOST:PORT; a peer is a host."""
        peer = peer_of(address)
        members = self._by_peer.setdefault(peer, {})
        self._addresses[member] = address
        members[member] = None
        self._resize(peer, len(members) - 1, len(members))

    def discard(self, member: _Member) -> None:
        """Does nothing for a connection that is not in the crowd."""
        address = self._addresses.pop(member, None)
        if address is None:
            return
        peer = peer_of(address)
        members = self._by_peer[peer]
        del members[member]
        if not members:
            del self._by_peer[peer]
        self._resize(peer, len(members) + 1, len(members))

    def _resize(self, peer: str, before: int, after: int) -> None:
        """Notes that a peer has one connection more or less."""
        if before:
            del self._peers_by_size[before][peer]
        if after:
            self._peers_by_size.setdefault(after, {})[peer] = None
        if after > self._most or not self._peers_by_size[self._most]:
            self._most = after

    def touch(self, member: _Member) -> None:
        """Makes it the last one, because it has made progress."""
        address = self._addresses.get(member)
        if address is not None:
            self.discard(member)
            self.add(member, address)

    def address(self, member: _Member) -> str:
        return self._addresses[member]

    def oldest(self) -> _Member | None:
        """Returns the one that came first; None if there is none."""
        return next(iter(self._addresses), None)

    def longest_waiting(self) -> _Member:
        """Returns the one that came first, of the peer that has most: a peer with few connections keeps them."""
        peer = next(iter(self._peers_by_size[self._most]))
        return next(iter(self._by_peer[peer]))


def peer_of(address: str) -> str:
    """Returns the host of an address of the form HOST:PORT, or the network of an IPv6 host."""
    host = address.rpartition(":")[0]
    if ":" not in host:
        return host
    try:
        parsed = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else parsed.packed[:IPV6_NETWORK_BYTES].hex()
