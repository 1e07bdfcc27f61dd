"""Presents the state of all workers: as a table, as JSON, and as one line for each conflict. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from respid.check.report import advice, find_different_layouts, printable
from respid.fleet.sample import Sample

_HEADING = (
    "ADDRESS",
    "WORKER ID",
    "READY",
    "IDS/S",
    "OF LIMIT",
    "CONNECTIONS",
    "LEAD",
    "RESERVATION",
    "LAYOUT",
    "VERSION",
    "REASON",
)
_LEFT_ALIGNED = {"ADDRESS", "READY", "LAYOUT", "VERSION", "REASON"}
_UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One worker, or an address at which none answered: `sample` is None then, and `error` says why."""

    address: str
    sample: Sample | None = None
    ids_per_second: float | None = None
    error: str = ""

    @property
    def is_ready(self) -> bool:
        return self.sample is not None and self.sample.is_ready

    @property
    def reason(self) -> str:
        """Why no ID can be drawn there; empty if one can."""
        return printable(self.sample.reason if self.sample else self.error + advice(self.error))

    @property
    def share_of_limit(self) -> float | None:
        """The rate divided by the most that the layout permits."""
        if self.sample is None or self.ids_per_second is None:
            return None
        return self.ids_per_second / (self.sample.layout.sequence_size * 1000)


def render(rows: Sequence[Row]) -> Iterator[str]:
    """Yields a heading, a line for each row, and a summary."""
    cells = [_HEADING, *map(_cells, rows)]
    if not any(row.reason for row in rows):
        cells = [line[:-1] for line in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        aligned = (
            cell.ljust(width) if name in _LEFT_ALIGNED else cell.rjust(width)
            for name, cell, width in zip(_HEADING, line, widths, strict=False)
        )
        yield "  ".join(aligned).rstrip()
    ready = sum(row.is_ready for row in rows)
    total = sum({row.sample.run_id: row.ids_per_second or 0 for row in rows if row.sample}.values())
    yield f"{ready} of {len(rows)} ready, {total:,.0f} IDs/s in total"


def _cells(row: Row) -> tuple[str, ...]:
    sample = row.sample
    ready = "yes" if row.is_ready else "no"
    if sample is None:
        return (row.address, _UNKNOWN, ready, *[_UNKNOWN] * (len(_HEADING) - 4), row.reason)
    rate, share = row.ids_per_second, row.share_of_limit
    return (
        row.address,
        str(sample.worker_id),
        ready,
        _UNKNOWN if rate is None else f"{rate:,.0f}",
        _UNKNOWN if share is None else f"{share:.1%}",
        f"{sample.connections:,}",
        f"{sample.clock_lead_seconds:.3f} s",
        f"{sample.reservation_seconds:.1f} s",
        sample.layout.fingerprint,
        printable(sample.version),
        row.reason,
    )


def describe(rows: Sequence[Row], conflicts: Sequence[str]) -> dict[str, Any]:
    """Returns an object for json.dumps. Values that are not known are None."""
    return {
        "ok": not conflicts and all(row.is_ready for row in rows),
        "workers": [_describe_row(row) for row in rows],
        "conflicts": list(conflicts),
    }


def _describe_row(row: Row) -> dict[str, Any]:
    sample, rate, share = row.sample, row.ids_per_second, row.share_of_limit
    return {
        "address": row.address,
        "worker_id": sample and sample.worker_id,
        "ready": row.is_ready,
        "reason": row.reason or None,
        "ids_per_second": None if rate is None else round(rate),
        "share_of_limit": None if share is None else round(share, 4),
        "connections": sample and sample.connections,
        "clock_lead_seconds": sample and sample.clock_lead_seconds,
        "reservation_remaining_seconds": sample and sample.reservation_seconds,
        "fingerprint": sample and sample.layout.fingerprint,
        "version": sample and printable(sample.version),
        "uptime_seconds": sample and sample.uptime_seconds,
    }


def find_conflicts(rows: Iterable[Row]) -> Iterator[str]:
    """Yields a line for each worker ID of several processes, and one if the layouts differ: IDs can be equal then."""
    samples = [(row.address, row.sample) for row in rows if row.sample]
    holders = defaultdict[int, dict[str, str]](dict)
    for address, sample in samples:
        holders[sample.worker_id].setdefault(sample.run_id, address)
    for worker_id, processes in holders.items():
        if len(processes) > 1:
            where = " and at ".join(processes.values())
            yield f"worker ID {worker_id} is in use by {len(processes)} processes, at {where}"
    yield from find_different_layouts((sample.layout.fingerprint, address) for address, sample in samples)
