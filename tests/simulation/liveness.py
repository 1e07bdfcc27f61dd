"""After all faults have ended, an ID can be drawn from every worker that the rules permit, within bounded time."""

import re
from dataclasses import replace

from tests.simulation.changes import stop_all
from tests.simulation.promises import BrokenPromiseError
from tests.simulation.scheduler import SECOND
from tests.simulation.verdict import check_history
from tests.simulation.world import Incarnation, World

SUPERVISOR_SECONDS = 1.0  # how often it starts what has ended
MARGIN_SECONDS = 9.0  # for requests that were slow, stops, and restarts


def heal_and_check(world: World) -> None:
    """Ends all faults, as an operator would, and waits. Raises BrokenPromiseError."""
    heal(world)
    for _ in range(round((world.reserve_ms / 1000 + MARGIN_SECONDS) / SUPERVISOR_SECONDS)):
        heed_refusals(world)
        restart_the_dead(world)
        world.run_for(SUPERVISOR_SECONDS)
        if not unserved(world):
            break
    check_history(world)
    if slots := unserved(world):
        raise BrokenPromiseError(f"no ID from {slots} after all faults have ended")


def heal(world: World) -> None:
    world.note_trouble()
    world.api.recover()
    world.api.is_stale = False
    world.api.lists_fail = False
    world.api.write_seconds = 0
    for host in world.hosts:
        host.hears_late = False
        host.is_cut_off = host.disk.fails = host.disk.is_slow = host.clock.stalls = False
        world.set_clock(host, 0)
    for one in world.alive():
        one.process.thaw()
        one.process.interrupt_at(0, None)
    asleep_ns = max(0, *(one.process.asleep_until_ns - world.scheduler.now_ns for one in world.incarnations))
    world.run_for(asleep_ns / SECOND)
    settle_layouts(world)
    world.draws_every_seconds = (0.2,)
    world.healed_ns = world.scheduler.now_ns


def settle_layouts(world: World) -> None:
    """Goes back to one layout for all, as the documents say: all are stopped first."""
    layouts = {one.settings.layout for one in world.incarnations}
    if len(layouts) == 1:
        return
    stop_all(world)
    for place in world.places:
        layout = world.places[0].settings.layout
        worker_id = place.settings.worker_id % layout.workers
        place.settings = replace(place.settings, layout=layout, worker_id=worker_id, accepts_layout_change=True)


def heed_refusals(world: World) -> None:
    """An operator does what the messages say."""
    for one in world.incarnations:
        refusal = re.search(r"--start-above set to the greatest ID issued, (\d+) or more", str(one.ended_by))
        if refusal and one.settings is one.place.settings:
            one.place.settings = replace(one.settings, start_above=int(refusal[1]))


def restart_the_dead(world: World) -> None:
    """As a supervisor does."""
    for place in world.places:
        if not world.alive(place):
            world.start(place)


def unserved(world: World) -> list[str]:
    """The worker IDs of which no ID was drawn since the faults have ended, although the rules permit it."""
    serving = [one for one in world.incarnations if one.issuer.last_ns > world.healed_ns]
    served = {(one.issuer.store, one.settings.worker_id) for one in serving}
    # A pod waits for another one of its StatefulSet, whatever ID space that is in.
    served |= {
        (f"lease {space}", one.settings.worker_id) for one in serving for space in spaces_of_siblings(world, one)
    }
    return [
        f"worker ID {place.settings.worker_id} in {world.store_name(place)}"
        for place in world.places
        if place.settings.store != "none"
        and (world.store_name(place), place.settings.worker_id) not in served
        and is_permitted(world)
        and world.store_name(place) not in world.damaged
        and not has_ended(world)
    ]


def spaces_of_siblings(world: World, one: Incarnation) -> set[str]:
    """The ID spaces in which the pods of the same StatefulSet want its worker ID."""
    name, settings = one.place.pod.rpartition("-")[0], one.settings
    return {
        place.settings.space
        for place in world.places
        if place.pod.rpartition("-")[0] == name
        and (place.settings.store, place.settings.worker_id) == ("lease", settings.worker_id)
        and settings.store == "lease"
    }


def is_permitted(world: World) -> bool:
    """IDs are refused while a stored mark is too far ahead of the clock."""
    ahead_ms = max(world.greatest_ahead_ms, *(host.clock.greatest_offset_ms for host in world.hosts))
    return (
        ahead_ms + 2 * world.reserve_ms + 5_000
        < min(place.settings.lead_limit_seconds for place in world.places) * 1000
    )


def has_ended(world: World) -> bool:
    return any(
        host.clock.wall_ms() >= place.settings.layout.end_ms - 1 for host in world.hosts for place in world.places
    )
