"""The lease store against a real API server, whose responses a test can drop."""

import asyncio
import contextlib
import copy
import itertools
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest

from respid.highwater.stores import (
    HolderLostError,
    Mark,
    StoreError,
    StoreUnavailableError,
    Survey,
    lease_api,
)
from respid.highwater.stores.lease import ConflictError, Lease, LeaseApi, LeaseStore
from respid.highwater.stores.lease_api import KubernetesLeaseApi
from respid.ids.layout import Layout
from tests.support.kubernetes_api_server import UNPRIVILEGED_TOKEN, write_kubeconfig
from tests.support.running import free_port
from tests.support.scripted_clock import ScriptedClock

pytestmark = pytest.mark.kubernetes
Result = TypeVar("Result")
LAYOUT = Layout()
MARK_MS = 1_800_000_000_000
MARK = Mark(MARK_MS, LAYOUT.fingerprint)
RESERVE_MS = 300_000
_numbers = itertools.count(time.time_ns() // 1_000_000)


@pytest.fixture
async def namespace(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A namespace for one test."""
    from lightkube import AsyncClient  # noqa: PLC0415 - not installed everywhere
    from lightkube.models.meta_v1 import ObjectMeta  # noqa: PLC0415
    from lightkube.resources import core_v1  # noqa: PLC0415

    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    name = f"store-{next(_numbers)}"
    async with AsyncClient() as client:
        await client.create(core_v1.Namespace(metadata=ObjectMeta(name=name)))
        yield name
        await client.delete(core_v1.Namespace, name)


@pytest.fixture
async def api(namespace: str) -> AsyncIterator["FaultyApi"]:
    api = FaultyApi(KubernetesLeaseApi(namespace, pod="respid-3", pod_uid="an-uid"))
    yield api
    await api.close()


@pytest.fixture
def space() -> str:
    return "test"


@dataclass
class FaultyApi:
    """The real API, whose requests or replies can be dropped."""

    real: LeaseApi
    fault: str = ""  # "request" or "reply": what of the next writes is lost
    faults_left: int = 0
    fails: bool = False  # nothing can be read
    reported: list[str] = field(default_factory=list)

    async def get(self, name: str) -> Lease | None:
        if self.fails:
            raise StoreUnavailableError("away")
        return await self.real.get(name)

    async def list_all(self) -> Sequence[Lease]:
        if self.fails:
            raise StoreUnavailableError("away")
        return await self.real.list_all()

    async def report(self, reason: str, message: str) -> None:
        self.reported.append(reason)
        await self.real.report(reason, message)

    async def create(self, lease: Lease) -> Lease:
        return await self._with_fault(self.real.create, lease)

    async def replace(self, lease: Lease) -> Lease:
        return await self._with_fault(self.real.replace, lease)

    async def close(self) -> None:
        await self.real.close()

    async def _with_fault(self, request: Callable[[Lease], Awaitable[Lease]], lease: Lease) -> Lease:
        loses = self.faults_left > 0
        self.faults_left -= loses
        if loses and self.fault == "request":
            raise StoreUnavailableError("the request was lost")
        written = await request(lease)
        if loses:
            raise StoreUnavailableError("the reply was lost")
        return written


def make_store(
    api: LeaseApi,
    space: str,
    pod: str = "respid-3",
    clock: ScriptedClock | None = None,
    *,
    worker_id: int = 3,
    layout: Layout = LAYOUT,
) -> LeaseStore:
    return LeaseStore(
        api,
        space=space,
        worker_id=worker_id,
        pod=pod,
        layout=layout,
        reserve_ms=RESERVE_MS,
        monotonic_ns=(clock := clock or ScriptedClock()).monotonic_ns,
        boot_ns=clock.boot_ns,
    )


async def test_next_start_finds_last_stored_mark(api: FaultyApi, space: str) -> None:
    store = make_store(api, space)
    assert (await store.load()).own is None
    await store.extend(MARK_MS - 1000)
    await store.extend(MARK_MS + 1000)
    await store.release(MARK_MS)
    assert (await make_store(api, space, pod="another-3").load()).own == MARK


async def test_pod_of_same_name_takes_over_at_once(api: FaultyApi, space: str) -> None:
    former, successor = make_store(api, space), make_store(api, space)
    await former.load()
    await former.extend(MARK_MS)
    assert (await successor.load()).own == MARK
    await former.extend(MARK_MS + 1000)
    with pytest.raises(StoreUnavailableError, match="was taken by pod respid-3"):
        await successor.extend(MARK_MS + 2000)
    assert (await successor.load()).own == Mark(MARK_MS + 1000, LAYOUT.fingerprint), (
        "it reloads the mark before it takes over"
    )
    await successor.extend(MARK_MS + 3000)
    for write in (former.extend, former.release):
        with pytest.raises(HolderLostError, match="worker ID 3 was taken by pod respid-3"):
            await write(MARK_MS + 4000)
    assert (await make_store(api, space).load()).own == Mark(MARK_MS + 3000, LAYOUT.fingerprint)


async def test_pod_of_other_name_waits_for_lease_expiry(api: FaultyApi, space: str, clock: ScriptedClock) -> None:
    holder, other = make_store(api, space), make_store(api, space, pod="release-two-3", clock=clock)
    await holder.load()
    await holder.extend(MARK_MS)
    with pytest.raises(
        StoreUnavailableError, match=r"held by pod respid-3 .* --worker-id-offset; .* not changed for 300 s"
    ):
        await other.load()
    clock.pass_ms(RESERVE_MS - 1000)
    await holder.extend(MARK_MS + 1000)
    with pytest.raises(StoreUnavailableError, match="held by pod respid-3"):
        await other.load()
    clock.pass_ms(RESERVE_MS - 1000)
    with pytest.raises(StoreUnavailableError, match="held by pod respid-3"):
        await other.load()
    clock.pass_ms(1000)
    assert (await other.load()).own == Mark(MARK_MS + 1000, LAYOUT.fingerprint)
    await other.extend(MARK_MS + 2000)
    with pytest.raises(HolderLostError, match="taken by pod release-two-3"):
        await holder.extend(MARK_MS + 3000)


@pytest.mark.parametrize("fault", ["request", "reply"])
@pytest.mark.parametrize("step", ["create", "extend", "release"])
async def test_recognises_own_write_after_lost_reply(api: FaultyApi, space: str, fault: str, step: str) -> None:
    store = make_store(api, space)
    await store.load()
    if step != "create":
        await store.extend(MARK_MS)
    write = store.release if step == "release" else store.extend
    api.fault, api.faults_left = fault, 1
    with pytest.raises(StoreUnavailableError, match=f"the {fault} was lost"):
        await write(MARK_MS + 1000)
    await write(MARK_MS + 2000)
    assert (await make_store(api, space).load()).own == Mark(MARK_MS + 2000, LAYOUT.fingerprint)


async def test_lost_reply_to_first_write_keeps_first_id(api: FaultyApi, space: str) -> None:
    former, store = make_store(api, space), make_store(api, space)
    await former.load()
    await former.extend(MARK_MS)
    for _ in range(3):
        assert (await store.load()).own == MARK
        api.fault, api.faults_left = "reply", 1
        with pytest.raises(StoreUnavailableError):
            await store.extend(MARK_MS + RESERVE_MS)
    await store.extend(MARK_MS + RESERVE_MS)


async def test_restored_copy_of_process_stops(api: FaultyApi, space: str) -> None:
    """As after restoring a snapshot of a machine: both have the same nonce."""
    store = make_store(api, space)
    await store.load()
    await store.extend(MARK_MS)
    restored = copy.deepcopy(store, {id(api): api})
    await store.extend(MARK_MS + 1000)
    for write in (restored.extend, restored.release):
        with pytest.raises(HolderLostError, match="worker ID 3 was taken by pod respid-3, a copy of this process"):
            await write(MARK_MS + 500)
    await store.extend(MARK_MS + 2000)
    assert (await make_store(api, space).load()).own == Mark(MARK_MS + 2000, LAYOUT.fingerprint)


async def test_unrelated_lease_changes_are_not_takeover(api: FaultyApi, namespace: str, space: str) -> None:
    from lightkube import AsyncClient  # noqa: PLC0415 - not installed everywhere
    from lightkube.resources import coordination_v1  # noqa: PLC0415

    store = make_store(api, space)
    await store.load()
    await store.extend(MARK_MS)
    async with AsyncClient(namespace=namespace) as client:
        labels = {"metadata": {"labels": {"team": "billing"}}}
        await client.patch(coordination_v1.Lease, f"respid-{space}-3", labels)
    await store.extend(MARK_MS + 1000)
    assert (await make_store(api, space).load()).own == Mark(MARK_MS + 1000, LAYOUT.fingerprint)


async def test_failed_reads_do_not_count_as_silence(api: FaultyApi, space: str, clock: ScriptedClock) -> None:
    holder, other = make_store(api, space), make_store(api, space, pod="release-two-3", clock=clock)
    await holder.load()
    await holder.extend(MARK_MS)
    for _ in range(3):
        with pytest.raises(StoreUnavailableError, match="held by pod respid-3"):
            await other.load()
        api.fails = True
        with pytest.raises(StoreUnavailableError, match="away"):
            await other.load()
        clock.pass_ms(RESERVE_MS)
        api.fails = False
    with pytest.raises(StoreUnavailableError, match="held by pod respid-3"):
        await other.load()
    clock.pass_ms(RESERVE_MS)
    assert (await other.load()).own == MARK


async def test_detects_takeover_after_lost_reply(api: FaultyApi, space: str) -> None:
    former, successor = make_store(api, space), make_store(api, space)
    await former.load()
    await former.extend(MARK_MS)
    api.fault, api.faults_left = "reply", 1
    with pytest.raises(StoreUnavailableError):
        await former.extend(MARK_MS + 1000)
    assert (await successor.load()).own == Mark(MARK_MS + 1000, LAYOUT.fingerprint)
    await successor.extend(MARK_MS + 2000)
    with pytest.raises(HolderLostError):
        await former.extend(MARK_MS + 3000)


async def test_recreates_deleted_lease_with_ceiling(api: FaultyApi, namespace: str, space: str) -> None:
    store = make_store(api, space)
    await store.load()
    await store.extend(MARK_MS)
    await delete_lease(namespace, f"respid-{space}-3")
    await store.extend(MARK_MS + 1000)
    assert (await make_store(api, space).load()).own == Mark(MARK_MS + 1000, LAYOUT.fingerprint)


async def test_lease_recreated_by_another_is_lost(api: FaultyApi, namespace: str, space: str) -> None:
    store, other = make_store(api, space), make_store(api, space, pod="release-two-3")
    await store.load()
    await store.extend(MARK_MS)
    await delete_lease(namespace, f"respid-{space}-3")
    assert (await other.load()).own is None
    await other.extend(MARK_MS + 500)
    with pytest.raises(HolderLostError, match="taken by pod release-two-3"):
        await store.extend(MARK_MS + 1000)


async def test_one_of_many_concurrent_starts_holds_lease(api: FaultyApi, space: str) -> None:
    stores = [make_store(api, space, pod=f"respid-{number}") for number in range(8)]
    assert await asyncio.gather(*(store.load() for store in stores)) == [Survey(None)] * 8
    outcomes = await asyncio.gather(*(store.extend(MARK_MS) for store in stores), return_exceptions=True)
    assert sorted(map(repr, map(type, outcomes))) == sorted([repr(type(None))] + [repr(StoreUnavailableError)] * 7)


async def test_write_to_stale_version_conflicts(api: FaultyApi, namespace: str, space: str) -> None:
    store = make_store(api, space)
    await store.load()
    await store.extend(MARK_MS)
    lease = await api.get(f"respid-{space}-3")
    assert lease is not None
    await store.extend(MARK_MS + 1000)
    with pytest.raises(ConflictError):
        await api.replace(lease)
    with pytest.raises(ConflictError):
        await api.create(replace(lease, version="", identifier=""))
    await delete_lease(namespace, lease.name)
    with pytest.raises(ConflictError):
        await api.replace(lease)


@pytest.mark.parametrize("ceiling", [None, "", "-1", "1e3", "9" * 5000])
async def test_leaves_foreign_lease_alone(api: FaultyApi, namespace: str, space: str, ceiling: str | None) -> None:
    from lightkube import AsyncClient  # noqa: PLC0415 - not installed everywhere
    from lightkube.models.meta_v1 import ObjectMeta  # noqa: PLC0415
    from lightkube.resources import coordination_v1  # noqa: PLC0415

    name = f"respid-{space}-3"
    async with AsyncClient(namespace=namespace) as client:
        annotations = (
            {"respid.io/ceiling-ms": ceiling, "respid.io/layout": LAYOUT.fingerprint} if ceiling is not None else {}
        )
        await client.create(coordination_v1.Lease(metadata=ObjectMeta(name=name, annotations=annotations)))
    with pytest.raises(StoreError, match=f"Lease {name} holds no high-water mark of respid") as caught:
        await make_store(api, space).load()
    assert not isinstance(caught.value, StoreUnavailableError)


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
        "the service account may not get leases.coordination.k8s.io in namespace default:"
        " its Role needs the verbs get, list, create and update"
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


async def delete_lease(namespace: str, name: str) -> None:
    from lightkube import AsyncClient  # noqa: PLC0415
    from lightkube.resources import coordination_v1  # noqa: PLC0415

    async with AsyncClient(namespace=namespace) as client:
        await client.delete(coordination_v1.Lease, name)


# Layouts, ID spaces and offsets that change.

OTHER = Layout.parse("41/11/11")


async def test_surveys_marks_of_its_id_space(api: FaultyApi, space: str) -> None:
    for worker_id, layout in ((4, LAYOUT), (5, OTHER)):
        store = make_store(api, space, f"respid-{worker_id}", worker_id=worker_id, layout=layout)
        await store.load()
        await store.extend(MARK_MS + worker_id + 5000)
        await store.release(MARK_MS + worker_id)
    elsewhere = make_store(api, "another", "other-6", worker_id=6, layout=OTHER)
    await elsewhere.load()
    await elsewhere.extend(MARK_MS + 9999)
    survey = await make_store(api, space).load()
    bound = OTHER.greatest_id(MARK_MS + 4)
    assert survey.own is None
    assert set(survey.others or ()) == {
        Mark(MARK_MS + 4, LAYOUT.fingerprint),
        Mark(MARK_MS + 5, OTHER.fingerprint, LAYOUT.greatest_id(MARK_MS + 3)),
    }
    assert survey.former_id(LAYOUT) == bound


async def test_keeps_floor_of_former_layouts(api: FaultyApi, namespace: str, space: str) -> None:
    former = make_store(api, space, "respid-5", worker_id=5, layout=OTHER)
    await former.load()
    await former.extend(MARK_MS)
    await former.release(MARK_MS)
    store = make_store(api, space)
    await store.load()
    await store.extend(MARK_MS)
    await delete_lease(namespace, f"respid-{space}-5")
    survey = await make_store(api, space, "respid-7", worker_id=7).load()
    assert survey.former_id(LAYOUT) == OTHER.greatest_id(MARK_MS - 1)


async def test_waits_while_other_layout_is_in_use(api: FaultyApi, space: str, clock: ScriptedClock) -> None:
    holder = make_store(api, space, "respid-4", worker_id=4, layout=OTHER)
    await holder.load()
    await holder.extend(MARK_MS)
    store = make_store(api, space, clock=clock)
    for _ in range(2):
        with pytest.raises(
            StoreUnavailableError, match=r"layout 41/11/11@\d+ is in use by pod respid-4 .*stop all workers"
        ):
            await store.load()
        clock.pass_ms(RESERVE_MS - 1)
        await holder.extend(MARK_MS + 1000)
    assert api.reported == ["LayoutInUse"], "not again before five minutes have passed"
    await holder.release(MARK_MS + 10)
    survey = await store.load()
    assert survey.former_id(LAYOUT) == OTHER.greatest_id(MARK_MS + 9)
    assert not survey.is_layout_in_use


async def test_silent_holder_releases_its_layout(api: FaultyApi, space: str, clock: ScriptedClock) -> None:
    silent_clock = ScriptedClock()
    silent = make_store(api, space, "respid-4", silent_clock, worker_id=4, layout=OTHER)
    await silent.load()
    await silent.extend(MARK_MS)
    store = make_store(api, space, clock=clock)
    with pytest.raises(StoreUnavailableError, match="is in use by pod respid-4"):
        await store.load()
    clock.pass_ms(RESERVE_MS)
    silent_clock.pass_ms(RESERVE_MS)
    assert (await store.load()).former_id(LAYOUT) == OTHER.greatest_id(MARK_MS - 1)
    await store.extend(MARK_MS + 5000)
    with pytest.raises(HolderLostError, match=f"layout {LAYOUT.widths}@.* is in use by pod respid-3"):
        await silent.extend(MARK_MS + RESERVE_MS)
    assert (await make_store(api, space).load()).former_id(LAYOUT) == OTHER.greatest_id(MARK_MS - 1)


async def test_second_of_two_layouts_releases_worker_id(api: FaultyApi, space: str) -> None:
    first = make_store(api, space, "respid-0", worker_id=0, layout=OTHER)
    second = make_store(api, space, "respid-1", worker_id=1)
    await first.load()
    await second.load()
    await first.extend(MARK_MS)
    with pytest.raises(StoreUnavailableError, match="is in use by pod respid-0"):
        await second.extend(MARK_MS)
    lease = await api.get(f"respid-{space}-1")
    assert lease is not None
    assert (lease.holder, lease.mark.is_used()) == ("", False), "unchanged: nothing was issued"
    await first.extend(MARK_MS + 1000)


async def _extend_at_once(
    api: FaultyApi, monkeypatch: pytest.MonkeyPatch, stores: list[LeaseStore]
) -> list[BaseException | None]:
    """Both read the Leases before either has written; then both write before either lists the Leases again."""
    for store in stores:
        await store.load()
    have_written = asyncio.Barrier(2)
    list_all = api.real.list_all

    async def list_when_both_have_written() -> Sequence[Lease]:
        await have_written.wait()
        listed = await list_all()
        await have_written.wait()
        return listed

    with monkeypatch.context() as patch:
        patch.setattr(api.real, "list_all", list_when_both_have_written)
        return await asyncio.gather(*(store.extend(MARK_MS) for store in stores), return_exceptions=True)


async def test_two_layouts_that_write_at_once_both_wait(
    api: FaultyApi, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [make_store(api, space, "respid-0", worker_id=0, layout=OTHER)]
    stores.append(make_store(api, space, "respid-1", worker_id=1))
    outcomes = await _extend_at_once(api, monkeypatch, stores)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 2
    await stores[0].load()
    await stores[0].extend(MARK_MS)


async def test_one_worker_id_in_two_id_spaces_at_once_waits(
    api: FaultyApi, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a node restarts in the middle of a rollback over both the offset and the ID space."""
    stores = [make_store(api, f"{space}-{pod[-1]}", pod) for pod in ("respid-2", "respid-3")]
    outcomes = await _extend_at_once(api, monkeypatch, stores)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 2
    assert ["is held by pod respid" in str(outcome) for outcome in outcomes] == [True] * 2
    await stores[0].load()
    await stores[0].extend(MARK_MS)
    with pytest.raises(StoreUnavailableError, match="is held by pod respid-2"):
        await stores[1].load()


async def test_one_worker_id_in_one_id_space_at_once_has_one_holder(api: FaultyApi, space: str) -> None:
    """As when a node restarts in the middle of a rollback over the offset alone: there is only one Lease."""
    stores = [make_store(api, space, pod) for pod in ("respid-2", "respid-3")]
    for store in stores:
        await store.load()
    outcomes = await asyncio.gather(*(store.extend(MARK_MS) for store in stores), return_exceptions=True)
    (refusal,) = filter(None, outcomes)
    assert re.search("was taken by pod respid-[23]", str(refusal))


async def test_surveys_again_after_own_mark_rose_in_other_id_space(api: FaultyApi, space: str) -> None:
    store = make_store(api, space)
    await store.load()
    quick = make_store(api, f"{space}-a", "respid-4")
    await quick.load()
    await quick.extend(MARK_MS)
    await quick.release(MARK_MS)
    with pytest.raises(StoreUnavailableError, match="in another ID space has risen"):
        await store.extend(MARK_MS + 1000)
    assert (await store.load()).own == MARK
    await store.extend(MARK_MS + 1000)


async def test_silent_holder_stops_once_another_id_space_has_its_worker_id(
    api: FaultyApi, space: str, clock: ScriptedClock
) -> None:
    silent_clock = ScriptedClock()
    silent = make_store(api, f"{space}-a", "respid-4", silent_clock)
    await silent.load()
    await silent.extend(MARK_MS)
    store = make_store(api, space, clock=clock)
    with pytest.raises(StoreUnavailableError, match="held by pod respid-4"):
        await store.load()
    clock.pass_ms(RESERVE_MS)
    silent_clock.pass_ms(RESERVE_MS)
    assert (await store.load()).own == MARK
    await store.extend(MARK_MS + RESERVE_MS)
    with pytest.raises(HolderLostError, match="is held by pod respid-3"):
        await silent.extend(MARK_MS + RESERVE_MS)


async def test_refused_start_keeps_mark(api: FaultyApi, space: str) -> None:
    former = make_store(api, space)
    await former.load()
    await former.extend(MARK_MS)
    await former.release(MARK_MS)
    store = make_store(api, space, layout=OTHER)
    await store.load()
    other = make_store(api, space, "respid-4", worker_id=4)
    await other.load()
    await other.extend(MARK_MS)
    with pytest.raises(StoreUnavailableError, match="is in use by pod respid-4"):
        await store.extend(MARK_MS + RESERVE_MS)
    assert (await make_store(api, space).load()).own == MARK


async def test_surveys_again_after_former_layout_extended(api: FaultyApi, space: str) -> None:
    store = make_store(api, space)
    await store.load()
    quick = make_store(api, space, "respid-4", worker_id=4, layout=OTHER)
    await quick.load()
    await quick.extend(MARK_MS)
    await quick.release(MARK_MS)
    with pytest.raises(StoreUnavailableError, match="the marks of another layout have risen"):
        await store.extend(MARK_MS + 1000)
    assert (await store.load()).former_id(LAYOUT) == OTHER.greatest_id(MARK_MS - 1)
    await store.extend(MARK_MS + 1000)


@pytest.mark.parametrize("is_released", [True, False])
async def test_begins_above_own_mark_in_other_id_space(api: FaultyApi, *, is_released: bool) -> None:
    former = make_store(api, "former")
    await former.load()
    await former.extend(MARK_MS)
    if is_released:
        await former.release(MARK_MS)
    unrelated = make_store(api, "another", pod="other-3")
    await unrelated.load()
    await unrelated.extend(MARK_MS + 9999)
    assert await make_store(api, "new").load() == Survey(MARK)
    again = make_store(api, "new", layout=OTHER)
    assert await again.load() == Survey(MARK)


async def test_blocked_offset_rollout_says_why(api: FaultyApi, namespace: str, space: str) -> None:
    from lightkube import AsyncClient  # noqa: PLC0415
    from lightkube.resources import core_v1  # noqa: PLC0415

    holder = make_store(api, space, "respid-1")
    await holder.load()
    await holder.extend(MARK_MS)
    store = make_store(api, space)
    for _ in range(3):
        with pytest.raises(
            StoreUnavailableError, match=r"the worker ID offset was changed .* go back to the former off"
        ):
            await store.load()
    async with AsyncClient(namespace=namespace) as client:
        events = [event async for event in client.list(core_v1.Event)]
    (event,) = events
    assert (event.reason, event.type, event.involvedObject.name) == ("WorkerIDHeld", "Warning", "respid-3")
    assert event.involvedObject.uid == "an-uid"
    assert str(event.message).startswith(
        "worker ID 3 is held by pod respid-1 (Lease respid-test-3): both belong to one Stat"
    )


async def test_offset_and_id_space_that_change_together_are_seen(api: FaultyApi, space: str) -> None:
    """As in a rollback over both: the worker ID belonged to another pod of the StatefulSet, in another ID space."""
    former = make_store(api, f"{space}-a", "respid-4")
    await former.load()
    await former.extend(MARK_MS)
    with pytest.raises(StoreUnavailableError, match=r"held by pod respid-4 .* the worker ID offset was changed"):
        await make_store(api, space).load()
    assert (await make_store(api, space, "billing-3").load()).own is None, "another release, with IDs of its own"
    await former.release(MARK_MS - 1000)
    assert (await make_store(api, space).load()).own == Mark(MARK_MS - 1000, LAYOUT.fingerprint)


async def test_starts_without_permission_to_list(
    api: FaultyApi, space: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> Sequence[Lease]:
        raise StoreError("the service account may not list leases")

    monkeypatch.setattr(api.real, "list_all", refuse)
    former = make_store(api, space)
    await former.load()
    await former.extend(MARK_MS)
    store = make_store(api, space)
    assert await store.load() == Survey(MARK, knows_all=False)
    await store.extend(MARK_MS + 1000)
    assert [getattr(record, "event", "") for record in caplog.records] == ["leases_unknown"] * 2, "once per worker"


async def damage(namespace: str, name: str) -> None:
    """Takes the mark out of a Lease."""
    from lightkube import AsyncClient  # noqa: PLC0415 - not installed everywhere
    from lightkube.resources import coordination_v1  # noqa: PLC0415

    async with AsyncClient(namespace=namespace) as client:
        patch = {"metadata": {"annotations": {"respid.io/ceiling-ms": None}}}
        await client.patch(coordination_v1.Lease, name, patch)


async def test_damaged_lease_of_another_worker_is_ignored(
    api: FaultyApi, namespace: str, space: str, caplog: pytest.LogCaptureFixture
) -> None:
    for worker_id, layout in ((4, LAYOUT), (5, LAYOUT), (6, OTHER)):
        other = make_store(api, space, f"pod-{worker_id}", worker_id=worker_id, layout=layout)
        await api.create(replace(other._own, ceiling_ms=MARK_MS, write="w"))
    await damage(namespace, f"respid-{space}-4")
    store = make_store(api, space)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"layout 41/11/11@\d+ is in use by pod pod-6"):
            await store.load()
    assert [getattr(record, "event", "") for record in caplog.records] == ["lease_damaged"]
    lease = await api.get(f"respid-{space}-6")
    assert lease is not None
    await api.replace(replace(lease, holder=""))
    survey = await store.load()
    assert not survey.knows_all
    assert {mark.fingerprint for mark in survey.others} == {LAYOUT.fingerprint, OTHER.fingerprint}


@pytest.mark.parametrize("own_space", ["test", "former"])
async def test_refuses_own_damaged_lease(api: FaultyApi, namespace: str, own_space: str) -> None:
    former = make_store(api, own_space)
    await former.load()
    await former.extend(MARK_MS)
    await damage(namespace, f"respid-{own_space}-3")
    with pytest.raises(StoreError, match=f"Lease respid-{own_space}-3.* holds no high-water mark of respid"):
        await make_store(api, "test").load()


async def test_looks_for_other_layouts_after_a_write_that_took_long(
    api: FaultyApi, space: str, clock: ScriptedClock
) -> None:
    store, other_clock = make_store(api, space, clock=clock), ScriptedClock()
    await store.load()
    await store.extend(MARK_MS)
    other = make_store(api, space, "respid-4", other_clock, worker_id=4, layout=OTHER)
    with pytest.raises(StoreUnavailableError):
        await other.load()
    clock.pass_ms(RESERVE_MS // 2)
    other_clock.pass_ms(RESERVE_MS)  # until the write has arrived
    replace_lease = api.real.replace

    async def replace_late(lease: Lease) -> Lease:
        if lease.holder == "respid-3":
            api.real.replace = replace_lease  # type: ignore[method-assign]
            clock.pass_ms(RESERVE_MS // 2)
            await other.load()
            await other.extend(MARK_MS + RESERVE_MS)
        return await replace_lease(lease)

    api.real.replace = replace_late  # type: ignore[method-assign]
    with pytest.raises(HolderLostError, match="in use by pod respid-4"):
        await store.extend(MARK_MS + RESERVE_MS)


async def test_gives_back_the_whole_mark_after_its_lease_vanished(
    api: FaultyApi, namespace: str, space: str, clock: ScriptedClock
) -> None:
    store, other_clock = make_store(api, space, clock=clock), ScriptedClock()
    await store.load()
    await store.extend(MARK_MS)
    await delete_lease(namespace, f"respid-{space}-3")
    create_lease = api.real.create

    async def lose(lease: Lease) -> Lease:
        raise StoreUnavailableError(f"the request for {lease.name} was lost")

    api.real.create = lose  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailableError):
        await store.extend(MARK_MS + 1)
    api.real.create = create_lease  # type: ignore[method-assign]
    other = make_store(api, space, "respid-4", other_clock, worker_id=4, layout=OTHER)
    await other.load()
    await other.extend(MARK_MS)
    clock.pass_ms(RESERVE_MS)
    with pytest.raises(HolderLostError, match="in use by pod respid-4"):
        await store.extend(MARK_MS + 2)
    left = await api.get(f"respid-{space}-3")
    assert left is not None
    assert left.ceiling_ms >= MARK_MS


async def test_a_holder_below_the_ids_of_another_layout_stops(api: FaultyApi, space: str, clock: ScriptedClock) -> None:
    store, other_clock = make_store(api, space, clock=clock), ScriptedClock()
    await store.load()
    await store.extend(MARK_MS)
    other = make_store(api, space, "respid-4", other_clock, worker_id=4, layout=OTHER)
    with pytest.raises(StoreUnavailableError):
        await other.load()
    other_clock.pass_ms(RESERVE_MS)
    await other.load()
    await other.extend(MARK_MS + RESERVE_MS)
    await other.release(MARK_MS + RESERVE_MS)
    clock.pass_ms(RESERVE_MS)
    with pytest.raises(HolderLostError, match="another layout"):
        await store.extend(MARK_MS + 2 * RESERVE_MS)
