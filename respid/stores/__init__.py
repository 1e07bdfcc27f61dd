"""Where a worker's high-water mark is kept. One interface, an implementation a file."""

from typing import Protocol

from respid.ids.reservation import ReserveSpans


class StoreError(Exception):
    """The store cannot do what was asked; the message is one line that says what to do."""


class Store(Protocol):
    """The durable high-water mark of one worker ID."""

    name: str
    spans: ReserveSpans

    async def load(self) -> int | None:
        """Becomes the holder and returns the stored mark in Unix ms; None when there is none. Raises StoreError."""
        ...

    async def extend(self, ceiling_ms: int) -> None:
        """Stores a higher mark durably: when this returns, it survives the loss of power. Raises StoreError."""
        ...

    async def release(self, mark_ms: int) -> None:
        """Stores the exact end of what was issued, and gives the worker ID free. Raises StoreError."""
        ...
