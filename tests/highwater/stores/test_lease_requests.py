"""The requests of the Lease API, and how it reads the answers. The API server is in this process.

`test_lease_api` and `test_lease_store` compare with a real one.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from respid.highwater.stores import NO_ID, StoreError, StoreUnavailableError, lease_api
from respid.highwater.stores.lease import ConflictError, Lease
from respid.highwater.stores.lease_api import KubernetesLeaseApi
from tests.highwater.stores.leases import LAYOUT, MARK_MS
from tests.support.kubernetes_api_server import write_kubeconfig

LEASES = "/apis/coordination.k8s.io/v1/namespaces/billing/leases"
EVENTS = "/api/v1/namespaces/billing/events"
LABELS = {"app.kubernetes.io/name": "respid", "app.kubernetes.io/component": "high-water-mark"}
NAME = "respid-test-3"
LEASE = Lease(NAME, "", "", "respid-3", "a-nonce", "a-write", MARK_MS, LAYOUT.fingerprint, 300, 77, "respid-3")
ANNOTATIONS = {
    "respid.io/ceiling-ms": str(MARK_MS),
    "respid.io/nonce": "a-nonce",
    "respid.io/write": "a-write",
    "respid.io/layout": LAYOUT.fingerprint,
    "respid.io/former-id": "77",
    "respid.io/pod": "respid-3",
}


Answer = tuple[int, Any] | Exception | None


@dataclass
class ApiServer:
    """Notes the requests and gives these answers: a status and a body, a failure, or none. Then it echoes requests."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx2.Request] = field(default_factory=list)
    verified: list[ssl.SSLContext] = field(default_factory=list)

    def transport(self, *, verify: ssl.SSLContext) -> httpx2.MockTransport:
        self.verified.append(verify)
        return httpx2.MockTransport(self.answer)

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else (200, json.loads(request.content or b"{}"))
        match answer:
            case (status, body):
                return httpx2.Response(status, json=body)
            case Exception():
                raise answer
        await asyncio.Event().wait()
        raise AssertionError

    def sent(self) -> tuple[str, str, Any]:
        """The method, the path and the body of the last request."""
        request = self.requests[-1]
        return request.method, request.url.path, json.loads(request.content or b"null")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ApiServer:
    server = ApiServer()
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", "token")))
    monkeypatch.setattr(httpx2, "AsyncHTTPTransport", server.transport)
    return server


@pytest.fixture
async def api(server: ApiServer) -> AsyncIterator[KubernetesLeaseApi]:
    api = KubernetesLeaseApi("billing", pod="respid-3", pod_uid="an-uid")
    assert len(server.verified) == 1
    yield api
    await api.close()


def stored(**annotations: str | None) -> dict[str, Any]:
    """The Lease as the server has it; with other annotations, of which the prefix and hyphens are left out."""
    changed = ANNOTATIONS | {f"respid.io/{name.replace('_', '-')}": text for name, text in annotations.items()}
    return {
        "metadata": {
            "name": NAME,
            "resourceVersion": "5",
            "uid": "a-uid",
            "annotations": {name: text for name, text in changed.items() if text is not None},
        },
        "spec": {"holderIdentity": "respid-3", "leaseDurationSeconds": 300},
    }


FOUND = replace(LEASE, version="5", identifier="a-uid")


async def test_creates_lease(server: ApiServer, api: KubernetesLeaseApi) -> None:
    created = await api.create(replace(LEASE, gone_writes=frozenset({"b", "a"})))
    method, path, body = server.sent()
    assert (method, path) == ("POST", LEASES)
    assert body["metadata"] == {
        "name": NAME,
        "labels": LABELS,
        "annotations": ANNOTATIONS | {"respid.io/gone-writes": "a b"},
    }
    renewed = datetime.fromisoformat(body["spec"].pop("renewTime"))
    assert abs(datetime.now(UTC) - renewed) < timedelta(minutes=1)
    assert body["spec"] == {"holderIdentity": "respid-3", "leaseDurationSeconds": 300}
    assert created == replace(LEASE, gone_writes=frozenset({"b", "a"}))


async def test_replaces_the_version_that_was_read(server: ApiServer, api: KubernetesLeaseApi) -> None:
    server.answers = [(200, stored(ceiling_ms="9"))]
    assert await api.replace(FOUND) == replace(FOUND, ceiling_ms=9)
    method, path, body = server.sent()
    assert (method, path) == ("PUT", f"{LEASES}/{NAME}")
    metadata = {"name": NAME, "labels": LABELS, "annotations": ANNOTATIONS}
    assert body["metadata"] == metadata | {"resourceVersion": "5", "uid": "a-uid"}


async def test_reads_lease(server: ApiServer, api: KubernetesLeaseApi) -> None:
    server.answers = [
        (200, stored()),
        (200, stored(gone_writes="b a", former_id=None, pod=None, nonce=None, write=None)),
        (200, stored(former_id="-1", ceiling_ms="0")),
    ]
    assert await api.get(NAME) == FOUND
    assert server.sent() == ("GET", f"{LEASES}/{NAME}", None)
    bare = replace(FOUND, gone_writes=frozenset({"a", "b"}), former_id=NO_ID, pod="", nonce="", write="")
    assert await api.get(NAME) == bare
    assert await api.get(NAME) == replace(FOUND, former_id=NO_ID, ceiling_ms=0)


DAMAGED: list[dict[str, str | None]] = [
    {"ceiling_ms": None},
    {"ceiling_ms": ""},
    {"ceiling_ms": "-1"},
    {"ceiling_ms": "1e3"},
    {"ceiling_ms": "9" * 20},
    {"ceiling_ms": f"{MARK_MS}\n"},
    {"layout": None},
    {"layout": "41/10"},
    {"former_id": "x"},
    {"former_id": "-2"},
    {"former_id": ""},
]


@pytest.mark.parametrize("annotations", DAMAGED)
async def test_refuses_lease_without_a_mark(
    server: ApiServer, api: KubernetesLeaseApi, annotations: dict[str, str | None]
) -> None:
    """But a survey lists it: its holder may be alive."""
    server.answers = [(200, stored(**annotations)), (200, {"items": [stored(**annotations)]})]
    with pytest.raises(StoreError, match=f"Lease {NAME} holds no high-water mark of respid") as caught:
        await api.get(NAME)
    assert not isinstance(caught.value, StoreUnavailableError)
    assert await api.list_all() == [replace(FOUND, ceiling_ms=0, fingerprint="", former_id=NO_ID)]


async def test_lists_the_leases_of_respid(server: ApiServer, api: KubernetesLeaseApi) -> None:
    bare: dict[str, Any] = {"metadata": {"name": "respid-test-4"}}
    server.answers = [(200, {"items": [stored(), {}, bare]})]
    none = Lease("", "", "", "", "", "", 0, "", 0)
    assert await api.list_all() == [FOUND, none, replace(none, name="respid-test-4")]
    assert server.sent() == ("GET", LEASES, None)
    assert set(server.requests[0].url.params["labelSelector"].split(",")) == {f"{k}={v}" for k, v in LABELS.items()}


async def test_long_list_comes_in_parts(server: ApiServer, api: KubernetesLeaseApi) -> None:
    server.answers = [(200, {"metadata": {"continue": "here"}, "items": [stored()]}), (200, {"items": [stored()]})]
    assert await api.list_all() == [FOUND] * 2
    asked = [request.url.params for request in server.requests]
    assert [(each.get("limit"), each.get("continue")) for each in asked] == [("250", None), ("250", "here")]


async def ask(api: KubernetesLeaseApi, verb: str) -> object:
    match verb:
        case "get":
            return await api.get(NAME)
        case "list":
            return await api.list_all()
        case "create":
            return await api.create(LEASE)
    return await api.replace(FOUND)


VERBS = ["get", "list", "create", "update"]
REFUSED = {
    ("create", 409): ConflictError,
    ("create", 404): ConflictError,  # the namespace is being deleted
    ("update", 409): ConflictError,
    ("update", 404): ConflictError,
}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
@pytest.mark.parametrize("verb", VERBS)
async def test_error_tells_whether_to_retry(server: ApiServer, api: KubernetesLeaseApi, verb: str, status: int) -> None:
    server.answers = [(status, {"message": "out of order"})]
    if (verb, status) == ("get", 404):
        assert await api.get(NAME) is None
        return
    with pytest.raises(Exception, match="out of order") as caught:
        await ask(api, verb)
    assert type(caught.value) is REFUSED.get((verb, status), StoreUnavailableError)
    assert ("token" in str(caught.value)) == (status == 401)
    if type(caught.value) is StoreUnavailableError:
        name = "" if verb == "list" else f" {NAME}"
        assert f" {status} to {verb} Lease{name}: out of order" in str(caught.value)


@pytest.mark.parametrize("verb", VERBS)
async def test_missing_permission(server: ApiServer, api: KubernetesLeaseApi, verb: str) -> None:
    """Without a list a worker can serve, so only that is not tried again."""
    server.answers = [(403, {"message": f'User "x" cannot {verb} resource "leases"'})]
    what = "Leases" if verb == "list" else f"Lease {NAME}"
    with pytest.raises(StoreError, match=f"may not {verb} {what} in namespace billing") as caught:
        await ask(api, verb)
    assert type(caught.value) is (StoreError if verb == "list" else StoreUnavailableError)


@pytest.mark.parametrize("verb", VERBS)
async def test_server_that_does_not_answer_is_retried(
    server: ApiServer, api: KubernetesLeaseApi, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_api, "TIMEOUT_SECONDS", 0.01)
    server.answers = [None]
    with pytest.raises(StoreUnavailableError, match=r"0\.01 s"):
        await ask(api, verb)


@pytest.mark.parametrize(("error", "shown"), [(OSError("no route"), "no route"), (KeyError(), "KeyError")])
async def test_failure_of_the_client_is_retried(
    server: ApiServer, api: KubernetesLeaseApi, error: Exception, shown: str
) -> None:
    server.answers = [error]
    with pytest.raises(StoreUnavailableError, match=shown):
        await api.get(NAME)


async def test_reports_event_of_the_pod(server: ApiServer, api: KubernetesLeaseApi) -> None:
    await api.report("WorkerIDHeld", "x" * 1025)
    method, path, event = server.sent()
    assert (method, path) == ("POST", EVENTS)
    times = [datetime.fromisoformat(event.pop(name)) for name in ("firstTimestamp", "lastTimestamp")]
    assert abs(datetime.now(UTC) - times[0]) < timedelta(minutes=1)
    assert times[0] == times[1]
    pod = {"apiVersion": "v1", "kind": "Pod", "name": "respid-3", "namespace": "billing", "uid": "an-uid"}
    assert {name: value for name, value in event.items() if name not in ("apiVersion", "kind")} == {
        "metadata": {"generateName": "respid-3.", "namespace": "billing"},
        "involvedObject": pod,
        "type": "Warning",
        "reason": "WorkerIDHeld",
        "message": "x" * 1024,
        "source": {"component": "respid"},
        "count": 1,
    }


async def test_event_of_a_pod_without_uid_and_with_a_long_name(server: ApiServer) -> None:
    api = KubernetesLeaseApi("billing", pod="p" * 60)
    await api.report("WorkerIDHeld", "held")
    event = server.sent()[2]
    assert event["metadata"]["generateName"] == "p" * 50
    assert "uid" not in event["involvedObject"]
    assert event["message"] == "held"


@pytest.mark.parametrize("answer", [(403, {"message": "no"}), OSError("no route"), None], ids=str)
async def test_event_that_cannot_be_created_stops_nothing(
    server: ApiServer,
    api: KubernetesLeaseApi,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(lease_api, "TIMEOUT_SECONDS", 0.01)
    caplog.set_level(logging.DEBUG, lease_api.__name__)
    server.answers = [answer]
    await api.report("WorkerIDHeld", "held")
    (record,) = [record for record in caplog.records if record.name == lease_api.__name__]
    assert (vars(record)["event"], record.levelname) == ("event_not_created", "DEBUG")


def test_verifies_certificates_without_the_extensions_of_rfc_5280(server: ApiServer) -> None:
    KubernetesLeaseApi("billing")
    (context,) = server.verified
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_flags & ssl.VERIFY_X509_TRUSTED_FIRST  # the others are left
    assert not context.verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN  # and none is added


async def test_uses_the_namespace_of_the_configuration(server: ApiServer) -> None:
    server.answers = [(404, {"message": "none"})]
    assert await KubernetesLeaseApi().get(NAME) is None
    assert server.sent()[1] == f"/apis/coordination.k8s.io/v1/namespaces/default/leases/{NAME}"
    assert server.requests[0].headers["Authorization"] == "Bearer token"


@pytest.mark.parametrize("kubeconfig", ["", "contexts: []", "\0", None])
def test_needs_an_api_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kubeconfig: str | None) -> None:
    path = tmp_path / "kubeconfig"
    if kubeconfig is not None:
        path.write_text(kubeconfig)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(StoreError, match="no Kubernetes API server is configured") as caught:
        KubernetesLeaseApi()
    assert not isinstance(caught.value, StoreUnavailableError)
    assert "\n" not in str(caught.value)


async def test_closed_client_sends_nothing(server: ApiServer, api: KubernetesLeaseApi) -> None:
    await api.close()
    with pytest.raises(StoreUnavailableError):
        await api.get(NAME)
    assert server.requests == []
