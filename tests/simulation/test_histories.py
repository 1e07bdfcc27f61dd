"""Whatever happens, no ID is issued twice, and the IDs of two holders of a worker ID never interleave.

`RESPID_TEST_HISTORIES` is the number of histories of each kind (default: 1000); some millions take a night.
"""

import os
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.world import (
    FILE_EVENTS,
    FILE_LAYOUT_PLACES,
    FILE_PLACES,
    LAYOUT_PLACES,
    LEASE_EVENTS,
    LEASE_PLACES,
    Event,
    Step,
    World,
    histories,
)

HISTORIES = int(os.environ.get("RESPID_TEST_HISTORIES", "1000"))
play_many = settings(max_examples=HISTORIES, suppress_health_check=list(HealthCheck))


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.timeout(60 + HISTORIES)
@play_many
@given(histories(FILE_EVENTS, len(FILE_PLACES)), st.integers(0, 1 << 32))
def test_processes_on_one_directory_repeat_no_id(history: list[Step], seed: int) -> None:
    World(FILE_PLACES, "file", Random(seed)).play(history)


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.timeout(60 + HISTORIES)
@play_many
@given(histories(LEASE_EVENTS, len(LEASE_PLACES)), st.integers(0, 1 << 32))
def test_pods_with_leases_repeat_no_id(history: list[Step], seed: int) -> None:
    World(LEASE_PLACES, "lease", Random(seed)).play(history)


@pytest.mark.timeout(60 + HISTORIES)
@pytest.mark.parametrize("kind", ["file", "lease"])
@play_many
@given(data=st.data(), seed=st.integers(0, 1 << 32))
def test_no_history_of_two_layouts_repeats_an_id(kind: str, data: st.DataObject, seed: int) -> None:
    events = FILE_EVENTS if kind == "file" else LEASE_EVENTS
    places = FILE_LAYOUT_PLACES if kind == "file" else LAYOUT_PLACES
    World(places, kind, Random(seed)).play(data.draw(histories(events, len(places))))


@pytest.mark.parametrize("kind", ["file", "lease"])
def test_undisturbed_worker_always_issues(kind: str) -> None:
    world = World(FILE_PLACES, kind, Random(1))
    world.play([Step(10_000, Event.STORE_WORKS, 0)])
    assert all(one.worker.generator.ids_issued > 1000 for one in world.incarnations)
    assert all(one.lost is None for one in world.incarnations)


def test_older_of_two_equal_pods_stops() -> None:
    world = World(LEASE_PLACES[:1], "lease", Random(2))
    world.play([Step(3000, Event.FREEZE, 0), Step(700, Event.START, 0), Step(7000, Event.THAW, 0)])
    former, successor = world.incarnations
    assert former.lost is not None
    assert successor.lost is None
    assert successor.worker.generator.ids_issued


def test_lost_reply_is_not_a_takeover() -> None:
    world = World(LEASE_PLACES[:1], "lease", Random(3))
    world.play([Step(2000, event, 0) for event in (Event.STORE_FAILS, Event.STORE_WORKS) * 8])
    assert world.incarnations[0].worker.reservation.extensions_failed > 10
    assert world.incarnations[0].lost is None


LONG_RESERVE_MS = 20_000  # many times the longest request to the simulated API server


def test_holder_with_an_old_clock_keeps_its_worker_id() -> None:
    world = World(LEASE_PLACES, "lease", Random(4), LONG_RESERVE_MS)
    world.play([Step(3000, Event.STORE_WORKS, 0, -50_000), Step(40_000, Event.STORE_WORKS, 0)])
    holder, other = sorted(world.incarnations, key=lambda one: -one.worker.generator.ids_issued)
    assert holder.lost is None
    assert not other.worker.generator.ids_issued


@pytest.mark.parametrize("seed", range(10))
def test_holder_keeps_its_worker_id_in_an_outage(seed: int) -> None:
    world = World(LEASE_PLACES, "lease", Random(seed), LONG_RESERVE_MS)
    world.api.faults = ("request",)
    world.play(
        [
            Step(3000, Event.STORE_FAILS, 0),
            Step(2 * LONG_RESERVE_MS, Event.STORE_WORKS, 0),
            Step(LONG_RESERVE_MS, Event.STORE_WORKS, 0),
        ]
    )
    holder, *others = sorted(world.incarnations, key=lambda one: -one.worker.generator.ids_issued)
    assert holder.lost is None
    assert not any(other.worker.generator.ids_issued for other in others)
    assert world.true.wall - holder.worker.generator.timestamp_ms < 2000, "it has gone on"
