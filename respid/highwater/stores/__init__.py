"""The stores of the high-water marks. One interface, one file per implementation."""

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from respid.ids.layout import Layout
from respid.ids.reservation import ReserveSpans

NO_ID = -1


class StoreError(Exception):
    """The operation failed. The message is one line and says what to do."""


class StoreUnavailableError(StoreError):
    """The operation failed, but may succeed later without intervention: retry it."""


class UnconfirmedError(StoreUnavailableError):
    """A higher mark is stored, but must not be used yet.

    `confirm` finds out whether it may be used, without another write. It raises StoreError if not, or this error again.
    """

    def __init__(self, message: str, confirm: Callable[[], Awaitable[None]]) -> None:
        super().__init__(message)
        self.confirm = confirm


class HolderLostError(StoreError):
    """The worker ID has, or may have, another holder. This process must never issue an ID again."""


class Mark(NamedTuple):
    """A stored high-water mark.

    `ceiling_ms` is in Unix milliseconds: all timestamps that the worker issued are below it. `fingerprint` is the
    layout that it issued them in. `former_id` is the greatest ID that the store knew to be possible from other layouts
    when the mark was made: the worker's IDs lie above it.
    """

    ceiling_ms: int
    fingerprint: str
    former_id: int = NO_ID

    @property
    def layout(self) -> Layout:
        """Raises StoreError."""
        try:
            return Layout.parse_fingerprint(self.fingerprint)
        except ValueError as error:
            raise StoreError(f"a high-water mark names no known layout: {error}") from None

    def is_used(self) -> bool:
        """Whether an ID can have been issued below it. A start that issues nothing leaves a mark as low as the epoch.

        Raises StoreError.
        """
        return self.ceiling_ms > self.layout.epoch_ms

    def greatest_id(self) -> int:
        """The greatest ID that any worker can have issued up to this mark; NO_ID if none. Raises StoreError."""
        if not self.is_used():
            return self.former_id
        layout = self.layout
        return max(self.former_id, layout.greatest_id(min(self.ceiling_ms, layout.end_ms) - 1))


class Survey(NamedTuple):
    """The marks that a start finds.

    `own` is the worker ID's, None if there is none. `others` are those of the other worker IDs in the same store, as
    far as they can be read; `knows_all` says whether these are all. `is_layout_in_use` says that one of the others is
    running in this worker's layout. A store never gives a survey while it sees that another layout is in use.
    """

    own: Mark | None
    others: tuple[Mark, ...] = ()
    is_layout_in_use: bool = False
    knows_all: bool = True

    def former_marks(self, layout: Layout) -> list[Mark]:
        """The used marks of other layouts, the own one first. Raises StoreError."""
        return [
            mark
            for mark in (self.own, *self.others)
            if mark and mark.fingerprint != layout.fingerprint and mark.is_used()
        ]

    def former_id(self, layout: Layout) -> int:
        """The greatest ID that can have been issued in any other layout; NO_ID if none. Raises StoreError."""
        known = [mark for mark in (self.own, *self.others) if mark]
        former = [mark.greatest_id() for mark in self.former_marks(layout)]
        return max([*former, *(mark.former_id for mark in known)], default=NO_ID)


class Store(Protocol):
    """The durable high-water mark of one worker ID."""

    name: str
    spans: ReserveSpans

    async def load(self) -> Survey:
        """The stored marks, if this worker may become the holder of its worker ID. Raises StoreError."""
        ...

    async def extend(self, ceiling_ms: int) -> None:
        """Becomes or stays the holder, and stores a higher mark, which survives a loss of power from then on.

        Raises StoreError; it is then unknown whether the mark is stored.
        """
        ...

    async def release(self, mark_ms: int) -> None:
        """Stores the exact end of the issued timestamps, where the successor begins. Raises StoreError."""
        ...

    def stands(self) -> bool:
        """Whether the mark is still where it was stored, as far as a quick look can tell. Never blocks."""
        ...

    async def close(self) -> None:
        """Releases all resources; the store must not be used afterwards."""
        ...


def printable(text: str) -> str:
    """A text from outside as it may appear in a message: one line, no control characters, of limited length."""
    return re.sub(r"[^ -~]+", "?", text)[:253]
