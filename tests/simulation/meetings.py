"""Starts that meet others in their store, or stand still while others come and go."""

from dataclasses import replace

from tests.simulation.changes import EPOCH_STEP_MS, LAYOUTS, another_layout, sibling
from tests.simulation.events import freeze, kill, stop, thaw
from tests.simulation.host import Host
from tests.simulation.promises import BrokenPromiseError
from tests.simulation.store_events import delete_lock
from tests.simulation.world import Incarnation, Place, Settings, World

CALLS_OF_A_START = {"file": 60, "lease": 5, "none": 1}  # to the store
MET_RESERVE_MS = 40_000  # longer than starts that met may need to settle which of them issues IDs
SETTLING_SECONDS = 25


def mix_layouts(world: World, place: Place, detail: int) -> None:
    """All places start at once, with different layouts."""
    for number, each in enumerate(world.places):
        kill(world, each, detail)
        layout = LAYOUTS[(detail + number) % len(LAYOUTS)]
        worker_id = each.settings.worker_id % layout.workers
        each.settings = replace(each.settings, layout=layout, worker_id=worker_id, accepts_layout_change=True)
        world.start(each)
    del place


def give_way(world: World, place: Place, detail: int) -> None:
    """Workers of two layouts meet in a store whose marks are ahead of the clocks, and some or all give way."""
    for host in world.hosts:
        world.set_clock(host, 4_000)
    world.run_for(1.5)
    for host in world.hosts:
        world.set_clock(host, 0)
    for each in world.places:
        stop(world, each, detail)
    world.run_for(1.2)
    former = [each.settings for each in world.places]
    world.api.write_seconds = 2  # so that all have listed the space before the first one has written
    mix_layouts(world, place, detail)
    world.run_for(2.5)
    world.note_trouble()
    world.api.write_seconds = 0
    world.run_for((0.2, 0.5, 1)[detail % 3])
    for host in world.hosts:
        world.set_clock(host, -4_000)
    for each, settings in zip(world.places, former, strict=True):
        kill(world, each, detail)
        each.settings = replace(settings, accepts_layout_change=True)
        world.start(each)
    world.run_for(2)


def meet_in_two_spaces(world: World, place: Place, detail: int) -> None:
    """Two pods of one StatefulSet with one worker ID, in two ID spaces, start at once.

    As when a node restarts in the middle of a rollback over both the offset and the ID space.
    """
    stop(world, place, detail)
    world.run_for(0.6)
    kill(world, place, detail)
    space = "b" if place.settings.space == "a" else "a"
    sibling = Place(place.host, f"{place.pod.rpartition('-')[0]}-9", replace(place.settings, space=space))
    world.places.append(sibling)
    world.api.write_seconds = (2, 0)[detail % 2]  # so that each has listed the Leases before the other has written
    for each in (place, sibling):
        world.start(each)
    world.run_for(2.5)
    world.note_trouble()
    world.api.write_seconds = 0
    world.run_for((0.5, 2, 5)[detail % 3])
    kill(world, sibling, detail)
    world.places.remove(sibling)


def meet_and_settle(world: World, place: Place, detail: int) -> None:
    """Two starts, of which only one may issue IDs, meet and give way: one of them serves soon after all.

    They are the first ones in their ID spaces. Raises BrokenPromiseError.
    """
    if world.api.fails or world.api.is_stale:
        return
    number = len(world.incarnations)
    host = Host(world.scheduler, len(world.hosts), 0, world.reached)
    world.hosts.append(host)
    one = Settings(1, "lease", f"met-{number}", accepts_layout_change=True, reserve_ms=MET_RESERVE_MS)
    other = replace(one, space=f"{one.space}-too") if detail % 2 else replace(one, worker_id=0, layout=LAYOUTS[1])
    world.api.write_seconds = 2  # so that each has listed the Leases before the other has written
    met = [
        world.start(Place(host.number, f"met{number}-{ordinal}", settings))
        for ordinal, settings in enumerate((one, other))
    ]
    world.run_for(2.5)
    world.note_trouble()
    world.api.write_seconds = 0
    if not issues_within(world, met, SETTLING_SECONDS):
        raise BrokenPromiseError(f"no ID from {' or '.join(str(each.issuer) for each in met)}, which have met")
    _check_turn(world, met)
    for each in met:
        each.process.kill()
    del place


def _check_turn(world: World, met: list[Incarnation]) -> None:
    """The one that gave way begins at its clock, or where the other one ended, once that has stopped.

    Raises BrokenPromiseError.
    """
    winner = next(one for one in met if one.issuer.has_issued)
    loser = next(one for one in met if one is not winner)
    world.run_for(4)  # it may just be giving way again
    loser.process.kill()
    world.stop(winner)
    world.run_for(3)
    if not winner.stopped_cleanly:
        return
    again = world.start(loser.place)
    met.append(again)
    if not issues_within(world, [again], SETTLING_SECONDS):
        raise BrokenPromiseError(f"no ID from {again.issuer}, although {winner.issuer} has stopped")
    ahead_ms = again.issuer.timestamp_ms(again.issuer.least) - again.issuer.first_wall_ms
    if ahead_ms > EPOCH_STEP_MS * 2 + 1_000:
        raise BrokenPromiseError(f"{again.issuer} began {ahead_ms} ms ahead, after it had given way")


def hold_up_a_start(world: World, place: Place, detail: int) -> None:
    """A start with other settings stands still between two of its steps: another one issues IDs and goes.

    That one has come before, or meanwhile. The wall clock of the first one is behind, so that only marks keep its IDs
    above those of the other one.
    """
    former, variant = place.settings, detail % 3
    for each in world.places:
        stop(world, each, detail)
    world.run_for(1.6)
    for each in world.places:
        kill(world, each, detail)
    is_lease = former.store == "lease"
    rival = sibling(world, place)
    if variant != 1:
        layout = another_layout(place, detail // 3)
        worker_id = former.worker_id % layout.workers
        place.settings = replace(former, layout=layout, worker_id=worker_id, accepts_layout_change=True)
    if variant != 0 and is_lease:
        place.settings = replace(place.settings, space="b" if former.space == "a" else "a")
    if variant != 1 or not is_lease:
        rival.settings = replace(former, worker_id=(former.worker_id + 1) % former.layout.workers)
    world.set_clock(world.host_of(place), -4_000)
    if is_lease:
        rival.host = len(world.hosts)
        world.hosts.append(Host(world.scheduler, rival.host, 0, world.reached))
    is_early = not is_lease and detail // 6 % 2
    if is_early:
        other = world.start(rival)
        issues_within(world, [other], 3)
    held = world.start(place)
    held.process.interrupt_at(detail // 12 % CALLS_OF_A_START[former.store], lambda: freeze(world, place, detail))
    world.run_for(3)
    if not is_early:
        other = world.start(rival)
        issues_within(world, [other], 3)
    world.run_for(0.7)
    world.stop(other)
    world.run_for(1.6)
    other.process.kill()
    world.set_clock(world.host_of(place), -8_000)
    thaw(world, place, detail)
    world.run_for(2)
    world.set_clock(world.host_of(place), 0)


def start_together(world: World, place: Place, detail: int) -> None:
    """Two workers that were there before start at the same time, and one of them stands still in a system call."""
    neighbour = sibling(world, place, worker_id=(place.settings.worker_id + 1) % place.settings.layout.workers)
    former = world.start(neighbour)
    world.run_for(0.5)
    former.process.kill()
    kill(world, place, detail)
    world.run_for(0.1)
    world.start(place).process.interrupt_at(8 + detail % 32, lambda: None, 0.3)
    other = world.start(neighbour)
    world.run_for(1.5)
    other.process.kill()


def interlude_of_another_layout(world: World, place: Place, detail: int) -> None:
    """While a worker stands still, its lock is deleted, and a worker of another layout comes and goes."""
    freeze(world, place, detail)
    delete_lock(world, place, detail)
    settings, layout = place.settings, another_layout(place, detail)
    other = sibling(
        world, place, layout=layout, worker_id=(settings.worker_id + 1) % layout.workers, accepts_layout_change=True
    )
    one = world.start(other)
    issues_within(world, [one], 2)
    if detail % 4:
        world.stop(one)
    world.run_for(1.2)
    one.process.kill()
    thaw(world, place, detail)
    world.run_for(1)


def issues_within(world: World, some: list[Incarnation], seconds: float) -> bool:
    """Waits until one of them has issued an ID, at most so long."""
    for _ in range(round(seconds * 2)):
        if any(one.issuer.has_issued for one in some):
            return True
        world.run_for(0.5)
    return False
