"""Which worker IDs and layouts are in use, according to the Leases of a namespace. Pure.

No clock of another machine is compared. A holder is considered gone when its Lease has not changed for as long as it
promised to change it, measured by this process's monotonic clock, and only while the Lease could be read: what keeps
this process from reading it may keep the holder from writing it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from respid.highwater.stores import NO_ID, Mark, printable

_NAME = re.compile(r"respid-(?P<space>.+)-(?P<worker_id>0|[1-9][0-9]{0,17})")
_POD = re.compile(r"(?P<set>.+)-[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Lease:
    """The part of a Lease that respid uses. The version is the server's, "" for a Lease that does not exist yet."""

    name: str
    version: str
    identifier: str  # the server's uid: another one is another object of the same name
    holder: str  # the pod's name; "" when nobody holds it
    nonce: str  # of the process that wrote it
    write: str  # unique to each write
    ceiling_ms: int
    fingerprint: str
    duration_seconds: int  # its holder promises to change it at least this often
    former_id: int = NO_ID
    pod: str = ""  # the last holder's name, which stays when it gives the Lease up
    gone_writes: frozenset[str] = frozenset()  # writes of other Leases whose holders were gone when it was made

    @property
    def is_damaged(self) -> bool:
        """Whether no mark can be read from it."""
        return not self.fingerprint

    @property
    def mark(self) -> Mark:
        return Mark(self.ceiling_ms, self.fingerprint, self.former_id)

    @property
    def space(self) -> str:
        match = _NAME.fullmatch(self.name)
        return match["space"] if match else ""

    @property
    def worker_id(self) -> int:
        match = _NAME.fullmatch(self.name)
        return int(match["worker_id"]) if match else -1


class Silence:
    """How long each Lease has been seen unchanged."""

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._read_ns: int | None = None  # when the last answer was there
        self._unchanged: dict[str, tuple[str, int]] = {}  # by name: the version, and for how many ns
        self._gone_writes: frozenset[str] = frozenset()

    def interrupt(self) -> None:
        """The Leases could not be read: the time until they can be does not count."""
        self._read_ns = None

    def recall(self, gone_writes: frozenset[str]) -> None:
        """Takes the last writes that a former process saw: holders of Leases that nobody has written since are gone."""
        self._gone_writes = gone_writes

    def note(self, leases: Iterable[Lease]) -> None:
        """All Leases as they have just been read.

        The duration of the read counts as well, although a holder may have written meanwhile: a process that considers
        it gone then replaces its Lease in the version that was read, or writes its own one and lists all of them again.
        """
        now_ns = self._monotonic_ns()
        passed_ns = 0 if self._read_ns is None else now_ns - self._read_ns
        self._read_ns = now_ns
        noted = {}
        for lease in leases:
            version, unchanged_ns = self._unchanged.get(lease.name, ("", 0))
            noted[lease.name] = lease.version, unchanged_ns + passed_ns if version == lease.version else 0
        self._unchanged = noted

    def is_gone(self, lease: Lease) -> bool:
        """Whether the holder of this Lease, in this version, is considered gone. A Lease without a holder is free."""
        version, unchanged_ns = self._unchanged.get(lease.name, ("", 0))
        was_silent = version == lease.version and unchanged_ns >= lease.duration_seconds * 1_000_000_000
        return not lease.holder or was_silent or lease.write in self._gone_writes


def related(others: Sequence[Lease], own: Lease) -> list[Lease]:
    """The Leases of the workers whose IDs must differ from those of this one.

    They are those of the same ID space, and those that pods of this StatefulSet have held in other ID spaces.
    """
    return [lease for lease in others if lease.space == own.space or _is_of_same_set(lease, own)]


def find_other_layout(others: Sequence[Lease], own: Lease, silence: Silence) -> Lease | None:
    """A related Lease whose holder uses another layout. A damaged one does not say.

    A holder of this pod's name in another ID space is this pod before it was replaced.
    """
    for lease in related(others, own):
        is_former_self = lease.space != own.space and lease.holder == own.holder
        is_other = lease.fingerprint != own.fingerprint and not lease.is_damaged and not is_former_self
        if is_other and not silence.is_gone(lease):
            return lease
    return None


def left_behind(others: Sequence[Lease], own: Lease) -> list[Lease]:
    """The Leases that pods of this StatefulSet have held for the same worker ID in other ID spaces.

    They are those of a pod of this name, unless the worker ID offset was changed as well.
    """
    return [
        lease
        for lease in others
        if lease.space != own.space and lease.worker_id == own.worker_id and _is_of_same_set(lease, own)
    ]


def explain_other_layout(lease: Lease, own: Lease) -> str:
    return (
        f"layout {printable(lease.fingerprint)} is in use by pod {printable(lease.holder)} (Lease {lease.name}), and"
        f" this worker is set to {own.fingerprint}: IDs of the two could be equal, so a rolling change cannot go on."
        " Go back to that layout, or stop all workers and start them with --accept-layout-change (if that pod is gone,"
        f" its Lease counts as free once it has not changed for {lease.duration_seconds} s)"
    )


def explain_held(lease: Lease, own: Lease) -> str:
    if _set_of(lease.holder) == _set_of(own.holder):
        advice = (
            "both belong to one StatefulSet, so the worker ID offset was changed while workers run, and this rollout"
            " cannot go on if that pod is replaced after this one: go back to the former offset, or stop all workers"
            " and start them again"
        )
    else:
        advice = "a second release needs another --worker-id-offset"
    return (
        f"worker ID {own.worker_id} is held by pod {printable(lease.holder)} (Lease {lease.name}): {advice}; if that"
        f" pod is gone, the worker ID is free once its Lease has not changed for {lease.duration_seconds} s"
    )


def _is_of_same_set(lease: Lease, own: Lease) -> bool:
    """Whether a pod of this StatefulSet holds the Lease, or was the last one to hold it."""
    return _set_of(own.holder) in (_set_of(lease.holder), _set_of(lease.pod))


def _set_of(pod: str) -> str:
    """The name of the StatefulSet that a pod of this name belongs to."""
    match = _POD.fullmatch(pod)
    return match["set"] if match else f"{pod} "
