"""The store that keeps nothing: after a restart only the wall clock keeps the worker above its earlier IDs."""

from respid.highwater.stores import Mark
from respid.ids.reservation import ReserveSpans


class NoStore:
    """Reservations in memory only. For tests, and for those who accept repeats after a clock is set back."""

    name = "none"
    spans = ReserveSpans(wall_ms=3_000, lead_ms=3_000)

    async def load(self) -> Mark | None:
        return None

    async def extend(self, ceiling_ms: int) -> None:
        """Nothing to store."""

    async def release(self, mark_ms: int) -> None:
        """Nothing to store."""

    async def close(self) -> None:
        """Nothing is open."""
