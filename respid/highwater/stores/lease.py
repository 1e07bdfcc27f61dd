"""The high-water mark in a Kubernetes Lease, which any pod of the cluster sees. Talks to no server itself.

Every write is a compare-and-set on the Lease's resourceVersion. A worker that does not know whether a write was applied
reads the Lease again and looks for the nonce that it wrote: with its own it is still the holder, with another's it is
no longer. Each write is marked, too, which tells it from those of a copy of the process. No clock of another machine is
ever compared with: that the holder is gone is seen by its Lease not having changed for as long as it promised to change
it, measured on the own monotonic clock, and only while the Lease could be read: what keeps others from reading it may
keep the holder from changing it.

https://kubernetes.io/docs/concepts/architecture/leases/
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from respid.highwater.stores import HolderLostError, Mark, StoreUnavailableError
from respid.ids.layout import Layout
from respid.ids.reservation import ReserveSpans

LEAD_MS = 10_000  # how far a reservation reaches in a lead: an extension every 5 s


@dataclass(frozen=True, slots=True)
class Lease:
    """What respid keeps in a Lease. The version is the server's, "" for one that does not exist yet."""

    name: str
    version: str
    identifier: str  # the server's uid: another one is another object of the same name
    holder: str  # the pod's name; "" when nobody holds it
    nonce: str  # of the process that wrote it
    write: str  # of all writes only this one has it
    ceiling_ms: int
    fingerprint: str
    duration_seconds: int  # what its holder promises: to change it at least this often


class ConflictError(Exception):
    """The Lease is not as it was when it was read: it was changed, deleted, or made by somebody else meanwhile."""


class LeaseApi(Protocol):
    """The requests that are made. After a StoreUnavailableError, which all may raise, a write is applied or not."""

    async def get(self, name: str) -> Lease | None:
        """The Lease; None when there is none. Raises StoreError when it is not one of respid's."""
        ...

    async def create(self, lease: Lease) -> Lease:
        """Makes it, and returns it with its version. Raises ConflictError when it exists."""
        ...

    async def replace(self, lease: Lease) -> Lease:
        """Replaces that very version, and returns it with its new one. Raises ConflictError when it is another."""
        ...

    async def close(self) -> None:
        """Closes the connections to the server."""
        ...


class LeaseStore:
    """One Lease a worker ID, whatever release its pods belong to."""

    name = "lease"

    def __init__(
        self,
        api: LeaseApi,
        *,
        space: str,
        worker_id: int,
        pod: str,
        layout: Layout,
        reserve_ms: int,
        monotonic_ns: Callable[[], int],
    ) -> None:
        self.spans = ReserveSpans(reserve_ms, min(LEAD_MS, reserve_ms))
        self._api = api
        self._worker_id = worker_id
        self._monotonic_ns = monotonic_ns
        self._nonce = secrets.token_hex(8)
        self._own = Lease(
            name=f"respid-{space}-{worker_id}",
            version="",
            identifier="",
            holder=pod,
            nonce=self._nonce,
            write="",
            ceiling_ms=0,
            fingerprint=layout.fingerprint,
            duration_seconds=max(1, reserve_ms // 1000),
        )
        self._current: Lease | None = None  # as it was last read or written
        self._found: Mark | None = None  # what the last holder before this process left
        self._writes: set[str] = set()  # the last one that was confirmed, and those since whose outcome is unknown
        self._is_holder = False
        self._read_ns: int | None = None  # when it was last read while it waits; None when that failed
        self._seen_version = ""
        self._unchanged_ns = 0  # for how long that version has been seen

    async def load(self) -> Mark | None:
        """As `Store.load`; StoreUnavailableError while another pod holds the worker ID."""
        read_ns, self._read_ns = self._read_ns, None
        lease = self._current = await self._api.get(self._own.name)
        if lease is None:
            return self._found  # of one that has vanished since it was read
        self._read_ns = self._monotonic_ns()
        if lease.version != self._seen_version:
            self._seen_version, self._unchanged_ns = lease.version, 0
        elif read_ns is not None:
            self._unchanged_ns += self._read_ns - read_ns
        # A pod of the same name is this one before it was restarted or replaced: should it still run, the ceiling
        # keeps the two apart.
        is_others = lease.holder not in ("", self._own.holder)
        if is_others and self._unchanged_ns / 1e9 < lease.duration_seconds:
            raise StoreUnavailableError(
                f"worker ID {self._worker_id} is held by pod {lease.holder} (Lease {lease.name}): a second release"
                " needs another --worker-id-offset; if that pod is gone, the worker ID is free once its Lease has"
                f" not changed for {lease.duration_seconds} s"
            )
        if lease.nonce != self._nonce:  # else it was written at a former try, whose reply was lost, and is not used
            self._found = Mark(lease.ceiling_ms, lease.fingerprint)
        return self._found

    async def extend(self, ceiling_ms: int) -> None:
        await self._write(replace(self._own, ceiling_ms=ceiling_ms))
        self._is_holder = True

    async def release(self, mark_ms: int) -> None:
        await self._write(replace(self._own, ceiling_ms=mark_ms, holder=""))

    async def close(self) -> None:
        await self._api.close()

    async def _write(self, wanted: Lease) -> None:
        wanted = replace(wanted, write=secrets.token_hex(8))
        self._writes.add(wanted.write)
        try:
            await self._compare_and_set(wanted)
        except ConflictError:
            await self._read_again(wanted)
        self._writes = {wanted.write}

    async def _compare_and_set(self, wanted: Lease) -> None:
        current = self._current
        if current is None:
            self._current = await self._api.create(wanted)
        else:
            wanted = replace(wanted, version=current.version, identifier=current.identifier)
            self._current = await self._api.replace(wanted)

    async def _read_again(self, wanted: Lease) -> None:
        """Tells a write of its own, whose reply was lost, from one of another holder."""
        lease = await self._api.get(wanted.name)
        if lease is not None and (lease.nonce != self._nonce or lease.write not in self._writes):
            taken = f"worker ID {self._worker_id} was taken by pod {lease.holder or 'unknown'}"
            if lease.nonce == self._nonce:
                taken += ", a copy of this process, as restored snapshots are"
            if not self._is_holder:
                raise StoreUnavailableError(taken)
            raise HolderLostError(f"{taken} (Lease {lease.name})")
        if lease is None and not self._is_holder:
            raise StoreUnavailableError(f"Lease {wanted.name} has vanished")
        self._current = lease
        if lease is not None and lease.write == wanted.write:
            return
        try:
            await self._compare_and_set(wanted)
        except ConflictError:
            raise StoreUnavailableError(f"Lease {wanted.name} changes while it is being written") from None
