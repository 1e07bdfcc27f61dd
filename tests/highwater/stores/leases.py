"""Leases for tests of the lease store: in this process, or at a real API server. Others can change them as well."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from respid.highwater.stores import Mark, StoreError
from respid.highwater.stores.lease import ConflictError, Lease, LeaseApi, LeaseStore
from respid.ids.layout import Layout
from tests.support.scripted_clock import ScriptedClock

LAYOUT = Layout()
MARK_MS = 1_800_000_000_000
MARK = Mark(MARK_MS, LAYOUT.fingerprint)
RESERVE_MS = 300_000
_numbers = itertools.count(time.time_ns() // 1_000_000)


class Leases(Protocol):
    """The Leases of one namespace, and what others do to them."""

    @property
    def api(self) -> LeaseApi: ...

    async def delete(self, name: str) -> None: ...

    async def damage(self, name: str) -> None:
        """Takes the mark out of a Lease."""
        ...

    async def label(self, name: str) -> None:
        """Changes what respid does not use."""
        ...


@dataclass
class LeasesInMemory:
    """As an API server keeps them. Implements `LeaseApi` as well."""

    leases: dict[str, Lease] = field(default_factory=dict)
    reported: list[tuple[str, str]] = field(default_factory=list)
    _versions: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def api(self) -> LeaseApi:
        return self

    async def get(self, name: str) -> Lease | None:
        await asyncio.sleep(0)
        lease = self.leases.get(name)
        if lease is not None and lease.is_damaged:
            raise StoreError(f"Lease {name} holds no high-water mark of respid")
        return lease

    async def list_all(self) -> Sequence[Lease]:
        await asyncio.sleep(0)
        return [self.leases[name] for name in sorted(self.leases)]

    async def create(self, lease: Lease) -> Lease:
        await asyncio.sleep(0)
        if lease.name in self.leases:
            raise ConflictError
        return self._store(replace(lease, identifier=f"uid-{next(self._versions)}"))

    async def replace(self, lease: Lease) -> Lease:
        await asyncio.sleep(0)
        current = self.leases.get(lease.name)
        if current is None or (current.version, current.identifier) != (lease.version, lease.identifier):
            raise ConflictError
        return self._store(lease)

    async def report(self, reason: str, message: str) -> None:
        self.reported.append((reason, message))

    async def close(self) -> None:
        pass

    async def delete(self, name: str) -> None:
        del self.leases[name]

    async def damage(self, name: str) -> None:
        self._store(replace(self.leases[name], ceiling_ms=0, fingerprint=""))

    async def label(self, name: str) -> None:
        self._store(self.leases[name])

    def _store(self, lease: Lease) -> Lease:
        stored = self.leases[lease.name] = replace(lease, version=str(next(self._versions)))
        return stored


@dataclass
class LeasesAtServer:
    """Those of a namespace at the API server of KUBECONFIG."""

    api: LeaseApi
    namespace: str

    async def delete(self, name: str) -> None:
        from lightkube import AsyncClient  # noqa: PLC0415 - not installed everywhere
        from lightkube.resources import coordination_v1  # noqa: PLC0415

        async with AsyncClient(namespace=self.namespace) as client:
            await client.delete(coordination_v1.Lease, name)

    async def damage(self, name: str) -> None:
        await self._patch(name, {"annotations": {"respid.io/ceiling-ms": None}})

    async def label(self, name: str) -> None:
        await self._patch(name, {"labels": {"team": "billing"}})

    async def _patch(self, name: str, metadata: dict[str, Any]) -> None:
        from lightkube import AsyncClient  # noqa: PLC0415
        from lightkube.resources import coordination_v1  # noqa: PLC0415

        async with AsyncClient(namespace=self.namespace) as client:
            await client.patch(coordination_v1.Lease, name, {"metadata": metadata})


@contextlib.asynccontextmanager
async def leases_at_server() -> AsyncIterator[LeasesAtServer]:
    """The Leases of a new namespace."""
    from lightkube import AsyncClient  # noqa: PLC0415
    from lightkube.models.meta_v1 import ObjectMeta  # noqa: PLC0415
    from lightkube.resources import core_v1  # noqa: PLC0415

    from respid.highwater.stores.lease_api import KubernetesLeaseApi  # noqa: PLC0415

    async with AsyncClient() as client:
        name = f"store-{next(_numbers)}"
        await client.create(core_v1.Namespace(metadata=ObjectMeta(name=name)))
        api = KubernetesLeaseApi(name, pod="respid-3", pod_uid="an-uid")
        yield LeasesAtServer(api, name)
        await api.close()
        await client.delete(core_v1.Namespace, name)


def make_store(
    api: LeaseApi,
    space: str,
    pod: str = "respid-3",
    clock: ScriptedClock | None = None,
    *,
    worker_id: int = 3,
    layout: Layout = LAYOUT,
    reserve_ms: int = RESERVE_MS,
) -> LeaseStore:
    return LeaseStore(
        api,
        space=space,
        worker_id=worker_id,
        pod=pod,
        layout=layout,
        reserve_ms=reserve_ms,
        monotonic_ns=(clock or ScriptedClock()).monotonic_ns,
    )
