"""Where a worker's high-water mark is kept. One interface, an implementation a file."""

from typing import NamedTuple, Protocol

from respid.ids.reservation import ReserveSpans


class StoreError(Exception):
    """The store cannot do what was asked; the message is one line that says what to do."""


class StoreUnavailableError(StoreError):
    """Not now, but perhaps soon without anybody's help: ask again."""


class HolderLostError(StoreError):
    """The worker ID has another holder, or may have: this one must never issue an ID again."""


class Mark(NamedTuple):
    """A stored high-water mark: the ceiling in Unix ms, and the fingerprint of the layout that it was used with."""

    ceiling_ms: int
    fingerprint: str


class Store(Protocol):
    """The durable high-water mark of one worker ID."""

    name: str
    spans: ReserveSpans

    async def load(self) -> Mark | None:
        """The stored mark, when this worker may become the holder; None when there is none. Raises StoreError."""
        ...

    async def extend(self, ceiling_ms: int) -> None:
        """Becomes or stays the holder, and stores a higher mark durably: it survives the loss of power from then on.

        Raises StoreError; whether the mark is stored is then not known.
        """
        ...

    async def release(self, mark_ms: int) -> None:
        """Stores the exact end of what was issued: the successor begins there. Raises StoreError."""
        ...

    async def close(self) -> None:
        """Gives free what is open. Nothing may be asked of it afterwards."""
        ...
