"""Leases at a Kubernetes API server, by way of lightkube. Decides nothing: what to write is the lease store's."""

import asyncio
import re
import ssl
from collections.abc import Awaitable
from datetime import UTC, datetime
from http import HTTPStatus

import httpx2
from lightkube import AsyncClient, ConfigError
from lightkube.core.exceptions import ApiError
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources import coordination_v1

from respid.highwater.stores import StoreError, StoreUnavailableError
from respid.highwater.stores.lease import ConflictError, Lease

TIMEOUT_SECONDS = 5.0  # for a request; a reservation lasts minutes, so there is time for many
_WRITE = "respid.io/write"
_CEILING = "respid.io/ceiling-ms"
_NONCE = "respid.io/nonce"
_FINGERPRINT = "respid.io/layout"
_LABELS = {"app.kubernetes.io/name": "respid", "app.kubernetes.io/component": "high-water-mark"}


class _NotFoundError(Exception):
    """There is no such Lease."""


class KubernetesLeaseApi:
    """The Leases of one namespace: the pod's own, else the kubeconfig's. Raises StoreError when neither is there."""

    def __init__(self, namespace: str | None = None) -> None:
        try:
            self._client = AsyncClient(namespace=namespace, timeout=httpx2.Timeout(TIMEOUT_SECONDS))
        except (ConfigError, OSError, ssl.SSLError) as error:
            raise StoreError(
                f"no Kubernetes API server is configured ({error}): run in a pod with a service account, set"
                " KUBECONFIG, or choose another --store"
            ) from None

    async def get(self, name: str) -> Lease | None:
        try:
            return await self._request(self._client.get(coordination_v1.Lease, name), "get", name)
        except _NotFoundError:
            return None

    async def create(self, lease: Lease) -> Lease:
        return await self._request(self._client.create(_to_kubernetes(lease)), "create", lease.name)

    async def replace(self, lease: Lease) -> Lease:
        return await self._request(self._client.replace(_to_kubernetes(lease)), "update", lease.name)

    async def close(self) -> None:
        await self._client.close()

    async def _request(self, request: Awaitable[coordination_v1.Lease], verb: str, name: str) -> Lease:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):  # for all of it: httpx's own is for each piece that comes
                found = await request
        except TimeoutError:
            raise StoreUnavailableError(
                f"the Kubernetes API server did not answer within {TIMEOUT_SECONDS:g} s"
            ) from None
        except httpx2.HTTPStatusError as error:
            raise self._translate(error, verb, name) from None
        except Exception as error:  # noqa: BLE001 - lightkube lets through what JSON, TLS and token files raise
            reason = str(error) or type(error).__name__
            raise StoreUnavailableError(f"the Kubernetes API server does not answer: {reason}") from None
        return _from_kubernetes(found)

    def _translate(self, error: httpx2.HTTPStatusError, verb: str, name: str) -> Exception:
        status = error.response.status_code
        if verb == "get" and status == HTTPStatus.NOT_FOUND and isinstance(error, ApiError):
            return _NotFoundError()
        if verb != "get" and status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
            return ConflictError(str(error))
        if f"cannot {verb} resource" in str(error):  # else what is forbidden is not for want of a right
            return StoreUnavailableError(
                f"the service account may not {verb} leases.coordination.k8s.io in namespace {self._client.namespace}:"
                " its Role needs the verbs get, create and update"
            )
        return StoreUnavailableError(f"the Kubernetes API server answers {status} to {verb} Lease {name}: {error}")


def _from_kubernetes(found: coordination_v1.Lease) -> Lease:
    metadata, spec = found.metadata or ObjectMeta(), found.spec or LeaseSpec()
    annotations = metadata.annotations or {}
    ceiling = annotations.get(_CEILING, "")
    if not (re.fullmatch("[0-9]{1,18}", ceiling) and _FINGERPRINT in annotations):
        raise StoreError(
            f"Lease {metadata.name} holds no high-water mark of respid ({_CEILING} is {ceiling!r}): without it respid"
            " cannot know which IDs were issued; restore it, or, when the clock is right, delete it and start again"
        )
    return Lease(
        name=metadata.name or "",
        version=metadata.resourceVersion or "",
        identifier=metadata.uid or "",
        holder=spec.holderIdentity or "",
        nonce=annotations.get(_NONCE, ""),
        write=annotations.get(_WRITE, ""),
        ceiling_ms=int(ceiling),
        fingerprint=annotations[_FINGERPRINT],
        duration_seconds=spec.leaseDurationSeconds or 0,
    )


def _to_kubernetes(lease: Lease) -> coordination_v1.Lease:
    return coordination_v1.Lease(
        metadata=ObjectMeta(
            name=lease.name,
            labels=_LABELS,
            annotations={
                _CEILING: str(lease.ceiling_ms),
                _NONCE: lease.nonce,
                _WRITE: lease.write,
                _FINGERPRINT: lease.fingerprint,
            },
            resourceVersion=lease.version or None,
            uid=lease.identifier or None,
        ),
        # renewTime is for people who look: it is another machine's clock, and nothing here reads it.
        spec=LeaseSpec(
            holderIdentity=lease.holder,
            leaseDurationSeconds=lease.duration_seconds,
            renewTime=datetime.now(UTC),
        ),
    )
