"""The lines of CLIENT LIST. Making one for each of many clients takes so long that it is not done for every request."""

from collections.abc import Mapping
from typing import Protocol

FEW_CLIENTS = 100  # for which all lines are made anew
LEAST_AGE_NS = 100_000_000
AGE_NS_PER_CLIENT = 100_000  # a line takes 5 us, so all of them at most a twentieth of the time


class Client(Protocol):
    """A connected client, as the worker sees it."""

    def describe(self) -> str:
        """Returns the client's line of CLIENT LIST."""
        ...


class ClientList:
    """The lines of all clients. With many clients, those of others may be a tenth of a second old, or a second."""

    __slots__ = ("_clients", "_made_ns", "_places", "_text")

    def __init__(self, clients: Mapping[int, Client]) -> None:
        self._clients = clients
        self._made_ns = 0
        self._text = b""  # the lines of all clients
        self._places: dict[int, tuple[int, int]] = {}  # where each one's line begins and ends

    def pieces(self, identifier: int, now_ns: int) -> list[bytes | memoryview]:
        """Returns all lines, in pieces; that of the client which asks is always made anew."""
        clients = self._clients
        if len(clients) <= FEW_CLIENTS:
            return ["".join([client.describe() for client in clients.values()]).encode()]
        if not self._text or now_ns - self._made_ns >= max(LEAST_AGE_NS, len(clients) * AGE_NS_PER_CLIENT):
            self._made_ns = now_ns
            self._make()
        begin, end = self._places.get(identifier, (len(self._text), len(self._text)))
        lines = memoryview(self._text)
        return [lines[:begin], clients[identifier].describe().encode(), lines[end:]]

    def _make(self) -> None:
        lines = [client.describe().encode() for client in self._clients.values()]
        end = 0
        self._places = {}
        for identifier, line in zip(self._clients, lines, strict=True):
            self._places[identifier] = (end, end := end + len(line))
        self._text = b"".join(lines)
