"""The store that keeps nothing: after a restart only the wall clock keeps the worker above its earlier IDs."""

from respid.highwater.stores import Survey
from respid.ids.reservation import ReserveSpans


class NoStore:
    """Reservations in memory only, for tests and for those who accept repeated IDs after a clock was set back."""

    name = "none"
    spans = ReserveSpans(wall_ms=3_000, lead_ms=3_000)

    async def load(self) -> Survey:
        return Survey(None)

    async def extend(self, ceiling_ms: int) -> None:
        """Nothing to store."""

    async def release(self, mark_ms: int) -> None:
        """Nothing to store."""

    def stands(self) -> bool:
        return True

    async def close(self) -> None:
        """Nothing is open."""
