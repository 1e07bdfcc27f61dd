"""Leases at a real API server, and the answers of one that is out of order."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from respid.highwater.stores import StoreError, StoreUnavailableError, lease_api
from respid.highwater.stores.lease import LeaseApi
from respid.highwater.stores.lease_api import KubernetesLeaseApi
from tests.highwater.stores.leases import LAYOUT, MARK_MS, LeasesAtServer, leases_at_server, make_store
from tests.support.kubernetes_api_server import UNPRIVILEGED_TOKEN, write_kubeconfig

pytestmark = pytest.mark.kubernetes


@pytest.fixture
async def leases(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LeasesAtServer]:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with leases_at_server() as leases:
        yield leases


@pytest.fixture
def space() -> str:
    return "test"


@pytest.mark.parametrize("ceiling", [None, "", "-1", "1e3", "9" * 5000])
async def test_leaves_foreign_lease_alone(leases: LeasesAtServer, space: str, ceiling: str | None) -> None:
    from lightkube import AsyncClient  # noqa: PLC0415 - not installed everywhere
    from lightkube.models.meta_v1 import ObjectMeta  # noqa: PLC0415
    from lightkube.resources import coordination_v1  # noqa: PLC0415

    name = f"respid-{space}-3"
    async with AsyncClient(namespace=leases.namespace) as client:
        annotations = (
            {"respid.io/ceiling-ms": ceiling, "respid.io/layout": LAYOUT.fingerprint} if ceiling is not None else {}
        )
        await client.create(coordination_v1.Lease(metadata=ObjectMeta(name=name, annotations=annotations)))
    with pytest.raises(StoreError, match=f"Lease {name} holds no high-water mark of respid") as caught:
        await make_store(leases.api, space).load()
    assert not isinstance(caught.value, StoreUnavailableError)


async def test_blocked_offset_rollout_says_why(leases: LeasesAtServer, space: str) -> None:
    from lightkube import AsyncClient  # noqa: PLC0415
    from lightkube.resources import core_v1  # noqa: PLC0415

    holder = make_store(leases.api, space, "respid-1")
    await holder.load()
    await holder.extend(MARK_MS)
    store = make_store(leases.api, space)
    for _ in range(3):
        with pytest.raises(
            StoreUnavailableError, match=r"the worker ID offset was changed .* go back to the former off"
        ):
            await store.load()
    async with AsyncClient(namespace=leases.namespace) as client:
        events = [event async for event in client.list(core_v1.Event)]
    (event,) = events
    assert (event.reason, event.type, event.involvedObject.name) == ("WorkerIDHeld", "Warning", "respid-3")
    assert event.involvedObject.uid == "an-uid"
    assert str(event.message).startswith(
        "worker ID 3 is held by pod respid-1 (Lease respid-test-3): both belong to one Stat"
    )


async def test_retries_unreachable_api_server(tmp_path: Path, space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_kubeconfig(tmp_path / "kubeconfig", f"https://127.0.0.1:{free_port()}", "token")
    monkeypatch.setenv("KUBECONFIG", str(path))
    store = make_store(KubernetesLeaseApi(), space)
    with pytest.raises(StoreUnavailableError, match="the Kubernetes API server does not answer: "):
        await store.load()
    await store.close()


async def test_error_names_missing_permission(
    kubeconfig: Path, tmp_path: Path, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "KUBECONFIG" in os.environ:
        pytest.skip("only the API server started here knows the unprivileged user")
    (server,) = re.findall(r'server: "(.*?)"', kubeconfig.read_text())
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", server, UNPRIVILEGED_TOKEN)))
    store = make_store(KubernetesLeaseApi(), space)
    with pytest.raises(StoreUnavailableError) as caught:
        await store.load()
    await store.close()
    assert str(caught.value) == (
        f"the service account may not get Lease respid-{space}-3 in namespace default:"
        " its Role needs the verbs get, list, create and update; if it lists names, add this one"
        " (chart: lease.permittedWorkers)"
    )


@contextlib.asynccontextmanager
async def answering(answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LeaseApi]:
    """A fake API server: a real one cannot be made to answer like this."""
    conversations: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.add(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        if not answer:
            await reader.read()  # until the client gives up
        writer.write(answer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    path = write_kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{port}", "token")
    monkeypatch.setenv("KUBECONFIG", str(path))
    api = KubernetesLeaseApi()
    yield api
    await api.close()
    server.close()
    await server.wait_closed()
    await asyncio.gather(*filter(None, conversations))


def http_answer(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    headers = f"Content-Length: {len(body)}\r\n"
    headers += f"Content-Type: {content_type}\r\n" if content_type else ""
    return f"HTTP/1.1 {status} X\r\n{headers}\r\n".encode() + body


@pytest.mark.parametrize("status", [401, 403, 409, 410, 429, 500, 503, 504])
async def test_error_status_is_reported_and_retried(
    tmp_path: Path, space: str, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    body = b'{"kind": "Status", "apiVersion": "v1", "message": "out of order"}'
    async with answering(http_answer(status, body), tmp_path, monkeypatch) as api:
        with pytest.raises(StoreUnavailableError, match=f"answers {status} to get Lease respid-{space}-3: out of ord"):
            await make_store(api, space).load()


@pytest.mark.parametrize(
    "answer",
    [
        http_answer(200, b"<html>", "text/html"),
        http_answer(200, b"{", "application/json"),
        http_answer(200, b'{"metadata": 5}', "application/json"),
        http_answer(404, b"<html>", "text/html"),
        http_answer(502, b"", ""),
        http_answer(500, b"[]", "application/json"),
        b"what\r\n\r\n",
    ],
)
async def test_invalid_response_is_reported_and_retried(
    tmp_path: Path, space: str, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    async with answering(answer, tmp_path, monkeypatch) as api:
        with pytest.raises(StoreUnavailableError, match=r"the Kubernetes API server (answers|does not answer)"):
            await make_store(api, space).load()


async def test_missing_response_times_out(tmp_path: Path, space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_api, "TIMEOUT_SECONDS", 0.2)
    async with answering(b"", tmp_path, monkeypatch) as api:
        with pytest.raises(StoreUnavailableError, match=r"the Kubernetes API server did not answer within 0\.2 s"):
            await make_store(api, space).load()
