"""Leases and Events at a Kubernetes API server, through lightkube. Decides nothing: the lease store does."""

import asyncio
import logging
import re
import ssl
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

import httpx2
from lightkube import AsyncClient, ConfigError
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ApiError
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources import coordination_v1, core_v1

from respid.highwater.stores import NO_ID, StoreError, StoreUnavailableError
from respid.highwater.stores.lease import ConflictError
from respid.highwater.stores.lease_space import Lease
from respid.ids.layout import Layout

TIMEOUT_SECONDS = 5.0  # for a request; a reservation lasts minutes, so there is time for many
LEASES_PER_REPLY = 250  # to decode them holds up clients for 9 ms
_WRITE = "respid.io/write"
_CEILING = "respid.io/ceiling-ms"
_NONCE = "respid.io/nonce"
_FINGERPRINT = "respid.io/layout"
_FORMER_ID = "respid.io/former-id"
_POD = "respid.io/pod"
_GONE_WRITES = "respid.io/gone-writes"
MAX_EVENT_MESSAGE = 1024  # the API server refuses a longer one
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)
_LABELS = {"app.kubernetes.io/name": "respid", "app.kubernetes.io/component": "high-water-mark"}


class _NotFoundError(Exception):
    """The Lease does not exist."""


def _configuration() -> SingleConfig:
    """The API server and the account of this pod, or of the kubeconfig. Raises ConfigError."""
    config = KubeConfig.from_env().get()
    if config is None:
        raise ConfigError("the kubeconfig has no current context")
    return config


def _verification(config: SingleConfig) -> ssl.SSLContext:
    """How the API server's certificate is verified. Raises ConfigError, OSError or ssl.SSLError.

    Python 3.13 refuses CA certificates without the extensions of RFC 5280, which many clusters have; kubectl does not.
    """
    context = verify_cluster(config.cluster, config.user or User(), config.abs_file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class KubernetesLeaseApi:
    """The Leases of one namespace: the pod's own, else the kubeconfig's. Raises StoreError if neither exists.

    `pod` and `pod_uid` are what Events are about; without a uid `kubectl describe pod` does not show them.
    """

    def __init__(self, namespace: str | None = None, *, pod: str = "", pod_uid: str = "") -> None:
        self._pod, self._pod_uid = pod, pod_uid
        try:
            config = _configuration()
            self._client = AsyncClient(
                config,
                namespace=namespace,
                transport=httpx2.AsyncHTTPTransport(verify=_verification(config)),
            )
        except Exception as error:  # noqa: BLE001 - lightkube lets through what a damaged kubeconfig raises
            reason = " ".join(str(error).split()) or type(error).__name__
            raise StoreError(
                f"no Kubernetes API server is configured ({reason}): run in a pod with a service account, set"
                " KUBECONFIG, or choose another --store"
            ) from None

    async def get(self, name: str) -> Lease | None:
        try:
            return _from_kubernetes(await self._request(self._client.get(coordination_v1.Lease, name), "get", name))
        except _NotFoundError:
            return None

    async def list_all(self) -> Sequence[Lease]:
        found = await self._request(self._list(), "list", "")
        return [_from_kubernetes(each) if _has_mark(each) else _without_mark(each) for each in found]

    async def create(self, lease: Lease) -> Lease:
        request = self._client.create(_to_kubernetes(lease))
        return _from_kubernetes(await self._request(request, "create", lease.name))

    async def replace(self, lease: Lease) -> Lease:
        request = self._client.replace(_to_kubernetes(lease))
        return _from_kubernetes(await self._request(request, "update", lease.name))

    async def report(self, reason: str, message: str) -> None:
        now = datetime.now(UTC)
        event = core_v1.Event(
            metadata=ObjectMeta(generateName=f"{self._pod}."[:50], namespace=self._client.namespace),
            involvedObject=ObjectReference(
                apiVersion="v1", kind="Pod", name=self._pod, namespace=self._client.namespace, uid=self._pod_uid or None
            ),
            type="Warning",
            reason=reason,
            message=message[:MAX_EVENT_MESSAGE],
            source=EventSource(component="respid"),
            firstTimestamp=now,
            lastTimestamp=now,
            count=1,
        )
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._client.create(event)
        except Exception as error:  # noqa: BLE001 - an Event is a courtesy: whatever happens, the start goes on
            _log.debug("cannot create an Event: %s", error, extra={"event": "event_not_created"})

    async def close(self) -> None:
        await self._client.close()

    async def _list(self) -> list[coordination_v1.Lease]:
        labels: dict[str, Any] = dict(_LABELS)
        found = self._client.list(coordination_v1.Lease, labels=labels, chunk_size=LEASES_PER_REPLY)
        return [each async for each in found]

    async def _request(self, request: Awaitable[_Result], verb: str, name: str) -> _Result:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):  # httpx's own limit is longer, and applies to each chunk
                return await request
        except TimeoutError:
            raise StoreUnavailableError(
                f"the Kubernetes API server did not answer within {TIMEOUT_SECONDS:g} s"
            ) from None
        except httpx2.HTTPStatusError as error:
            raise self._translate(error, verb, name) from None
        except Exception as error:  # noqa: BLE001 - lightkube lets through what JSON, TLS and token files raise
            reason = str(error) or type(error).__name__
            raise StoreUnavailableError(f"the Kubernetes API server does not answer: {reason}") from None

    def _translate(self, error: httpx2.HTTPStatusError, verb: str, name: str) -> Exception:
        status = error.response.status_code
        if verb == "get" and status == HTTPStatus.NOT_FOUND and isinstance(error, ApiError):
            return _NotFoundError()
        if verb in ("create", "update") and status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
            return ConflictError(str(error))
        if f"cannot {verb} resource" in str(
            error
        ):  # otherwise it is forbidden for another reason than a missing permission
            missing = self._missing_permission(verb, name)
            # Without it a worker serves, though it does not see the others: a Role of an earlier chart has no list.
            return StoreError(missing) if verb == "list" else StoreUnavailableError(missing)
        advice = ": the token has expired or was revoked" if status == HTTPStatus.UNAUTHORIZED else ""
        return StoreUnavailableError(
            f"the Kubernetes API server answers {status} to {verb} Lease {name}".rstrip() + f": {error}{advice}"
        )

    def _missing_permission(self, verb: str, name: str) -> str:
        what = f"Lease {name}" if name else "Leases"
        # The chart's Role lists names, which a StatefulSet that was scaled by hand may exceed.
        advice = "; if it lists names, add this one (chart: lease.permittedWorkers)" if name else ""
        return (
            f"the service account may not {verb} {what} in namespace {self._client.namespace}:"
            f" its Role needs the verbs get, list, create and update{advice}"
        )


def _from_kubernetes(found: coordination_v1.Lease) -> Lease:
    """Raises StoreError if it is damaged."""
    ceiling, fingerprint, former_id = _mark_of(found)
    if not _has_mark(found):
        name = found.metadata.name if found.metadata else ""
        raise StoreError(
            f"Lease {name} holds no high-water mark of respid ({_CEILING} is {ceiling[:40]!r}, {_FINGERPRINT}"
            f" {fingerprint[:60]!r}): without it respid cannot know which IDs were issued; delete it, and start with"
            " --start-above set to the greatest ID issued"
        )
    lease = _without_mark(found)
    return replace(lease, ceiling_ms=int(ceiling), fingerprint=fingerprint, former_id=int(former_id))


def _mark_of(found: coordination_v1.Lease) -> tuple[str, str, str]:
    """The texts in the annotations that make up the mark."""
    annotations = (found.metadata.annotations if found.metadata else None) or {}
    return annotations.get(_CEILING, ""), annotations.get(_FINGERPRINT, ""), annotations.get(_FORMER_ID, str(NO_ID))


def _has_mark(found: coordination_v1.Lease) -> bool:
    ceiling, fingerprint, former_id = _mark_of(found)
    is_former_id = former_id == str(NO_ID) or _is_number(former_id)
    return _is_number(ceiling) and _is_layout(fingerprint) and is_former_id


def _without_mark(found: coordination_v1.Lease) -> Lease:
    """The Lease without its mark."""
    metadata, spec = found.metadata or ObjectMeta(), found.spec or LeaseSpec()
    annotations = metadata.annotations or {}
    return Lease(
        name=metadata.name or "",
        version=metadata.resourceVersion or "",
        identifier=metadata.uid or "",
        holder=spec.holderIdentity or "",
        nonce=annotations.get(_NONCE, ""),
        write=annotations.get(_WRITE, ""),
        ceiling_ms=0,
        fingerprint="",
        duration_seconds=spec.leaseDurationSeconds or 0,
        pod=annotations.get(_POD, ""),
        gone_writes=frozenset(annotations.get(_GONE_WRITES, "").split()),
    )


def _is_number(text: str) -> bool:
    return re.fullmatch("[0-9]{1,19}", text) is not None


def _is_layout(text: str) -> bool:
    try:
        Layout.parse_fingerprint(text)
    except ValueError:
        return False
    return True


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
                _FORMER_ID: str(lease.former_id),
                _POD: lease.pod,
            }
            | ({_GONE_WRITES: " ".join(sorted(lease.gone_writes))} if lease.gone_writes else {}),
            resourceVersion=lease.version or None,
            uid=lease.identifier or None,
        ),
        # renewTime is for people: it comes from another machine's clock, and respid never reads it.
        spec=LeaseSpec(
            holderIdentity=lease.holder,
            leaseDurationSeconds=lease.duration_seconds,
            renewTime=datetime.now(UTC),
        ),
    )
