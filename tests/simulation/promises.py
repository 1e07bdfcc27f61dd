"""What the documents promise about issued IDs, written independently of the code under test.

Everything here is judged by the IDs that clients received. Nothing is read from a generator, a keeper or a store.
"""

from dataclasses import dataclass

from respid.ids.layout import Layout


class BrokenPromiseError(AssertionError):
    """IDs that the documents say are never issued."""


@dataclass(frozen=True)
class Loss:
    """The stored marks of a store were deleted, moved away or restored from a backup, by an operator."""

    store: str
    worker_id: int | None  # None for all
    time_ns: int


@dataclass(eq=False)
class Issuer:
    """One process, as it looks from outside, and the IDs that it issued.

    Two issuers with the same `store` share their stored marks.
    """

    worker_id: int
    layout: Layout
    store: str
    started_ns: int
    start_above: int
    least_wall_ms: int  # the least that its wall clock showed before its first ID
    earliest_ms: int = 0  # when respid was built: a clock that shows an earlier time is not believed
    is_exclusive: bool = False  # its store has the marks of its own former worker IDs only
    pod: str = ""  # its name, if its store sees the other ID spaces of its namespace
    ended_ns: int | None = None
    least: int = -1
    greatest: int = -1
    first_ns: int = -1
    first_wall_ms: int = -1
    last_ns: int = -1

    @property
    def has_issued(self) -> bool:
        return self.least >= 0

    @property
    def greatest_ms(self) -> int:
        return self.timestamp_ms(self.greatest)

    def runs_at(self, time_ns: int) -> bool:
        return self.started_ns <= time_ns and (self.ended_ns is None or time_ns <= self.ended_ns)

    def timestamp_ms(self, identifier: int) -> int:
        return (identifier >> self.layout.worker_bits + self.layout.sequence_bits) + self.layout.epoch_ms

    def receive(self, first: int, count: int, now_ns: int, least_ms: float, greatest_ms: float) -> None:
        """A client got these IDs, whose timestamp must lie in a span. Raises BrokenPromiseError."""
        last = first + count - 1
        if not self.has_issued:
            self.least, self.first_ns = first, now_ns
        if first <= max(self.greatest, self.start_above):
            raise BrokenPromiseError(f"{self}: {first} after {self.greatest}, to start above {self.start_above}")
        self.greatest, self.last_ns = last, now_ns
        layout, sequence_bits = self.layout, self.layout.sequence_bits
        if self.timestamp_ms(first) < self.earliest_ms:
            raise BrokenPromiseError(f"{self}: {first} is of {self.timestamp_ms(first)}, when respid was not built")
        if not first >> sequence_bits == last >> sequence_bits or count < 1:
            raise BrokenPromiseError(f"{self}: {count} IDs from {first} are not of one millisecond of one worker")
        if last >> sequence_bits & (1 << layout.worker_bits) - 1 != self.worker_id:
            raise BrokenPromiseError(f"{self}: {last} is not an ID of worker ID {self.worker_id}")
        if last >= 1 << layout.timestamp_bits + layout.worker_bits + sequence_bits:
            raise BrokenPromiseError(f"{self}: {last} lies past the end of the layout")
        if not least_ms <= self.timestamp_ms(last) <= greatest_ms:
            span = f"{least_ms} to {greatest_ms}"
            raise BrokenPromiseError(f"{self}: {last} is of {self.timestamp_ms(last)}, which is not {span}")

    def __str__(self) -> str:
        return f"worker ID {self.worker_id} in {self.store}, {self.layout.fingerprint}, from {self.started_ns} ns"


def check(issuers: list[Issuer], losses: list[Loss]) -> int:
    """Raises BrokenPromiseError. Returns how many pairs may share IDs where the documents do not promise otherwise."""
    overlaps = 0
    issued = sorted((one for one in issuers if one.has_issued), key=lambda one: one.first_ns)
    for number, latter in enumerate(issued):
        for former in issued[:number]:
            if _are_in_order(former, latter):
                continue
            if are_kept_apart(former, latter, losses) or _moved_apart(former, latter, issuers, losses):
                ids = f"{former.least} to {former.greatest}, then {latter.least} to {latter.greatest}"
                raise BrokenPromiseError(f"{former}; {latter}: {ids}")
            overlaps += _could_repeat(former, latter)
    _check_own_stores(issued, losses)
    return overlaps


def _check_own_stores(issued: list[Issuer], losses: list[Loss]) -> None:
    """Where a store belongs to one worker, a changed worker ID needs `start_above`, once."""
    covered: dict[tuple[str, int], int] = {}
    for number, latter in enumerate(issued):
        key = latter.store, latter.worker_id
        covered[key] = max(latter.start_above, covered.get(key, -1))
        for former in issued[:number]:
            is_change = latter.is_exclusive and former.store == latter.store and former.worker_id != latter.worker_id
            if not is_change or former.first_ns > latter.started_ns or _is_mark_lost(former, latter, losses):
                continue
            if covered[key] < former.least:
                raise BrokenPromiseError(f"{latter} issued IDs in the directory of {former}")


def are_kept_apart(former: Issuer, latter: Issuer, losses: list[Loss]) -> bool:
    """Whether the documents promise that the IDs of two processes, in the order of their first IDs, are disjoint."""
    if former.layout == latter.layout and former.worker_id != latter.worker_id:
        return False  # their IDs differ in the worker ID, which is checked for each
    if former.store == latter.store and not _is_mark_lost(former, latter, losses):
        return True
    # Nothing stored connects the two.
    if former.runs_at(latter.started_ns) or latter.runs_at(former.started_ns):
        return False
    if latter.start_above >= former.greatest:
        return True
    return former.layout == latter.layout and latter.least_wall_ms > former.greatest_ms


def _moved_apart(former: Issuer, latter: Issuer, issuers: list[Issuer], losses: list[Loss]) -> bool:
    """Whether the documents promise it since pods of one StatefulSet see each other's ID spaces.

    Not if the mark is now that of another StatefulSet.
    """
    if not are_of_one_set(former, latter) or _is_mark_lost(former, latter, losses):
        return False
    return not any(
        other.store in (former.store, latter.store)
        and other.worker_id == former.worker_id
        and other.started_ns <= latter.first_ns
        and not are_of_one_set(other, former)
        for other in issuers
    )


def are_of_one_set(one: Issuer, other: Issuer) -> bool:
    """Whether they are pods of one StatefulSet whose IDs can be equal, in any ID spaces."""
    sets = {each.pod.rpartition("-")[0] for each in (one, other)}
    return len(sets) == 1 and "" not in sets and _could_repeat(one, other)


def _is_mark_lost(one: Issuer, other: Issuer, losses: list[Loss]) -> bool:
    """Whether one of the two may not have found the other's mark.

    A start reads it before its first ID. Two that ran at the same time read it again and again.
    """
    begin_ns = min(one.started_ns, other.started_ns)
    end_ns = max(one.first_ns, other.first_ns)
    if one.runs_at(other.started_ns) or other.runs_at(one.started_ns):
        end_ns = max(one.last_ns, other.last_ns)
    return any(
        loss.store in (one.store, other.store)
        and loss.worker_id in (None, one.worker_id, other.worker_id)
        and begin_ns <= loss.time_ns <= end_ns
        for loss in losses
    )


def _are_in_order(former: Issuer, latter: Issuer) -> bool:
    """Whether their IDs are disjoint, and those of a successor lie above those of its predecessor."""
    were_together = former.last_ns >= latter.started_ns
    return former.greatest < latter.least or (were_together and former.least > latter.greatest)


def _could_repeat(former: Issuer, latter: Issuer) -> bool:
    return former.layout != latter.layout or former.worker_id == latter.worker_id
