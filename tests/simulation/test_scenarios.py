"""Histories in which it is known what must happen."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from tests.simulation import clock_events, events, store_events
from tests.simulation.changes import LAYOUTS, change
from tests.simulation.events import Step
from tests.simulation.verdict import check_history
from tests.simulation.world import Incarnation, Place, Settings, World, simulated

LONG_RESERVE_MS = 20_000  # many times as long as a request to the simulated API server can take


@pytest.fixture(autouse=True)
def simulation() -> Iterator[None]:
    with simulated():
        yield


def make_world(store: str, pods: int = 1, *, seed: int = 1, reserve_ms: int = 2_000) -> World:
    """A worker ID, and pods of different names that want it, each on a host of its own."""
    places = [Place(number, f"pod-{number}", Settings(1, store, reserve_ms=reserve_ms)) for number in range(pods)]
    world = World(places, Random(seed))
    world.draws_every_seconds = (0.02,)
    return world


def play(world: World, *steps: Step) -> list[Incarnation]:
    """Starts a worker in each place, and lets these things happen."""
    for place in world.places:
        world.start(place)
    for step in steps:
        world.run_for(step.pause_ms / 1000)
        step.event(world, world.places[step.place], step.detail)
    world.run_for(4)
    check_history(world)
    world.end()
    return world.incarnations


@pytest.mark.parametrize("store", ["file", "lease", "none"])
def test_undisturbed_worker_issues_ids_all_the_time(store: str) -> None:
    world = make_world(store)
    (one,) = play(world, Step(10_000, store_events.connect))
    assert one.worker.generator.ids_issued > 1000
    assert one.issuer.last_ns > world.scheduler.now_ns - 10**8
    assert one.ended_by is None


def test_successor_that_has_stopped_is_a_reason_to_end() -> None:
    """It has released the Lease, which then does not say who took it."""

    def stop_successor(world: World, _place: Place, _detail: int) -> None:
        world.stop(world.incarnations[-1])

    world = make_world("lease", reserve_ms=10_000)
    steps = (Step(32_500, events.start), Step(1500, stop_successor), Step(9000, store_events.connect))
    former, successor = play(world, *steps)
    assert successor.stopped_cleanly
    assert "was taken by pod unknown" in str(former.ended_by)


def test_mark_of_another_layout_refuses_a_start_in_another_id_space() -> None:
    """It was left there by a pod of this name that has stopped, so the two have never met."""

    def start_elsewhere(world: World, place: Place, _detail: int) -> None:
        place.settings = replace(place.settings, space="b", layout=LAYOUTS[1])
        world.start(place)

    former, latter = play(make_world("lease"), Step(2000, events.stop), Step(3000, start_elsewhere))
    assert former.stopped_cleanly
    assert "a stored high-water mark has layout" in str(latter.ended_by)


def test_older_of_two_pods_with_one_name_ends() -> None:
    world = make_world("lease")
    former, latter = play(
        world,
        Step(3000, events.freeze),
        Step(700, events.start),
        Step(7000, events.thaw),
        Step(100, store_events.connect),
    )
    assert former.ended_by is not None
    assert latter.ended_by is None
    assert latter.issuer.has_issued


def test_frozen_holder_of_a_file_keeps_its_worker_id() -> None:
    world = make_world("file")
    steps = Step(3000, events.freeze), Step(700, events.start), Step(7000, events.thaw), Step(500, store_events.connect)
    holder, other = play(world, *steps)
    assert "is in use" in str(other.ended_by)
    assert not other.issuer.has_issued
    assert world.scheduler.now_ns - holder.issuer.last_ns < 10**9, "it has gone on"


@pytest.mark.parametrize("seed", range(5))
def test_frozen_holder_that_was_replaced_issues_no_more(seed: int) -> None:
    world = make_world("lease", seed=seed)
    world.start(world.places[0])
    world.run_for(3)
    holder = world.incarnations[0]
    world.places.append(Place(0, "pod-1", world.places[0].settings))
    other = world.start(world.places[1])
    events.freeze(world, world.places[0], 0)
    world.run_for(20)
    assert other.issuer.has_issued
    events.thaw(world, world.places[0], 0)
    world.run_for(4)
    check_history(world)
    world.end()
    assert holder.issuer.last_ns < other.issuer.first_ns


def test_lease_lasts_as_long_as_its_reservation() -> None:
    """Else another pod could take it while its holder still issues IDs."""
    world = make_world("lease", reserve_ms=2_900)
    play(world, Step(3000, store_events.connect))
    assert world.api.leases["respid-a-1"].duration_seconds * 1000 >= 2_900


def test_lost_reply_is_not_taken_for_a_takeover() -> None:
    world = make_world("lease", reserve_ms=LONG_RESERVE_MS)
    outage = (Step(2000, store_events.api_fails), Step(2000, store_events.api_works))
    (one,) = play(world, *outage * 20)
    assert one.worker.reservation.extensions_failed > 5
    assert one.ended_by is None


def test_holder_whose_clock_was_set_far_back_keeps_its_worker_id() -> None:
    world = make_world("lease", pods=2, reserve_ms=LONG_RESERVE_MS)
    set_back = 2
    assert clock_events.CLOCK_STEPS_MS[set_back] < -LONG_RESERVE_MS
    world.start(world.places[0])
    world.run_for(3)
    play(world, Step(0, clock_events.set_clock, 0, set_back), Step(40_000, store_events.connect))
    holder, *others = world.incarnations
    assert holder.ended_by is None or holder.place is world.places[0]
    assert not any(other.issuer.has_issued for other in others if other.place is not holder.place)


@pytest.mark.parametrize("seed", range(10))
def test_outage_of_the_api_server_costs_no_holder_its_worker_id(seed: int) -> None:
    world = make_world("lease", pods=2, seed=seed, reserve_ms=LONG_RESERVE_MS)
    world.api.faults = ("request",)
    pods = play(
        world,
        Step(3000, store_events.api_fails),
        Step(2 * LONG_RESERVE_MS, store_events.api_works),
        Step(LONG_RESERVE_MS, store_events.connect),
    )
    holder, other = sorted(pods, key=lambda one: one.issuer.least, reverse=True)
    assert holder.ended_by is None
    assert not other.issuer.has_issued
    assert world.scheduler.now_ns - holder.issuer.last_ns < 10**9, "it has gone on"


@pytest.mark.parametrize("seed", range(10))
def test_pod_that_is_cut_off_is_replaced_when_it_can_issue_no_more(seed: int) -> None:
    world = make_world("lease", pods=2, seed=seed, reserve_ms=LONG_RESERVE_MS)
    world.api.faults = ("request",)
    world.start(world.places[0])
    world.run_for(3)
    holder = world.incarnations[0]
    other = world.start(world.places[1])
    world.run_for(3)
    store_events.cut_off(world, world.places[0], 0)
    world.run_for(4 * LONG_RESERVE_MS / 1000)
    check_history(world)
    world.end()
    assert other.issuer.has_issued
    assert other.issuer.first_ns > holder.issuer.last_ns


@pytest.mark.parametrize("spaces", ["ab", "aa"])
@pytest.mark.parametrize("seed", range(5))
def test_one_worker_id_of_two_pods_that_start_at_once_is_issued_once(spaces: str, seed: int) -> None:
    pods = [Settings(1, "lease", space, reserve_ms=LONG_RESERVE_MS) for space in spaces]
    world = World([Place(number, f"respid-{number}", each) for number, each in enumerate(pods)], Random(seed))
    world.api.write_seconds = 2  # so that each has listed the Leases before the other one has written
    for place in world.places:
        world.start(place)
    world.run_for(6)
    world.api.write_seconds = 0
    world.run_for(10)
    check_history(world)
    world.end()
    assert [one.issuer.has_issued for one in world.incarnations].count(True) == 1


def test_worker_id_of_pod_that_has_stopped_is_free_at_once() -> None:
    world = make_world("lease", pods=2, reserve_ms=LONG_RESERVE_MS)
    world.start(world.places[0])
    world.run_for(3)
    events.stop(world, world.places[0], 0)
    world.run_for(6)
    other = world.start(world.places[1])
    world.run_for(LONG_RESERVE_MS / 2000)
    check_history(world)
    world.end()
    assert world.incarnations[0].stopped_cleanly
    assert other.issuer.has_issued


def test_step_forward_during_outage_leaves_the_rest_of_the_reservation() -> None:
    world = make_world("lease", reserve_ms=LONG_RESERVE_MS)
    one = world.start(world.places[0])
    world.run_for(3)
    store_events.cut_off(world, world.places[0], 0)
    world.set_clock(world.hosts[0], LONG_RESERVE_MS + 10_000)
    world.run_for(LONG_RESERVE_MS / 3000)
    check_history(world)
    world.end()
    assert world.scheduler.now_ns - one.issuer.last_ns < 10**9, "it has gone on"


@pytest.mark.parametrize("last_space", ["a", "c"])
def test_worker_that_changed_layout_and_space_goes_on_above_its_greatest_mark(last_space: str) -> None:
    """Its first mark is one of another layout."""
    place = Place(0, "respid-0", Settings(1, "lease", "a", layout=LAYOUTS[1]))
    world = World([place], Random(1))
    world.start(place)
    world.run_for(3)
    change(world, place, layout=LAYOUTS[0], space="b", accepts_layout_change=True, reserve_ms=LONG_RESERVE_MS)
    world.run_for(3)
    events.kill(world, place, 0)
    world.start(place)
    world.run_for(3)
    change(world, place, space=last_space)
    world.run_for(3)
    check_history(world)
    world.end()
    assert world.incarnations[-1].issuer.has_issued
