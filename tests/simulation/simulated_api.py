"""An API server as the lease store sees it: slow, away at times, losing replies to what it has done, and stale."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from respid.highwater.stores import StoreError, StoreUnavailableError
from respid.highwater.stores.lease import ConflictError, Lease
from tests.simulation.rare_states import Rare, Reached
from tests.simulation.scheduler import SECOND, Process, Scheduler

SLACK_SECONDS = 1.5  # for a read that began before an outage


class WorkerIdStolenError(AssertionError):
    """A worker ID went to a pod of another name before its Lease had been left alone for long enough.

    The time in which nobody could reach the API server does not count.
    """


@dataclass
class SimulatedApi:
    """One namespace. It serves what is on its way even if the process that asked has died."""

    scheduler: Scheduler
    reached: Reached
    fails: bool = False
    is_stale: bool = False
    is_list_forbidden: bool = False  # to all
    lists_fail: bool = False  # while other requests are served
    write_seconds: float = 0  # that each write takes longer
    faults: tuple[str, ...] = ("refused", "request", "reply", "late")  # the ways in which requests fail
    leases: dict[str, Lease] = field(default_factory=dict)
    former: dict[str, Lease | None] = field(default_factory=dict)  # each as it was before its last change
    changed_ns: dict[str, int] = field(default_factory=dict)
    outages: list[tuple[int, int]] = field(default_factory=list)
    unheard: set[str] = field(default_factory=set)  # nonces of the processes to which the reply to a write was lost
    deleted: set[str] = field(default_factory=set)
    _versions: int = 0

    def fail(self) -> None:
        if not self.fails:
            self.fails = True
            self.outages.append((self.scheduler.now_ns, 1 << 62))

    def recover(self) -> None:
        if self.fails:
            self.fails = False
            self.outages[-1] = self.outages[-1][0], self.scheduler.now_ns

    def _silent_seconds(self, name: str) -> tuple[float, float]:
        """For how long the Lease has not changed, in all and while requests were served."""
        since_ns, now_ns = self.changed_ns[name], self.scheduler.now_ns
        lost_ns = sum(max(0, min(end_ns, now_ns) - max(begin_ns, since_ns)) for begin_ns, end_ns in self.outages)
        return (now_ns - since_ns) / SECOND, (now_ns - since_ns - lost_ns) / SECOND

    def create(self, lease: Lease) -> Lease:
        if lease.name in self.leases:
            raise ConflictError
        return self._store(replace(lease, identifier=str(self._versions)))

    def replace(self, lease: Lease) -> Lease:
        current = self.leases.get(lease.name)
        if current is None or (current.version, current.identifier) != (lease.version, lease.identifier):
            self.reached.add(Rare.CONFLICT)
            raise ConflictError
        if current.nonce != lease.nonce and current.holder not in ("", lease.pod):
            silent_seconds, served_seconds = self._silent_seconds(lease.name)
            if min(silent_seconds, served_seconds + SLACK_SECONDS) < current.duration_seconds:
                raise WorkerIdStolenError(f"{lease.holder} took {current} after {silent_seconds} s")
            self.reached.add(Rare.TAKEN_FROM_SILENT_POD)
        if current.nonce == lease.nonce and lease.holder and lease.ceiling_ms < current.ceiling_ms:
            self.reached.add(Rare.CEILING_LOWERED)
        return self._store(lease)

    def get(self, name: str) -> Lease | None:
        if self.is_stale and name in self.former and self.scheduler.random.random() < 0.3:
            self.reached.add(Rare.STALE_READ)
            return self.former[name]
        lease = self.leases.get(name)
        if lease is not None and lease.is_damaged:
            raise StoreError(f"Lease {name} is damaged")
        return lease

    def list_all(self) -> list[Lease]:
        if self.is_list_forbidden:
            raise StoreError("the service account may not list leases")
        if self.lists_fail:
            raise StoreUnavailableError("the list took too long")
        return list(self.leases.values())

    def delete(self, name: str) -> None:
        if lease := self.leases.pop(name, None):
            self.former[name] = lease
            self.deleted.add(lease.nonce)

    def damage(self, name: str) -> None:
        """Somebody edits the Lease: it holds no mark any more."""
        if lease := self.leases.get(name):
            self._versions += 1
            self.leases[name] = replace(lease, version=str(self._versions), ceiling_ms=0, fingerprint="")

    def restore(self, leases: dict[str, Lease]) -> None:
        """As from a backup of etcd: other Leases may have the versions that these had."""
        self.leases = dict(leases)
        self.former.clear()
        self.changed_ns = dict.fromkeys(leases, -(10**12))  # what pods saw before says nothing any more

    def _store(self, lease: Lease) -> Lease:
        self._versions += 1
        self.former[lease.name] = self.leases.get(lease.name)
        stored = self.leases[lease.name] = replace(lease, version=str(self._versions))
        self.changed_ns[lease.name] = self.scheduler.now_ns
        if lease.nonce in self.unheard:
            self.unheard.remove(lease.nonce)
            self.reached.add(Rare.LOST_REPLY_RECOGNISED)
        if lease.nonce in self.deleted:
            self.reached.add(Rare.MARK_REWRITTEN)
        return stored


class ApiClient:
    """The requests of one process. Implements `LeaseApi`."""

    def __init__(self, api: SimulatedApi, process: Process) -> None:
        self._api = api
        self._process = process
        self._random = api.scheduler.random
        self._misses_list = False  # since its last write

    async def get(self, name: str) -> Lease | None:
        self._misses_list = False
        found: Lease | None = await self._request(lambda: self._api.get(name))
        return found

    async def list_all(self) -> list[Lease]:
        is_late = self._misses_list
        self._misses_list = True
        found: list[Lease] = await self._request(self._api.list_all)
        self._misses_list = False
        if is_late:
            self._api.reached.add(Rare.LISTED_LATE)
        return found

    async def create(self, lease: Lease) -> Lease:
        self._misses_list = False
        created: Lease = await self._request(lambda: self._api.create(lease), lease.nonce)
        return created

    async def replace(self, lease: Lease) -> Lease:
        self._misses_list = False
        replaced: Lease = await self._request(lambda: self._api.replace(lease), lease.nonce)
        return replaced

    async def report(self, reason: str, message: str) -> None:
        pass

    async def close(self) -> None:
        pass

    async def _request(self, serve: Callable[[], Any], writer: str = "") -> Any:
        """Raises StoreUnavailableError when no reply comes."""
        if (interruption_seconds := self._process.interruption_seconds()) > 0:
            await asyncio.sleep(interruption_seconds)
        fails = self._api.fails or self._process.host.is_cut_off
        fault = self._random.choice(self._api.faults) if fails else ""
        reply: asyncio.Future[Any] = self._process.create_future()
        if fault in ("refused", "request"):
            await asyncio.sleep(0.001 if fault == "refused" else self._some_seconds() * 3)
            raise StoreUnavailableError(f"lost: {fault}")
        seconds = self._some_seconds() * (10 if fault == "late" else 1) + (self._api.write_seconds if writer else 0)
        self._api.scheduler.after(seconds, None, self._serve, serve, writer, fault, reply)
        if fault:
            await asyncio.sleep(self._some_seconds())
            raise StoreUnavailableError(f"lost: {fault}")
        return await reply

    def _serve(self, serve: Callable[[], Any], writer: str, fault: str, reply: asyncio.Future[Any]) -> None:
        """At the server: it knows nothing about the process."""
        settle: Callable[[Any], None] = reply.set_result
        result: Any
        try:
            result = serve()
        except (ConflictError, StoreError) as error:
            result, settle = error, reply.set_exception
        else:
            self._note(writer, fault)
        if not fault:
            late_seconds = self._random.choice((1, 2, 3)) if self._process.host.hears_late else 0
            self._process.call_later(self._some_seconds() + late_seconds, self._answer, reply, settle, result)

    @staticmethod
    def _answer(reply: asyncio.Future[Any], settle: Callable[[Any], None], result: Any) -> None:
        if not reply.done():
            settle(result)

    def _note(self, writer: str, fault: str) -> None:
        if not writer:
            return
        if self._process.is_dead:
            self._api.reached.add(Rare.WRITE_OF_THE_DEAD)
        if fault == "late":
            self._api.reached.add(Rare.LATE_WRITE)
        elif fault == "reply":
            self._api.unheard.add(writer)

    def _some_seconds(self) -> float:
        return self._random.choice((0.0001, 0.001, 0.01, 0.1, 0.5))
