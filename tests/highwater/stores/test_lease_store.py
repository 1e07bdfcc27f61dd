"""The lease store with Leases in this process and at a real API server. A test can drop requests and replies."""

import asyncio
import contextlib
import copy
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

import pytest

from respid.highwater.stores import HolderLostError, Mark, StoreError, StoreUnavailableError, Survey, UnconfirmedError
from respid.highwater.stores.lease import ConflictError, Lease, LeaseApi, LeaseStore
from respid.ids.layout import Layout
from respid.ids.reservation import ReserveSpans
from tests.highwater.stores.leases import (
    LAYOUT,
    MARK,
    MARK_MS,
    RESERVE_MS,
    Leases,
    LeasesInMemory,
    leases_at_server,
    make_store,
)
from tests.support.needed_tools import leave_out
from tests.support.scripted_clock import ScriptedClock

OTHER = Layout.parse("41/11/11")


@pytest.fixture(params=["memory", pytest.param("server", marks=pytest.mark.kubernetes)])
async def leases(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Leases]:
    if request.param == "memory":
        yield LeasesInMemory()
        return
    if find_spec("lightkube") is None:
        leave_out("lightkube is not installed")
    monkeypatch.setenv("KUBECONFIG", str(request.getfixturevalue("kubeconfig")))
    async with leases_at_server() as leases:
        yield leases


@pytest.fixture
def api(leases: Leases) -> "FaultyApi":
    return FaultyApi(leases.api)


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
    clock.monotonic += RESERVE_MS * 1_000_000 - 1
    with pytest.raises(StoreUnavailableError, match="held by pod respid-3"):
        await other.load()
    clock.monotonic += 1
    assert (await other.load()).own == Mark(MARK_MS + 1000, LAYOUT.fingerprint)
    await other.extend(MARK_MS + 2000)
    with pytest.raises(HolderLostError, match="taken by pod release-two-3"):
        await holder.extend(MARK_MS + 3000)


def _slow_down_reads(
    api: FaultyApi, monkeypatch: pytest.MonkeyPatch, clock: ScriptedClock, meanwhile: Callable[[], Awaitable[None]]
) -> None:
    """The reply to each list takes 4 s. Meanwhile something happens."""
    list_all = api.real.list_all

    async def list_slowly() -> Sequence[Lease]:
        listed = await list_all()
        with monkeypatch.context() as patch:
            patch.setattr(api.real, "list_all", list_all)
            await meanwhile()
        clock.pass_ms(4_000)
        return listed

    monkeypatch.setattr(api.real, "list_all", list_slowly)


async def test_slow_reads_do_not_prolong_the_wait(
    api: FaultyApi, space: str, clock: ScriptedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, other = make_store(api, space), make_store(api, space, pod="release-two-3", clock=clock)
    await holder.load()
    await holder.extend(MARK_MS)
    _slow_down_reads(api, monkeypatch, clock, lambda: asyncio.sleep(0))
    for _ in range(RESERVE_MS // 4_000):
        with pytest.raises(StoreUnavailableError, match="held by pod respid-3"):
            await other.load()
    assert (await other.load()).own == MARK


@pytest.mark.parametrize("worker_id", [3, 4])
async def test_sees_a_write_during_its_last_read(
    api: FaultyApi, space: str, clock: ScriptedClock, monkeypatch: pytest.MonkeyPatch, worker_id: int
) -> None:
    """The read itself still shows the Lease as unchanged for long enough."""
    layout, refusal = (LAYOUT, "was taken") if worker_id == 3 else (OTHER, "is in use")
    holder = make_store(api, space)
    other = make_store(api, space, f"release-two-{worker_id}", clock, worker_id=worker_id, layout=layout)
    await holder.load()
    await holder.extend(MARK_MS)
    with pytest.raises(StoreUnavailableError, match="by pod respid-3"):
        await other.load()
    clock.pass_ms(RESERVE_MS - 4_000)
    with monkeypatch.context() as patch:
        _slow_down_reads(api, patch, clock, lambda: holder.extend(MARK_MS + 1000))
        await other.load()
    with pytest.raises(StoreUnavailableError, match=f"{refusal} by pod respid-3"):
        await other.extend(MARK_MS + RESERVE_MS)
    await holder.extend(MARK_MS + 2000)


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


async def test_unrelated_lease_changes_are_not_takeover(api: FaultyApi, leases: Leases, space: str) -> None:
    store = make_store(api, space)
    await store.load()
    await store.extend(MARK_MS)
    await leases.label(f"respid-{space}-3")
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


async def test_recreates_deleted_lease_with_ceiling(api: FaultyApi, leases: Leases, space: str) -> None:
    store = make_store(api, space)
    await store.load()
    await store.extend(MARK_MS)
    await leases.delete(f"respid-{space}-3")
    await store.extend(MARK_MS + 1000)
    assert (await make_store(api, space).load()).own == Mark(MARK_MS + 1000, LAYOUT.fingerprint)


async def test_stop_recreates_deleted_lease(api: FaultyApi, leases: Leases, space: str) -> None:
    store = make_store(api, space)
    await store.load()
    await store.extend(MARK_MS + 1000)
    await leases.delete(f"respid-{space}-3")
    await store.release(MARK_MS)
    assert (await make_store(api, space).load()).own == MARK


async def test_lease_restored_from_a_backup_stops_its_holder(api: FaultyApi, leases: Leases, space: str) -> None:
    store = make_store(api, space)
    await store.load()
    await store.extend(MARK_MS)
    backup = await api.get(f"respid-{space}-3")
    assert backup is not None
    await store.extend(MARK_MS + 1000)
    await leases.delete(backup.name)
    await api.create(replace(backup, version="", identifier=""))
    for write in (store.extend, store.release):
        with pytest.raises(HolderLostError, match="was a snapshot or a backup restored"):
            await write(MARK_MS + 2000)
    assert (await make_store(api, space).load()).own == MARK


async def test_lease_recreated_by_another_is_lost(api: FaultyApi, leases: Leases, space: str) -> None:
    store, other = make_store(api, space), make_store(api, space, pod="release-two-3")
    await store.load()
    await store.extend(MARK_MS)
    await leases.delete(f"respid-{space}-3")
    assert (await other.load()).own is None
    await other.extend(MARK_MS + 500)
    with pytest.raises(HolderLostError, match="taken by pod release-two-3"):
        await store.extend(MARK_MS + 1000)


async def test_one_of_many_concurrent_starts_holds_lease(api: FaultyApi, space: str) -> None:
    stores = [make_store(api, space, pod=f"respid-{number}") for number in range(8)]
    assert await asyncio.gather(*(store.load() for store in stores)) == [Survey(None)] * 8
    outcomes = await asyncio.gather(*(store.extend(MARK_MS) for store in stores), return_exceptions=True)
    assert sorted(map(repr, map(type, outcomes))) == sorted([repr(type(None))] + [repr(StoreUnavailableError)] * 7)


async def test_write_to_stale_version_conflicts(api: FaultyApi, leases: Leases, space: str) -> None:
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
    await leases.delete(lease.name)
    with pytest.raises(ConflictError):
        await api.replace(lease)


# Layouts, ID spaces and offsets that change.


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


@pytest.mark.parametrize("now_in", ["a", "b", "c"])
async def test_own_mark_is_the_greatest_of_this_layout(api: FaultyApi, now_in: str) -> None:
    """Whichever ID spaces the worker ID used before, and whatever its layout was there."""
    for used, layout, mark_ms in (("a", OTHER, MARK_MS - 1000), ("b", LAYOUT, MARK_MS), ("d", LAYOUT, MARK_MS - 500)):
        store = make_store(api, used, layout=layout)
        await store.load()
        await store.extend(mark_ms + 1)
        await store.release(mark_ms)
    survey = await make_store(api, now_in).load()
    assert survey.own is not None
    assert (survey.own.ceiling_ms, survey.own.fingerprint) == (MARK_MS, LAYOUT.fingerprint)
    assert [mark.fingerprint for mark in survey.others or ()] == [OTHER.fingerprint]


async def test_keeps_floor_of_former_layouts(api: FaultyApi, leases: Leases, space: str) -> None:
    former = make_store(api, space, "respid-5", worker_id=5, layout=OTHER)
    await former.load()
    await former.extend(MARK_MS)
    await former.release(MARK_MS)
    store = make_store(api, space)
    await store.load()
    await store.extend(MARK_MS)
    await leases.delete(f"respid-{space}-5")
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


async def test_waits_once_for_a_killed_worker_of_another_layout(api: FaultyApi, space: str) -> None:
    """Its worker ID is not used any more, so that its Lease stays as it is."""
    killed = make_store(api, space, "respid-9", worker_id=9, layout=OTHER)
    await killed.load()
    await killed.extend(MARK_MS)
    store = make_store(api, space, clock=(clock := ScriptedClock()))
    with pytest.raises(StoreUnavailableError, match="is in use by pod respid-9"):
        await store.load()
    clock.pass_ms(RESERVE_MS)
    for _ in range(3):
        await store.load()
        await store.extend(MARK_MS + RESERVE_MS)
        store = make_store(api, space)
    with pytest.raises(StoreUnavailableError, match="is in use by pod respid-9"):
        await make_store(api, space, "respid-4", worker_id=4).load()
    with contextlib.suppress(HolderLostError):
        await killed.extend(MARK_MS + 1000)
    lease = await api.get(f"respid-{space}-9")
    assert lease is not None
    await api.replace(replace(lease, holder="respid-9", write="another"))
    with pytest.raises(StoreUnavailableError, match="is in use by pod respid-9"):
        await store.load()


async def fall_silent(silent: LeaseStore, store: LeaseStore, clock: ScriptedClock, *, refusal: str) -> None:
    """The first store issues and is then silent for so long that another one, which it has refused, may start.

    Its own clocks do not show that, as in a virtual machine that was paused.
    """
    await silent.load()
    await silent.extend(MARK_MS)
    with pytest.raises(StoreUnavailableError, match=refusal):
        await store.load()
    clock.pass_ms(RESERVE_MS)


async def test_silent_holder_releases_its_layout(api: FaultyApi, space: str, clock: ScriptedClock) -> None:
    silent = make_store(api, space, "respid-4", worker_id=4, layout=OTHER)
    store = make_store(api, space, clock=clock)
    await fall_silent(silent, store, clock, refusal="is in use by pod respid-4")
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
    assert api.reported == ["LayoutInUse"]
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
    silent = make_store(api, f"{space}-a", "respid-4")
    store = make_store(api, space, clock=clock)
    await fall_silent(silent, store, clock, refusal="held by pod respid-4")
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
    assert api.reported == []
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


async def test_layout_and_id_space_that_change_together_are_seen(api: FaultyApi, space: str) -> None:
    """As in a rollback over both: other pods of the StatefulSet still use the other layout, in another ID space."""
    running = make_store(api, f"{space}-a", "respid-1", worker_id=1, layout=OTHER)
    await running.load()
    await running.extend(MARK_MS + 5000)
    store = make_store(api, space, "respid-2", worker_id=2)
    with pytest.raises(StoreUnavailableError, match=r"layout 41/11/11@\d+ is in use by pod respid-1"):
        await store.load()
    assert await make_store(api, space, "billing-2", worker_id=2).load() == Survey(None), "another release"
    await running.release(MARK_MS)
    survey = await store.load()
    assert survey == Survey(None, (Mark(MARK_MS, OTHER.fingerprint),))
    await store.extend(MARK_MS + 1000)
    with pytest.raises(StoreUnavailableError, match=f"layout {LAYOUT.widths}@.* is in use by pod respid-2"):
        await make_store(api, f"{space}-a", "respid-1", worker_id=1, layout=OTHER).load()


async def test_layouts_in_two_id_spaces_that_write_at_once_both_wait(
    api: FaultyApi, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [make_store(api, f"{space}-a", "respid-1", worker_id=1, layout=OTHER)]
    stores.append(make_store(api, space, "respid-2", worker_id=2))
    outcomes = await _extend_at_once(api, monkeypatch, stores)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 2


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


async def test_damaged_lease_of_another_worker_is_ignored(
    api: FaultyApi, leases: Leases, space: str, caplog: pytest.LogCaptureFixture
) -> None:
    for worker_id, layout in ((4, LAYOUT), (5, LAYOUT), (6, OTHER)):
        other = make_store(api, space, f"pod-{worker_id}", worker_id=worker_id, layout=layout)
        await api.create(replace(other._own, ceiling_ms=MARK_MS, write="w"))
    await leases.damage(f"respid-{space}-4")
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
async def test_refuses_own_damaged_lease(api: FaultyApi, leases: Leases, own_space: str) -> None:
    former = make_store(api, own_space)
    await former.load()
    await former.extend(MARK_MS)
    await leases.damage(f"respid-{own_space}-3")
    with pytest.raises(StoreError, match=f"Lease respid-{own_space}-3.* holds no high-water mark of respid"):
        await make_store(api, "test").load()


async def test_start_surveys_again_after_a_lease_was_damaged(api: FaultyApi, leases: Leases, space: str) -> None:
    other = make_store(api, space, "respid-4", worker_id=4, layout=OTHER)
    await other.load()
    await other.extend(MARK_MS)
    await other.release(MARK_MS)
    store = make_store(api, space)
    await store.load()
    await leases.damage(f"respid-{space}-4")
    with pytest.raises(StoreUnavailableError, match=f"Lease respid-{space}-4 lost its high-water mark"):
        await store.extend(MARK_MS + 1000)
    survey = await store.load()
    assert not survey.knows_all
    assert survey.former_id(LAYOUT) == OTHER.greatest_id(MARK_MS - 1), "its mark, as it was read before"
    await store.extend(MARK_MS + 1000)


async def test_refuses_own_lease_that_is_damaged_during_the_start(api: FaultyApi, leases: Leases, space: str) -> None:
    former = make_store(api, space)
    await former.load()
    await former.extend(MARK_MS)
    store = make_store(api, space)
    await store.load()
    await leases.damage(f"respid-{space}-3")
    with pytest.raises(StoreError, match="holds no high-water mark") as refusal:
        await store.extend(MARK_MS + 1000)
    assert not isinstance(refusal.value, StoreUnavailableError), "it is not tried again"


@pytest.mark.parametrize("is_holder", [False, True])
async def test_refuses_own_lease_elsewhere_that_is_damaged_later(
    api: FaultyApi, leases: Leases, space: str, clock: ScriptedClock, *, is_holder: bool
) -> None:
    former = make_store(api, "former")
    await former.load()
    await former.extend(MARK_MS)
    await former.release(MARK_MS)
    store = make_store(api, space, clock=clock)
    await store.load()
    if is_holder:
        await store.extend(MARK_MS + 1000)
        clock.pass_ms(RESERVE_MS)
    await leases.damage("respid-former-3")
    with pytest.raises(HolderLostError if is_holder else StoreUnavailableError, match="lost its high-water mark"):
        await store.extend(MARK_MS + 2000)
    with pytest.raises(StoreError, match=r"Lease respid-former-3, .* holds no high-water mark"):
        await make_store(api, space).load()


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
    api: FaultyApi, leases: Leases, space: str, clock: ScriptedClock
) -> None:
    store, other_clock = make_store(api, space, clock=clock), ScriptedClock()
    await store.load()
    await store.extend(MARK_MS)
    await leases.delete(f"respid-{space}-3")
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


# Cases that no real server can be made to show, or that need none.


@pytest.fixture
def memory() -> LeasesInMemory:
    return LeasesInMemory()


@pytest.mark.parametrize(
    ("reserve_ms", "lead_ms", "seconds"), [(300_000, 10_000, 300), (10_001, 10_000, 11), (2000, 2000, 2)]
)
async def test_lease_lasts_as_long_as_a_reservation(
    memory: LeasesInMemory, space: str, reserve_ms: int, lead_ms: int, seconds: int
) -> None:
    store = make_store(memory, space, reserve_ms=reserve_ms)
    assert store.spans == ReserveSpans(reserve_ms, lead_ms)
    await store.load()
    await store.extend(MARK_MS)
    lease = memory.leases[f"respid-{space}-3"]
    assert (lease.duration_seconds, lease.holder, lease.pod) == (seconds, "respid-3", "respid-3")
    await store.release(MARK_MS)
    lease = memory.leases[lease.name]
    assert (lease.holder, lease.pod) == ("", "respid-3")


async def test_reports_again_after_five_minutes(memory: LeasesInMemory, space: str, clock: ScriptedClock) -> None:
    holder = make_store(memory, space, "respid-1", reserve_ms=3_600_000)
    await holder.load()
    await holder.extend(MARK_MS)
    store = make_store(memory, space, clock=clock)
    reports = []
    for passed_ms in (0, 299_999, 1):
        clock.pass_ms(passed_ms)
        with pytest.raises(StoreUnavailableError) as waits:
            await store.load()
        reports.append(len(memory.reported))
    assert reports == [1, 1, 2]
    assert memory.reported[0] == ("WorkerIDHeld", str(waits.value))


async def test_damaged_lease_is_logged_each_time_it_is_damaged(
    memory: LeasesInMemory, space: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = make_store(memory, space, "respid-4", worker_id=4)
    await other.load()
    await other.extend(MARK_MS)
    sound = memory.leases[f"respid-{space}-4"]
    store = make_store(memory, space)
    for logged in (1, 2):
        await memory.damage(sound.name)
        await store.load()
        await store.load()
        assert [getattr(record, "event", "") for record in caplog.records] == ["lease_damaged"] * logged
        memory.leases[sound.name] = sound
        await store.load()


async def test_missing_permission_is_logged_each_time_it_goes(
    memory: LeasesInMemory, space: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> Sequence[Lease]:
        raise StoreError("the service account may not list leases")

    store = make_store(memory, space)
    for logged in (1, 2):
        monkeypatch.setattr(memory, "list_all", refuse)
        await store.load()
        await store.load()
        assert [getattr(record, "event", "") for record in caplog.records] == ["leases_unknown"] * logged
        monkeypatch.undo()
        await store.load()


async def test_starts_that_met_wait_for_different_times(
    memory: LeasesInMemory, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [make_store(memory, space, f"respid-{number}", worker_id=number) for number in range(8)]
    other = make_store(memory, space, "respid-9", worker_id=9, layout=OTHER)
    for store in [*stores, other]:
        await store.load()
    await other.extend(MARK_MS)
    slept: list[float] = []

    async def sleep(delay: float) -> None:
        slept.append(delay)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    for store in stores:
        with pytest.raises(StoreUnavailableError, match="is in use by pod respid-9"):
            await store.extend(MARK_MS)
    assert len(set(slept)) > len(stores) // 2
    assert 0 <= min(slept) < max(slept) < 1


@pytest.mark.parametrize(
    ("killed", "there"),
    [
        (make_store(LeasesInMemory(), "test", "respid-9", worker_id=9, layout=OTHER), "respid-test-9"),
        (make_store(LeasesInMemory(), "there", "respid-2"), "respid-there-3"),
    ],
)
async def test_edit_of_a_killed_workers_lease_stops_nobody(
    memory: LeasesInMemory, space: str, clock: ScriptedClock, killed: LeaseStore, there: str
) -> None:
    killed._api = memory
    await killed.load()
    await killed.extend(MARK_MS)
    store = make_store(memory, space, clock=clock)
    with pytest.raises(StoreUnavailableError, match="by pod respid-"):
        await store.load()
    clock.pass_ms(RESERVE_MS)
    await store.load()
    await store.extend(MARK_MS + RESERVE_MS)
    await memory.label(there)
    await store.extend(MARK_MS + RESERVE_MS + 1000)
    await make_store(memory, space).load()


async def test_pod_of_another_name_waits_for_a_former_one_in_another_id_space(
    memory: LeasesInMemory, space: str
) -> None:
    """A pod of the same name need not wait, but it has not seen that the former one is gone."""
    former, store = make_store(memory, "there"), make_store(memory, space)
    for each in (former, store):
        await each.load()
        await each.extend(MARK_MS)
    await store.release(MARK_MS)
    with pytest.raises(StoreUnavailableError, match="is held by pod respid-3"):
        await make_store(memory, space, "respid-4").load()


async def test_former_pod_of_the_same_name_stops_for_another_id_space(memory: LeasesInMemory, space: str) -> None:
    """It was deleted by force, and still runs."""
    former, store = make_store(memory, space), make_store(memory, "there")
    await former.load()
    await former.extend(MARK_MS)
    assert (await store.load()).own == MARK
    await store.extend(MARK_MS + RESERVE_MS)
    with pytest.raises(HolderLostError, match="in another ID space has risen"):
        await former.extend(MARK_MS + 1000)


async def test_extension_without_a_list_is_not_confirmed(memory: LeasesInMemory, space: str) -> None:
    api = FaultyApi(memory)
    store = make_store(api, space)
    await store.load()
    await store.extend(MARK_MS)
    api.fails = True
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="away"):
            await store.extend(MARK_MS + 1000)
    api.fails = False
    await store.extend(MARK_MS + 1000)
    assert (await make_store(memory, space).load()).own == Mark(MARK_MS + 1000, LAYOUT.fingerprint)


async def fail_to_list(store: LeaseStore, memory: LeasesInMemory, monkeypatch: pytest.MonkeyPatch) -> UnconfirmedError:
    """Extends the Lease while the others cannot be listed."""

    async def fail() -> Sequence[Lease]:
        raise StoreUnavailableError("the list took too long")

    with monkeypatch.context() as patch:
        patch.setattr(memory, "list_all", fail)
        with pytest.raises(UnconfirmedError, match="took too long") as caught:
            await store.extend(MARK_MS + 1000)
    return caught.value


async def test_extension_is_confirmed_later_without_another_write(
    memory: LeasesInMemory, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(memory, space)
    await store.load()
    await store.extend(MARK_MS)
    unconfirmed = await fail_to_list(store, memory, monkeypatch)
    (written,) = memory.leases.values()
    await unconfirmed.confirm()
    assert list(memory.leases.values()) == [written]
    assert written.ceiling_ms == MARK_MS + 1000
    await store.extend(MARK_MS + 2000)


async def test_late_confirmation_sees_a_layout_that_came(
    memory: LeasesInMemory, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, newcomer = make_store(memory, space), make_store(memory, space, "new-4", worker_id=4, layout=OTHER)
    await newcomer.load()
    await store.load()
    await store.extend(MARK_MS)
    unconfirmed = await fail_to_list(store, memory, monkeypatch)
    with pytest.raises(StoreUnavailableError, match="is in use by pod respid-3"):
        await newcomer.extend(MARK_MS)
    memory._store(replace(memory.leases[f"respid-{space}-4"], holder="new-4", ceiling_ms=MARK_MS))
    with pytest.raises(HolderLostError, match="is in use by pod new-4"):
        await unconfirmed.confirm()
    assert memory.leases[f"respid-{space}-3"].holder == ""


@pytest.mark.parametrize("how", ["deleted", "taken", "labelled"])
async def test_late_confirmation_of_a_changed_lease_fails(
    memory: LeasesInMemory, space: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    store = make_store(memory, space)
    await store.load()
    await store.extend(MARK_MS)
    unconfirmed = await fail_to_list(store, memory, monkeypatch)
    name = f"respid-{space}-3"
    if how == "labelled":
        await memory.label(name)
    else:
        await memory.delete(name)
    if how == "taken":
        other = make_store(memory, space)
        await other.load()
        await other.extend(MARK_MS)
    with pytest.raises(StoreUnavailableError, match="was changed before its extension was confirmed"):
        await unconfirmed.confirm()
    with pytest.raises(HolderLostError) if how == "taken" else contextlib.nullcontext():
        await store.extend(MARK_MS + 2000)


async def test_holder_stops_for_a_layout_that_could_not_see_it(
    memory: LeasesInMemory, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> Sequence[Lease]:
        raise StoreError("the service account may not list leases")

    holder, blind = make_store(memory, space), make_store(memory, space, "blind-4", worker_id=4, layout=OTHER)
    await holder.load()
    await holder.extend(MARK_MS)
    with monkeypatch.context() as patch:
        patch.setattr(memory, "list_all", refuse)
        await blind.load()
        await blind.extend(MARK_MS)
    with pytest.raises(HolderLostError, match="is in use by pod blind-4"):
        await holder.extend(MARK_MS + 1000)
    with pytest.raises(StoreUnavailableError, match="is in use by pod blind-4"):
        await make_store(memory, space).load()


async def test_holder_starts_again_above_a_release_that_had_another_layout_elsewhere(
    memory: LeasesInMemory, space: str
) -> None:
    former = make_store(memory, "there", "two-4", worker_id=4, layout=OTHER)
    await former.load()
    await former.extend(MARK_MS)
    await former.release(MARK_MS)
    holder, newcomer = make_store(memory, space), make_store(memory, space, "two-4", worker_id=4)
    for each in (holder, newcomer):
        await each.load()
        await each.extend(MARK_MS)
    with pytest.raises(HolderLostError, match="the marks of another layout have risen"):
        await holder.extend(MARK_MS + 1000)
    again = make_store(memory, space)
    assert (await again.load()).former_id(LAYOUT) == OTHER.greatest_id(MARK_MS - 1)
    await again.extend(MARK_MS + 1000)
    await newcomer.extend(MARK_MS + 1000)


async def test_start_whose_lease_vanishes_begins_again(memory: LeasesInMemory, space: str) -> None:
    former, store = make_store(memory, space), make_store(memory, space)
    await former.load()
    await former.extend(MARK_MS)
    await store.load()
    await memory.delete(f"respid-{space}-3")
    with pytest.raises(StoreUnavailableError, match=f"Lease respid-{space}-3 has vanished"):
        await store.extend(MARK_MS + 1000)
    assert (await store.load()).own == MARK, "of the former holder, found before"
    await store.extend(MARK_MS + 1000)


async def test_lease_that_changes_all_the_time_is_written_later(
    memory: LeasesInMemory, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(memory, space)
    await store.load()
    await store.extend(MARK_MS)

    async def conflict(_lease: Lease) -> Lease:
        raise ConflictError

    monkeypatch.setattr(memory, "replace", conflict)
    with pytest.raises(StoreUnavailableError, match=f"Lease respid-{space}-3 changes while it is being written"):
        await store.extend(MARK_MS + 1000)
    monkeypatch.undo()
    await store.extend(MARK_MS + 1000)


@pytest.mark.parametrize(("here_ms", "there_ms"), [(MARK_MS, MARK_MS + 7), (MARK_MS + 7, MARK_MS)])
async def test_begins_above_the_marks_of_both_id_spaces(memory: LeasesInMemory, here_ms: int, there_ms: int) -> None:
    for space, mark_ms in (("here", here_ms), ("there", there_ms)):
        store = make_store(LeasesInMemory(), space)
        await store.load()
        await memory.create(replace(store._own, ceiling_ms=mark_ms, former_id=mark_ms % 1000, holder=""))
    assert await make_store(memory, "here").load() == Survey(Mark(MARK_MS + 7, LAYOUT.fingerprint, 7))


async def test_keeps_marks_of_two_layouts_apart(memory: LeasesInMemory) -> None:
    for space, layout in (("here", LAYOUT), ("there", OTHER)):
        store = make_store(LeasesInMemory(), space, layout=layout)
        await memory.create(replace(store._own, ceiling_ms=MARK_MS, holder=""))
    assert await make_store(memory, "here").load() == Survey(MARK, (Mark(MARK_MS, OTHER.fingerprint),))


async def test_reports_at_once_on_a_host_that_has_just_started(memory: LeasesInMemory, space: str) -> None:
    holder = make_store(memory, space, "respid-1")
    await holder.load()
    await holder.extend(MARK_MS)
    with pytest.raises(StoreUnavailableError):
        await make_store(memory, space, clock=ScriptedClock(monotonic=0)).load()
    assert [reason for reason, _ in memory.reported] == ["WorkerIDHeld"]


async def test_reports_whether_another_worker_runs(memory: LeasesInMemory, space: str) -> None:
    neighbour = make_store(memory, space, "respid-4", worker_id=4)
    await neighbour.load()
    await neighbour.extend(MARK_MS)
    assert (await make_store(memory, space).load()).is_layout_in_use
    await neighbour.release(MARK_MS)
    assert not (await make_store(memory, space).load()).is_layout_in_use


async def test_mark_that_is_given_back_names_who_wrote_it(memory: LeasesInMemory, space: str) -> None:
    former, store = make_store(memory, space), make_store(memory, space, layout=OTHER)
    await former.load()
    await former.extend(MARK_MS)
    await store.load()
    other = make_store(memory, space, "respid-4", worker_id=4)
    await other.load()
    await other.extend(MARK_MS)
    with pytest.raises(StoreUnavailableError, match="is in use by pod respid-4"):
        await store.extend(MARK_MS + RESERVE_MS)
    assert memory.leases[f"respid-{space}-3"].nonce == store._nonce
    with pytest.raises(HolderLostError, match=r"was taken by pod unknown \(Lease"):
        await former.extend(MARK_MS + RESERVE_MS)
