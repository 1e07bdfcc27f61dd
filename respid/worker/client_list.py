"""The lines of CLIENT LIST. Making one for each of many clients takes so long that it is not done for every request."""

from collections.abc import Mapping
from typing import Protocol

FEW_CLIENTS = 100  # for which all lines are made anew
MAX_AGE_NS = 100_000_000


class Client(Protocol):
    """A connected client, as the worker sees it."""

    def describe(self) -> str:
        """Returns the client's line of CLIENT LIST."""
        ...


class ClientList:
    """The lines of all clients. With many clients, those of others may be a tenth of a second old."""

    __slots__ = ("_clients", "_lines", "_made_ns")

    def __init__(self, clients: Mapping[int, Client]) -> None:
        self._clients = clients
        self._lines: dict[int, str] = {}
        self._made_ns = -MAX_AGE_NS

    def text(self, identifier: int, now_ns: int) -> str:
        """Returns all lines; that of the client which asks is always made anew."""
        if len(self._clients) <= FEW_CLIENTS:
            self._lines = {}
            return "".join([client.describe() for client in self._clients.values()])
        if not self._lines or now_ns - self._made_ns >= MAX_AGE_NS:
            self._made_ns = now_ns
            self._lines = {number: client.describe() for number, client in self._clients.items()}
        self._lines[identifier] = self._clients[identifier].describe()
        return "".join(self._lines.values())
