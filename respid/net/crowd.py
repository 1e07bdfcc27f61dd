"""Connections that have not got anywhere yet, and which of them makes room for a newcomer. Never touches a socket."""

from collections.abc import Iterator
from typing import Generic, TypeVar

_Member = TypeVar("_Member")


class Crowd(Generic[_Member]):
    """Connections by peer, in the order in which they came."""

    def __init__(self) -> None:
        self._addresses: dict[_Member, str] = {}
        self._by_peer: dict[str, dict[_Member, None]] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def __iter__(self) -> Iterator[_Member]:
        return iter(list(self._addresses))

    def add(self, member: _Member, address: str) -> None:
        """Takes an address of the form HOST:PORT; a peer is a host."""
        self._addresses[member] = address
        self._by_peer.setdefault(_peer(address), {})[member] = None

    def discard(self, member: _Member) -> None:
        """Does nothing for a connection that is not in the crowd."""
        address = self._addresses.pop(member, None)
        if address is None:
            return
        members = self._by_peer[_peer(address)]
        del members[member]
        if not members:
            del self._by_peer[_peer(address)]

    def touch(self, member: _Member) -> None:
        """Makes it the last one: it has just got somewhere."""
        address = self._addresses.get(member)
        if address is not None:
            self.discard(member)
            self.add(member, address)

    def address(self, member: _Member) -> str:
        return self._addresses[member]

    def longest_waiting(self) -> _Member:
        """Returns the one that came first, of the peer that has most: a peer with few connections keeps them."""
        most = max(self._by_peer.values(), key=len)
        return next(iter(most))


def _peer(address: str) -> str:
    return address.rpartition(":")[0]
