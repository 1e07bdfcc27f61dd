"""A store that is slow or fails as the test says, and records the calls."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from respid.highwater.stores import Mark, StoreError, Survey
from respid.ids.reservation import ReserveSpans

SPANS = ReserveSpans(wall_ms=3_000, lead_ms=250)


@dataclass
class ScriptedStore:
    """Keeps the mark in memory; `events` has the calls in order."""

    mark_ms: int | None = None
    delay_seconds: float = 0
    error: str = ""  # the error of every call; empty when they succeed
    error_kind: type[StoreError] = StoreError
    look: Callable[[], None] = lambda: None  # called while an extension is written
    events: list[tuple[str, int]] = field(default_factory=list)
    name: str = "scripted"
    fingerprint: str = "41/10/12@1704067200000"  # of the layout that the mark belongs to
    spans: ReserveSpans = SPANS
    others: tuple[Mark, ...] | None = ()  # the marks of other worker IDs
    is_in_place: bool = True

    async def load(self) -> Survey:
        await self._answer()
        own = None if self.mark_ms is None else Mark(self.mark_ms, self.fingerprint)
        return Survey(own, self.others or (), knows_all=self.others is not None)

    async def extend(self, ceiling_ms: int) -> None:
        self.events.append(("extending", ceiling_ms))
        self.look()
        await self._answer()
        self.mark_ms = ceiling_ms
        self.events.append(("extended", ceiling_ms))

    async def release(self, mark_ms: int) -> None:
        self.events.append(("releasing", mark_ms))
        await self._answer()
        self.mark_ms = mark_ms
        self.events.append(("released", mark_ms))

    def stands(self) -> bool:
        return self.is_in_place

    async def close(self) -> None:
        pass

    async def _answer(self) -> None:
        await asyncio.sleep(self.delay_seconds)
        if self.error:
            raise self.error_kind(self.error)
