"""The high-water mark in a Kubernetes Lease, which any pod of the cluster sees. Talks to no server itself.

Every write is a compare-and-set on the Lease's resourceVersion. A worker that does not know whether a write was applied
reads the Lease again and looks for the nonce that it wrote: if it finds its own it is still the holder, if it finds
another it is not. Each write is marked too, which distinguishes it from the writes of a copy of the process.

The Leases also show which layouts an ID space uses, and which worker IDs other pods of the same StatefulSet have in
other ID spaces. A start writes its own Lease first and lists all of them then, and issues IDs only if nothing there
forbids it; so of two that start at the same time at least one sees the other. A holder does the same at each extension:
others may have considered it gone, and it cannot know, since the clocks of a virtual machine need not show that it was
paused.

https://kubernetes.io/docs/concepts/architecture/leases/
"""

import asyncio
import logging
import math
import secrets
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from respid.highwater.stores import (
    NO_ID,
    HolderLostError,
    Mark,
    StoreError,
    StoreUnavailableError,
    Survey,
    UnconfirmedError,
    printable,
)
from respid.highwater.stores.lease_space import (
    Lease,
    Silence,
    explain_held,
    explain_other_layout,
    find_other_layout,
    left_behind,
    related,
)
from respid.ids.layout import Layout
from respid.ids.reservation import ReserveSpans

__all__ = ["ConflictError", "Lease", "LeaseApi", "LeaseStore"]

LEAD_MS = 10_000  # how far a reservation reaches in a lead: an extension every 5 s
REPORT_SECONDS = 300  # between two Events about the same thing
STEPS_ASIDE = 16  # how many different times starts that met wait, so that they do not meet again
_log = logging.getLogger(__name__)


class ConflictError(Exception):
    """The Lease is not as it was when it was read: it was changed, deleted, or created by somebody else meanwhile."""


class LeaseApi(Protocol):
    """The requests to the API server. After a StoreUnavailableError, which all may raise, a write may be applied."""

    async def get(self, name: str) -> Lease | None:
        """The Lease; None if it does not exist. Raises StoreError if it is not one of respid's."""
        ...

    async def list_all(self) -> Sequence[Lease]:
        """All Leases of respid in the namespace. One that is damaged has no fingerprint.

        Raises StoreError if they cannot be listed.
        """
        ...

    async def create(self, lease: Lease) -> Lease:
        """Creates it and returns it with its version. Raises ConflictError if it exists."""
        ...

    async def replace(self, lease: Lease) -> Lease:
        """Replaces exactly that version and returns it with its new one. Raises ConflictError if it is another."""
        ...

    async def report(self, reason: str, message: str) -> None:
        """Creates an Event about this pod, if possible. Never raises."""
        ...

    async def close(self) -> None:
        """Closes the connections to the server."""
        ...


class LeaseStore:
    """One Lease per worker ID, whatever release its pods belong to."""

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
        self._layout = layout
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
            duration_seconds=math.ceil(reserve_ms / 1000),
            pod=pod,
        )
        self._current: Lease | None = None  # as it was last read or written
        self._found: Lease | None = None  # as the last holder before this process left it
        self._elsewhere_ms = layout.epoch_ms  # as `_reached_elsewhere_ms`, when the marks were read
        self._writes: set[str] = set()  # the last one that was confirmed, and those since whose outcome is unknown
        self._is_holder = False
        self._silence = Silence(monotonic_ns)
        self._can_list = True
        self._damaged: set[str] = set()  # the names of other workers' Leases without a mark, as last listed
        self._readable: dict[str, Lease] = {}  # other workers' Leases, as they were when they last had a mark
        self._surveyed_damage: set[str] = set()  # `_damaged` when the marks were surveyed
        self._reported: dict[str, int] = {}  # reasons of Events, and when they were created

    async def load(self) -> Survey:
        """As `Store.load`. StoreUnavailableError while another pod holds the worker ID, or another layout is in use."""
        lease, others = await self._read()
        self._silence.recall(lease.gone_writes if lease else frozenset())
        self._refuse_damaged(others or ())
        if held := self._find_held([*([lease] if lease else []), *left_behind(others or (), self._own)]):
            await self._wait("WorkerIDHeld", explain_held(held, self._own))
        await self._refuse_other_layouts(others or ())
        if lease is not None and lease.nonce != self._nonce:  # else a former try of this start wrote it: not used
            self._found = lease
        survey = self._survey(others)
        self._surveyed_damage = self._damaged
        self._own = replace(
            self._own, former_id=survey.former_id(self._layout), gone_writes=self._find_gone_writes(others or ())
        )
        self._silence.recall(self._own.gone_writes)  # to edit such a Lease does not bring its holder back
        self._elsewhere_ms = self._reached_elsewhere_ms(others or ())
        return survey

    async def extend(self, ceiling_ms: int) -> None:
        former, wanted = self._former(), replace(self._own, ceiling_ms=ceiling_ms)
        await self._write(wanted)
        await self._confirm(former or wanted)
        self._is_holder = True

    def _former(self) -> Lease | None:
        """The Lease to give back if this worker may not use it; None if a holder's has vanished."""
        if self._is_holder:
            return self._current
        return self._found or replace(self._own, ceiling_ms=self._layout.epoch_ms, former_id=NO_ID)

    async def release(self, mark_ms: int) -> None:
        await self._write(replace(self._own, ceiling_ms=mark_ms, holder=""))

    def stands(self) -> bool:
        return True

    async def close(self) -> None:
        await self._api.close()

    async def _read(self) -> tuple[Lease | None, Sequence[Lease] | None]:
        """The own Lease, and those of all others; None for these if they cannot be known."""
        try:
            lease = self._current = await self._api.get(self._own.name)
            others = await self._list_others()
        except StoreError:
            self._silence.interrupt()
            raise
        self._silence.note([*([lease] if lease else []), *(others or ())])
        return lease, others

    async def _list_others(self) -> Sequence[Lease] | None:
        try:
            leases = await self._api.list_all()
        except StoreUnavailableError:
            raise
        except StoreError as error:
            if self._can_list:
                _log.warning(
                    "other workers' layouts and marks are unknown: %s", error, extra={"event": "leases_unknown"}
                )
            self._can_list = False
            return None
        self._can_list = True
        others = [lease for lease in leases if lease.name != self._own.name]
        self._note_damaged({lease.name for lease in others if lease.is_damaged})
        self._readable |= {lease.name: lease for lease in others if not lease.is_damaged}
        return others

    def _note_damaged(self, names: set[str]) -> None:
        for name in sorted(names - self._damaged):
            message = "ignoring Lease %s of another worker, which holds no high-water mark of respid"
            _log.warning(message, name, extra={"event": "lease_damaged"})
        self._damaged = names

    def _refuse_damaged(self, others: Sequence[Lease]) -> None:
        """Raises StoreError if this worker ID's mark in another ID space cannot be read any more."""
        for lease in left_behind(others, self._own):
            if lease.is_damaged:
                raise StoreError(
                    f"Lease {lease.name}, which this StatefulSet used before, holds no high-water mark of respid:"
                    " delete it, and start with --start-above set to the greatest ID issued"
                )

    async def _refuse_other_layouts(self, others: Sequence[Lease]) -> None:
        if lease := find_other_layout(others, self._own, self._silence):
            await self._wait("LayoutInUse", explain_other_layout(lease, self._own))

    def _find_gone_writes(self, others: Sequence[Lease]) -> frozenset[str]:
        """The last writes of holders that would keep this worker waiting, if they are gone: nobody need wait again."""
        elsewhere = left_behind(others, self._own)
        held = (each for each in related(others, self._own) if each.holder and not each.is_damaged)
        in_the_way = (each for each in held if each.fingerprint != self._own.fingerprint or each in elsewhere)
        return frozenset(each.write for each in in_the_way if each.write and self._silence.is_gone(each))

    def _survey(self, others: Sequence[Lease] | None) -> Survey:
        if others is None:
            return Survey(self._found.mark if self._found else None, knows_all=False)
        elsewhere = left_behind(others, self._own)
        neighbours = [lease for lease in related(others, self._own) if lease not in elsewhere]
        readable = [lease for lease in neighbours if not lease.is_damaged]
        marks = [self._readable[lease.name].mark for lease in neighbours if lease.name in self._readable]
        own_marks = [lease.mark for lease in (self._found, *elsewhere) if lease]
        merged = _merge(own_marks, self._own.fingerprint)
        own = merged[0] if merged else None
        marks += merged[1:]
        alike = [lease for lease in readable if lease.fingerprint == self._own.fingerprint]
        is_layout_in_use = any(not self._silence.is_gone(lease) for lease in alike)
        return Survey(own, tuple(marks), is_layout_in_use, knows_all=len(readable) == len(neighbours))

    async def _wait(self, reason: str, message: str) -> None:
        """Raises StoreUnavailableError, and reports it as an Event about the pod."""
        now_ns = self._monotonic_ns()
        if now_ns - self._reported.get(reason, -REPORT_SECONDS * 10**9) >= REPORT_SECONDS * 10**9:
            self._reported[reason] = now_ns
            await self._api.report(reason, message)
        raise StoreUnavailableError(message)

    async def _confirm(self, former: Lease) -> None:
        """Gives the worker ID back, as it was, if another pod came to use it, or another layout, before the write."""
        try:
            others = await self._list_others() or ()
        except StoreUnavailableError as error:
            raise UnconfirmedError(str(error), partial(self._confirm_later, former)) from None
        reason, message = self._find_objection(others)
        if not message:
            return
        await self._write(replace(former, nonce=self._nonce, holder=""))
        if self._is_holder:
            raise HolderLostError(message)
        if not reason:
            raise StoreUnavailableError(message)
        await asyncio.sleep(zlib.crc32(f"{self._own.pod} {self._worker_id}".encode()) % STEPS_ASIDE / STEPS_ASIDE)
        await self._wait(reason, message)

    async def _confirm_later(self, former: Lease) -> None:
        """Confirms a write that was some time ago, if nobody has changed the Lease since."""
        await self._confirm(former)
        lease = await self._api.get(self._own.name)
        if lease is None or self._current is None or lease.version != self._current.version:
            raise StoreUnavailableError(f"Lease {self._own.name} was changed before its extension was confirmed")
        self._is_holder = True

    def _find_objection(self, others: Sequence[Lease]) -> tuple[str, str]:
        """Why the own Lease, which is written, may not be used: the reason for an Event, if any, and a message."""
        if lease := find_other_layout(others, self._own, self._silence):
            return "LayoutInUse", explain_other_layout(lease, self._own)
        elsewhere = left_behind(others, self._own)
        if lease := self._find_held(elsewhere):
            return "WorkerIDHeld", explain_held(lease, self._own)
        if self._reached_elsewhere_ms(others) > self._elsewhere_ms:
            return "", "the mark of this worker ID in another ID space has risen meanwhile"
        concerned = related(others, self._own)
        # A holder that stopped for another worker's Lease would only start again without it.
        if lease := self._find_damaged_since(elsewhere if self._is_holder else concerned):
            return "", f"Lease {lease.name} lost its high-water mark meanwhile"
        known = Survey(None, tuple(each.mark for each in concerned if not each.is_damaged))
        if known.former_id(self._layout) > self._own.former_id:
            return "", "the marks of another layout have risen meanwhile"
        return "", ""

    def _find_damaged_since(self, leases: Sequence[Lease]) -> Lease | None:
        """A Lease that had a mark when the marks were surveyed. It may have risen before it was lost."""
        damaged = (lease for lease in leases if lease.is_damaged and lease.name not in self._surveyed_damage)
        return next(damaged, None)

    def _reached_elsewhere_ms(self, others: Sequence[Lease]) -> int:
        """The mark of this worker ID in other ID spaces, in this layout and Unix milliseconds; at least the epoch."""
        marks = [each.mark for each in left_behind(others, self._own)]
        return max(
            [self._layout.epoch_ms, *(mark.ceiling_ms for mark in marks if mark.fingerprint == self._own.fingerprint)]
        )

    def _find_held(self, leases: Sequence[Lease]) -> Lease | None:
        """A Lease of this worker ID that another pod holds.

        A pod of the same name is this one before it was restarted or replaced: if it still runs, the ceiling keeps the
        two apart.
        """
        held = (each for each in leases if each.holder != self._own.holder and not self._silence.is_gone(each))
        return next(held, None)

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
        """Finds out who changed the Lease: an own write whose reply was lost, or another holder."""
        lease = await self._api.get(wanted.name)
        if lease is not None and (lease.nonce != self._nonce or lease.write not in self._writes):
            taken = f"worker ID {self._worker_id} was taken by pod {printable(lease.holder) or 'unknown'}"
            if lease.nonce == self._nonce:
                taken += ", a copy of this process (was a snapshot or a backup restored?)"
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


def _merge(marks: Iterable[Mark], fingerprint: str) -> list[Mark]:
    """The marks of one worker ID in all ID spaces: the greatest of each layout, beginning with that of this layout."""
    greatest: dict[str, Mark] = {}
    for mark in marks:
        known = greatest.setdefault(mark.fingerprint, mark)
        greatest[mark.fingerprint] = known._replace(
            ceiling_ms=max(known.ceiling_ms, mark.ceiling_ms), former_id=max(known.former_id, mark.former_id)
        )
    return sorted(greatest.values(), key=lambda mark: mark.fingerprint != fingerprint)
