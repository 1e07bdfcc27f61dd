"""The lines of CLIENT LIST. Making one for each of many clients takes so long that it is not done for every request."""

from collections.abc import Mapping
from typing import Protocol

FEW_CLIENTS = 100  # for which all lines are made anew
LEAST_AGE_NS = 100_000_000
AGE_NS_PER_CLIENT = 100_000  # a line takes 5 us, so all of them at most a twentieth of the time
SLICE = 50  # lines made at once; with ten thousand clients, all of them take 0.1 s


class Client(Protocol):
    """A connected client, as the worker sees it."""

    def describe(self) -> str:
        """Returns the client's line of CLIENT LIST."""
        ...


class ClientList:
    """The lines of all clients. With many clients, those of others may be a tenth of a second old, or a second.

    Requests share the work: each one makes some more lines until all are there.
    """

    __slots__ = ("_begun_ns", "_clients", "_lines", "_made_ns", "_missing", "_places", "_text")

    def __init__(self, clients: Mapping[int, Client]) -> None:
        self._clients = clients
        self._made_ns = 0
        self._text = b""  # the lines of all clients
        self._places: dict[int, tuple[int, int]] = {}  # where each one's line begins and ends
        self._begun_ns = 0  # when the next lines were begun
        self._lines: dict[int, bytes] = {}
        self._missing: list[int] = []  # the clients whose lines are not made yet, the last one first

    def make_some(self, asked_ns: int) -> bool:
        """Makes some lines if they are too old. Returns whether `pieces` can be called now.

        `asked_ns` is when the request came, in nanoseconds of the monotonic clock. It stays the same while the request
        makes lines: a busy worker may take longer to make them than they may be old.
        """
        if len(self._clients) <= FEW_CLIENTS or self._is_young(self._made_ns, asked_ns):
            return True
        if not self._missing or not self._is_young(self._begun_ns, asked_ns):
            self._begun_ns = asked_ns
            self._missing = list(self._clients)[::-1]
            self._lines = {}
        for identifier in reversed(self._missing[-SLICE:]):
            if identifier in self._clients:  # it may have left meanwhile
                self._lines[identifier] = self._clients[identifier].describe().encode()
        del self._missing[-SLICE:]
        if not self._missing:
            self._join()
        return not self._missing

    def pieces(self, identifier: int) -> list[bytes | memoryview]:
        """Returns all lines, in pieces; that of the asking client is always current."""
        clients = self._clients
        if len(clients) <= FEW_CLIENTS:
            return ["".join([client.describe() for client in clients.values()]).encode()]
        begin, end = self._places.get(identifier, (len(self._text), len(self._text)))
        lines = memoryview(self._text)
        return [lines[:begin], clients[identifier].describe().encode(), lines[end:]]

    def _is_young(self, made_ns: int, asked_ns: int) -> bool:
        return bool(made_ns) and asked_ns - made_ns < max(LEAST_AGE_NS, len(self._clients) * AGE_NS_PER_CLIENT)

    def _join(self) -> None:
        end = 0
        self._places = {}
        for identifier, line in self._lines.items():
            self._places[identifier] = (end, end := end + len(line))
        self._text = b"".join(self._lines.values())
        self._lines = {}
        self._made_ns = self._begun_ns
