"""The IDs received so far, and the promises that any of them breaks. Pure: the caller says what arrived, and when.

The IDs of one worker ID are ordered across all connections: an ID is greater than every ID that was received before its
request was sent. An ID that `IdRanges` has forgotten therefore cannot return unnoticed: it would be out of order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from respid.check.ranges import IdRanges
from respid.ids.layout import Layout

NO_ID = -1
MAX_LAYOUTS = 8  # compared with each other; a hostile worker could report a new one on each connection


class Block(NamedTuple):
    """Consecutive IDs that should belong to one millisecond."""

    first: int
    size: int

    @property
    def last(self) -> int:
        return self.first + self.size - 1

    def __str__(self) -> str:
        return f"ID {self.first}" if self.size == 1 else f"IDs {self.first} to {self.last}"


class Issuer(NamedTuple):
    """A process that returns IDs, and the address at which it was reached."""

    address: str
    worker_id: int
    layout: Layout
    run_id: str

    @property
    def key(self) -> tuple[str, int, Layout]:
        """Stays the same when the process is restarted."""
        return self.address, self.worker_id, self.layout

    def __str__(self) -> str:
        return f"{self.address} (worker ID {self.worker_id})"


class Snapshot(NamedTuple):
    """State of a worker ID when a request was sent: its greatest ID, and the number of processes that returned any."""

    greatest: int
    processes: int


class Violations:
    """Broken promises, grouped by kind and by the parties involved: the first one as text, and a count of all.

    Memory use does not grow with the number of violations.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], tuple[str, int]] = {}

    def note(self, kind: str, parties: Iterable[Issuer | str], text: str) -> None:
        key = (kind, *sorted(map(str, parties)))
        first, count = self._found.get(key, (text, 0))
        self._found[key] = (first, count + 1)

    def lines(self) -> list[str]:
        """Returns one line for each group."""
        return [text + (f" ({count:,} times)" if count > 1 else "") for text, count in self._found.values()]


@dataclass(slots=True)
class _WorkerIds:
    """The IDs of one worker ID, and the processes that returned them, ordered by their first ID."""

    greatest: int = NO_ID
    processes: list[str] = field(default_factory=list)
    latest: Issuer | None = None  # the last one of the processes
    ranges: dict[str, IdRanges] = field(default_factory=dict)  # by address

    def snapshot(self) -> Snapshot:
        return Snapshot(self.greatest, len(self.processes))


class Ledger:
    """All IDs of all workers, each of which must be greater than `above`, if that is given."""

    def __init__(self, above: int | None = None) -> None:
        self.violations = Violations()
        self._above = above
        self._workers: dict[tuple[Layout, int], _WorkerIds] = {}
        self._layouts: set[Layout] = set()

    def snapshot(self, issuer: Issuer) -> Snapshot:
        """Takes a snapshot before a request is sent; `record` needs it for each ID in the reply."""
        return self._worker(issuer.layout, issuer.worker_id).snapshot()

    def record(self, issuer: Issuer, block: Block, snapshot: Snapshot, previous: int) -> None:
        """Stores the IDs and notes violations; `previous` is the last ID on the same connection, or NO_ID."""
        if self._above is not None and block.first <= self._above:
            self.violations.note("above", [issuer], f"{issuer} returned {block}, not above {self._above}")
        try:
            first, last = issuer.layout.decompose(block.first), issuer.layout.decompose(block.last)
        except ValueError as error:
            self.violations.note("no ID", [issuer], f"{issuer} returned {block}: {error}")
            return
        if (first.timestamp_ms, first.worker_id) != (last.timestamp_ms, last.worker_id):
            text = f"{issuer} returned a block that spans several milliseconds: {block}"
            self.violations.note("block", [issuer], text)
            return
        if first.worker_id == issuer.worker_id:
            self._check_process(issuer, snapshot)
            self._check_order(issuer, block, snapshot, previous)
        else:
            text = f"{issuer} returned {block} with worker ID {first.worker_id}, expected {issuer.worker_id}"
            self.violations.note("worker ID", [issuer], text)
        self._check_uniqueness(issuer, block, first.worker_id)
        for layout in self._layouts - {issuer.layout}:
            self._check_uniqueness_across(layout, issuer, block)

    def _worker(self, layout: Layout, worker_id: int) -> _WorkerIds:
        if len(self._layouts) < MAX_LAYOUTS:
            self._layouts.add(layout)
        return self._workers.setdefault((layout, worker_id), _WorkerIds())

    def _check_process(self, issuer: Issuer, snapshot: Snapshot) -> None:
        """Notes a process that returns IDs although it has a successor: two processes use the worker ID."""
        worker = self._worker(issuer.layout, issuer.worker_id)
        if issuer.run_id not in worker.processes:
            worker.processes.append(issuer.run_id)
            worker.latest = issuer
        elif worker.processes.index(issuer.run_id) + 1 < snapshot.processes and worker.latest is not None:
            first, second = sorted([issuer.address, worker.latest.address])
            where = f"at {first} and at {second}" if first != second else f"both at {first}"
            text = f"worker ID {issuer.worker_id} is in use by two processes, {where}; give each its own worker ID"
            self.violations.note("process", [first, second], text)

    def _check_order(self, issuer: Issuer, block: Block, snapshot: Snapshot, previous: int) -> None:
        worker = self._worker(issuer.layout, issuer.worker_id)
        if block.first <= previous:
            text = f"{issuer} returned {block} after ID {previous} on the same connection"
            self.violations.note("order", [issuer], text)
        elif block.first <= snapshot.greatest:
            text = f"{issuer} returned {block} to a request sent after ID {snapshot.greatest} was received"
            self.violations.note("order", [issuer], text)
        worker.greatest = max(worker.greatest, block.last)

    def _check_uniqueness(self, issuer: Issuer, block: Block, worker_id: int) -> None:
        """Compares with the IDs that carry the same worker ID, no matter which worker returned them."""
        position = _position(issuer.layout, block.first)
        ranges = self._worker(issuer.layout, worker_id).ranges
        own = ranges.setdefault(issuer.address, IdRanges())
        for address, received in ranges.items():
            shared = own.add(position, block.size) if received is own else received.overlap(position, block.size)
            if shared:
                duplicate = Block(block.first + shared[0] - position, shared[1])
                self._note_duplicate(f"{duplicate} with worker ID {worker_id}", issuer.address, address)

    def _check_uniqueness_across(self, layout: Layout, issuer: Issuer, block: Block) -> None:
        """Compares with the IDs of another layout: equal numbers are duplicates, whatever their bits mean."""
        for part in _parts(block, layout):
            try:
                worker_id = layout.decompose(part.first).worker_id
            except ValueError:  # IDs of this layout have fewer bits
                continue
            worker = self._workers.get((layout, worker_id))
            position = _position(layout, part.first)
            for address, received in worker.ranges.items() if worker else ():
                if shared := received.overlap(position, part.size):
                    duplicate = Block(part.first + shared[0] - position, shared[1])
                    here = f"{issuer.address} (layout {issuer.layout.fingerprint})"
                    self._note_duplicate(str(duplicate), here, f"{address} (layout {layout.fingerprint})")

    def _note_duplicate(self, duplicate: str, *issuers: str) -> None:
        first, second = sorted(issuers)
        by = f"both {first} and {second}" if first != second else f"{first} twice"
        self.violations.note("duplicate", issuers, f"duplicate: {duplicate} returned by {by}")


def _position(layout: Layout, identifier: int) -> int:
    """Returns the ID without its worker bits: one worker's IDs are then consecutive across milliseconds."""
    timestamp = identifier >> layout.timestamp_shift
    return timestamp << layout.sequence_bits | identifier & (layout.sequence_size - 1)


def _parts(block: Block, layout: Layout) -> Iterator[Block]:
    """Splits a block where the sequence of another layout ends."""
    first = block.first
    while first <= block.last:
        end = min((first | (layout.sequence_size - 1)) + 1, block.last + 1)
        yield Block(first, end - first)
        first = end
