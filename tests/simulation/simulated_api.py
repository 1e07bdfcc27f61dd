"""Simulates an API server for the lease store: it is slow, sometimes unavailable, and can lose its replies."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field, replace
from random import Random
from typing import TypeVar

from respid.highwater.stores import StoreUnavailableError
from respid.highwater.stores.lease import ConflictError, Lease

Result = TypeVar("Result")


class WorkerIdStolenError(AssertionError):
    """A worker ID moved to a pod of another name before the Lease had expired."""


@dataclass
class SimulatedApi:
    """One namespace. Requests in flight are still executed after their process is killed."""

    random: Random
    fails: bool = False
    faults: tuple[str, ...] = ("request", "reply", "late")  # how it fails: what is lost, or arrives late
    leases: dict[str, Lease] = field(default_factory=dict)
    changed_at: dict[str, float] = field(default_factory=dict)
    nonces: dict[str, None] = field(default_factory=dict)  # of the holders, in the order of their last takeover
    violation: AssertionError | None = None
    _versions: int = 0

    async def get(self, name: str) -> Lease | None:
        return await self._request(lambda: self.leases.get(name))

    async def list_all(self) -> list[Lease]:
        return await self._request(lambda: list(self.leases.values()))

    async def report(self, reason: str, message: str) -> None:
        pass

    async def create(self, lease: Lease) -> Lease:
        return await self._request(lambda: self._create(lease))

    async def replace(self, lease: Lease) -> Lease:
        return await self._request(lambda: self._replace(lease))

    async def close(self) -> None:
        pass

    def _create(self, lease: Lease) -> Lease:
        if lease.name in self.leases:
            raise ConflictError
        return self._store(replace(lease, identifier=str(self._versions)))

    def _replace(self, lease: Lease) -> Lease:
        current = self.leases.get(lease.name)
        if current is None or (current.version, current.identifier) != (lease.version, lease.identifier):
            raise ConflictError
        silent_seconds = asyncio.get_running_loop().time() - self.changed_at[lease.name]
        if current.holder not in ("", lease.holder) and lease.holder and silent_seconds < current.duration_seconds:
            self.violation = WorkerIdStolenError(f"{lease.holder} took {current} after {silent_seconds} s")
        return self._store(lease)

    def _store(self, lease: Lease) -> Lease:
        self._versions += 1
        stored = self.leases[lease.name] = replace(lease, version=str(self._versions))
        # The last place counts: a process that took over without noticing, and lost it again, has issued nothing.
        if lease.nonce != next(reversed(self.nonces), None):
            self.nonces.pop(lease.nonce, None)
        self.nonces.setdefault(lease.nonce)
        self.changed_at[lease.name] = asyncio.get_running_loop().time()
        return stored

    async def _request(self, serve: Callable[[], Result]) -> Result:
        await asyncio.sleep(self._some_seconds())
        fault = self.random.choice(self.faults) if self.fails else ""
        if not fault:
            result = serve()
        elif fault == "reply":
            serve_unheard(serve)
        elif fault == "late":
            loop = asyncio.get_running_loop()
            loop.call_later(self._some_seconds() * 10, serve_unheard, serve, context=Context())
        await asyncio.sleep(self._some_seconds())
        if fault:
            raise StoreUnavailableError(f"lost: {fault}")
        return result

    def _some_seconds(self) -> float:
        return self.random.choice([0, 0.001, 0.01, 0.1, 1])


def serve_unheard(serve: Callable[[], object]) -> None:
    try:
        serve()
    except ConflictError:
        return
