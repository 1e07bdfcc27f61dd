"""Counts what clients send and get, so that memory is checked when it may have grown too much. Uses no asyncio."""

from collections.abc import Callable


class Growth:
    """The bytes by which the memory of all clients may have grown since the last check."""

    __slots__ = ("_bytes", "_check", "_check_later", "_most_bytes")

    def __init__(
        self, most_bytes: int, check: Callable[[], None], check_later: Callable[[], None] | None = None
    ) -> None:
        self._check = check
        self._check_later = check_later or check
        self.restart(most_bytes)

    def restart(self, most_bytes: int) -> None:
        """Begins anew: after so many bytes a check is due."""
        self._most_bytes = most_bytes
        self._bytes = 0

    def add(self, grown_bytes: int) -> None:
        """Checks after the events at hand, so that it can be called while a client has its turn."""
        self._bytes += grown_bytes
        if self._bytes >= self._most_bytes:
            self._bytes = 0
            self._check_later()

    def add_received(self, received_bytes: int) -> None:
        """Checks now, before more is received: a pass of the event loop may read from thousands of clients."""
        self._bytes += received_bytes
        if self._bytes >= self._most_bytes:
            self._bytes = 0
            self._check()
