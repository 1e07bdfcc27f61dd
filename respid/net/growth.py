"""Counts what clients send, so that memory is checked when it may have grown. Uses no asyncio."""

from collections.abc import Callable


class Growth:
    """The bytes that were received since the last check."""

    __slots__ = ("_bytes", "_check", "_most_bytes")

    def __init__(self, most_bytes: int, check: Callable[[], None]) -> None:
        self._most_bytes = most_bytes
        self._check = check
        self._bytes = 0

    def add(self, received_bytes: int) -> None:
        self._bytes += received_bytes
        if self._bytes >= self._most_bytes:
            self._bytes = 0
            self._check()
