"""The IDs that were received, and every promise that one of them breaks. Pure: it is told what came, and when.

The order of a worker ID's IDs holds for all connections together: an ID is greater than every one that was received
before its request was sent. So what `IdRanges` has forgotten cannot come again unnoticed: it would be out of order.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from respid.check.ranges import IdRanges
from respid.ids.layout import Layout

NO_ID = -1


class Block(NamedTuple):
    """Consecutive IDs that one millisecond should hold."""

    first: int
    size: int

    @property
    def last(self) -> int:
        return self.first + self.size - 1

    def __str__(self) -> str:
        return f"ID {self.first}" if self.size == 1 else f"IDs {self.first} to {self.last}"


class Issuer(NamedTuple):
    """Where IDs come from: a process, by the address that led to it."""

    address: str
    worker_id: int
    layout: Layout
    run_id: str

    @property
    def key(self) -> tuple[str, int, Layout]:
        """What stays the same when the process is another one."""
        return self.address, self.worker_id, self.layout

    def __str__(self) -> str:
        return f"{self.address} (worker ID {self.worker_id})"


class Snapshot(NamedTuple):
    """What was known of a worker ID when a request was sent: the greatest ID received, how many processes gave any."""

    greatest: int
    processes: int


class Violations:
    """Broken promises by kind and by who broke them: the first in words, all of them counted. Memory is bounded."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], tuple[str, int]] = {}

    def note(self, kind: str, who: Iterable[Issuer | str], words: str) -> None:
        key = (kind, *sorted(map(str, who)))
        first, count = self._found.get(key, (words, 0))
        self._found[key] = (first, count + 1)

    def lines(self) -> list[str]:
        """One line for each kind and each who."""
        return [words + (f" ({count:,} times)" if count > 1 else "") for words, count in self._found.values()]


@dataclass(slots=True)
class _WorkerIds:
    """The IDs that carry one worker ID, and the processes that gave them in the order of their first one."""

    greatest: int = NO_ID
    processes: list[str] = field(default_factory=list)
    latest: Issuer | None = None  # of the processes
    ranges: dict[str, IdRanges] = field(default_factory=dict)  # by address

    def snapshot(self) -> Snapshot:
        return Snapshot(self.greatest, len(self.processes))


class Ledger:
    """All IDs of all workers."""

    def __init__(self) -> None:
        self.violations = Violations()
        self._workers: dict[tuple[Layout, int], _WorkerIds] = {}

    def snapshot(self, issuer: Issuer) -> Snapshot:
        """To be taken before a request is sent, and given back with each ID in its reply."""
        return self._worker(issuer.layout, issuer.worker_id).snapshot()

    def record(self, issuer: Issuer, block: Block, snapshot: Snapshot, previous: int) -> None:
        """Notes the IDs and what they violate; `previous` is the last ID received on the same connection, or NO_ID."""
        try:
            first, last = issuer.layout.decompose(block.first), issuer.layout.decompose(block.last)
        except ValueError as error:
            self.violations.note("no ID", [issuer], f"{issuer} gave {block}: {error}")
            return
        if (first.timestamp_ms, first.worker_id) != (last.timestamp_ms, last.worker_id):
            words = f"{issuer} gave a block that is not of one millisecond: {block}"
            self.violations.note("block", [issuer], words)
            return
        if first.worker_id == issuer.worker_id:
            self._check_process(issuer, snapshot)
            self._check_order(issuer, block, snapshot, previous)
        else:
            words = f"{issuer} gave {block}, of worker ID {first.worker_id}"
            self.violations.note("worker ID", [issuer], words)
        self._check_uniqueness(issuer, block, first.worker_id)

    def _worker(self, layout: Layout, worker_id: int) -> _WorkerIds:
        return self._workers.setdefault((layout, worker_id), _WorkerIds())

    def _check_process(self, issuer: Issuer, snapshot: Snapshot) -> None:
        """A process that has a successor gives no more IDs: its worker ID would be in use twice."""
        worker = self._worker(issuer.layout, issuer.worker_id)
        if issuer.run_id not in worker.processes:
            worker.processes.append(issuer.run_id)
            worker.latest = issuer
        elif worker.processes.index(issuer.run_id) + 1 < snapshot.processes and worker.latest is not None:
            first, second = sorted([issuer.address, worker.latest.address])
            where = f"at {first} and at {second}" if first != second else f"both at {first}"
            words = f"worker ID {issuer.worker_id} is in use by two processes, {where}"
            self.violations.note("process", [first, second], f"{words}: give each a worker ID of its own")

    def _check_order(self, issuer: Issuer, block: Block, snapshot: Snapshot, previous: int) -> None:
        worker = self._worker(issuer.layout, issuer.worker_id)
        if block.first <= previous:
            words = f"{issuer} gave {block} after ID {previous} on the same connection"
            self.violations.note("order", [issuer], words)
        elif block.first <= snapshot.greatest:
            words = f"{issuer} gave {block} to a request sent after ID {snapshot.greatest} was received"
            self.violations.note("order", [issuer], words)
        worker.greatest = max(worker.greatest, block.last)

    def _check_uniqueness(self, issuer: Issuer, block: Block, worker_id: int) -> None:
        """By the worker ID that the IDs themselves name, whoever gave them."""
        position = _position(issuer.layout, block.first)
        ranges = self._worker(issuer.layout, worker_id).ranges
        own = ranges.setdefault(issuer.address, IdRanges())
        for address, given in ranges.items():
            shared = own.add(position, block.size) if given is own else given.overlap(position, block.size)
            if shared:
                duplicate = Block(block.first + shared[0] - position, shared[1])
                self._note_duplicate(duplicate, worker_id, sorted([issuer.address, address]))

    def _note_duplicate(self, duplicate: Block, worker_id: int, addresses: list[str]) -> None:
        first, second = addresses
        givers = f"both {first} and {second}" if first != second else f"{first} twice"
        words = f"duplicate: {duplicate} of worker ID {worker_id} was given by {givers}"
        self.violations.note("duplicate", addresses, words)


def _position(layout: Layout, identifier: int) -> int:
    """The ID without its worker bits: those of one worker are consecutive even from one millisecond to the next."""
    timestamp = identifier >> layout.timestamp_shift
    return timestamp << layout.sequence_bits | identifier & (layout.sequence_size - 1)
