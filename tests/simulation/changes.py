"""Changes that an operator makes: worker IDs, layouts, stores, and where a start begins."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from respid.ids.layout import Layout
from tests.simulation.events import freeze, kill, stop, thaw
from tests.simulation.rare_states import Rare
from tests.simulation.store_events import api_works, lists_fail, move_marks
from tests.simulation.world import LAYOUT, Incarnation, Place, World

# In all of them IDs rise equally fast, and the epochs are so close that a clock lead makes up for the difference.
EPOCH_STEP_MS = 700
LAYOUTS = (
    LAYOUT,
    Layout.parse("41/1/5", LAYOUT.epoch_ms + EPOCH_STEP_MS),
    Layout.parse("41/3/3", LAYOUT.epoch_ms - EPOCH_STEP_MS),
)


def another_layout(place: Place, detail: int) -> Layout:
    return [layout for layout in LAYOUTS if layout != place.settings.layout][detail % 2]


def change_worker_id(world: World, place: Place, detail: int) -> None:
    """A rolling change of the offset: this pod is replaced first."""
    worker_id = (place.settings.worker_id + 1 + detail % 2) % place.settings.layout.workers
    change(world, place, worker_id=worker_id)


def change_layout(world: World, place: Place, detail: int) -> None:
    """A rolling change of the layout, which is accepted or not."""
    layout = LAYOUTS[detail % len(LAYOUTS)]
    worker_id = place.settings.worker_id % layout.workers
    change(world, place, layout=layout, worker_id=worker_id, accepts_layout_change=detail % 2 == 0)


def change_layout_of_all(world: World, place: Place, detail: int) -> None:
    """As the documents say: all are stopped first."""
    stop_all(world)
    layout = LAYOUTS[detail % len(LAYOUTS)]
    for each in world.places:
        worker_id = each.settings.worker_id % layout.workers
        each.settings = replace(each.settings, layout=layout, worker_id=worker_id, accepts_layout_change=True)
        world.start(each)
    del place


def freeze_beside_a_change(world: World, place: Place, detail: int) -> None:
    """While a worker stands still for longer than its reservation, the others change to another layout."""
    _freeze_beside_a_change(world, place, detail)
    thaw(world, place, detail)


def miss_the_list_after_a_change(world: World, place: Place, detail: int) -> None:
    """The same, but when the worker goes on, it cannot list the Leases at first."""
    _freeze_beside_a_change(world, place, detail)
    lists_fail(world, place, detail)
    thaw(world, place, detail)
    world.run_for(2)
    api_works(world, place, detail)


def _freeze_beside_a_change(world: World, place: Place, detail: int) -> None:
    freeze(world, place, detail)
    layout = LAYOUTS[detail % len(LAYOUTS)]
    for each in world.places:
        if each is not place:
            kill(world, each, detail)
            worker_id = each.settings.worker_id % layout.workers
            each.settings = replace(each.settings, layout=layout, worker_id=worker_id, accepts_layout_change=True)
            world.start(each)
    world.run_for((2, 7, 14)[detail % 3])


def join_after_a_change(world: World, place: Place, detail: int) -> None:
    """A worker ID starts for the first time after a change of the layout, which was made with a clock ahead."""
    host = world.host_of(place)
    world.set_clock(host, 4_000)
    world.run_for(2.2)
    world.set_clock(host, 0)
    layout = another_layout(place, detail)
    stop_all(world)
    worker_id = place.settings.worker_id % layout.workers
    place.settings = replace(place.settings, layout=layout, worker_id=worker_id, accepts_layout_change=True)
    world.start(place)
    world.run_for(1)
    world.set_clock(host, -4_000)
    change(world, place, worker_id=(worker_id + 1) % layout.workers)
    world.run_for(1)


def change_layout_without_sight(world: World, place: Place, detail: int) -> None:
    """The marks of the other workers cannot be read, and one of these workers was ahead of this one.

    No ID repeats even so, if none was further ahead than the maximum clock lead, and all were stopped.
    """
    layout, former = another_layout(place, detail), place.settings
    stop_all(world)
    neighbour = sibling(world, place, worker_id=(former.worker_id + 1) % former.layout.workers)
    own, other = world.start(place), world.start(neighbour)
    world.run_for(2.5)
    for one, seconds in ((own, 2.5), (other, 1.6)):
        world.stop(one)
        world.run_for(seconds)
        one.process.kill()
    if not _can_change_without_sight(world, own) or former.worker_id >= layout.workers:
        return
    host = world.host_of(place)
    with _others_hidden(world, place):
        world.set_clock(host, host.clock.offset_ms - 8_000)
        place.settings = replace(former, layout=layout, accepts_layout_change=True)
        world.start(place)
        world.run_for(2.5)
        kill(world, place, detail)
    world.set_clock(host, 0)
    world.greatest_ahead_ms = max(world.greatest_ahead_ms, former.lead_limit_seconds * 1000)


def _can_change_without_sight(world: World, own: Incarnation) -> bool:
    """Whether its mark is known, and the others of its store were not too far ahead of it."""
    issuers = [one.issuer for one in world.incarnations if one.issuer.store == own.issuer.store]
    reached_ms = own.issuer.greatest_ms + own.settings.lead_limit_seconds * 1000 - 2_000
    is_known = own.issuer.has_issued and not world.losses and not world.damaged
    return is_known and all(one.greatest_ms < reached_ms for one in issuers if one.has_issued)


@contextlib.contextmanager
def _others_hidden(world: World, place: Place) -> Iterator[None]:
    """The marks of other workers may not be read."""
    directory = world.host_of(place).disk.directories.get(f"/{place.settings.space}")
    own = f"worker-{place.settings.worker_id}.json"
    files = [inode for name, inode in directory.names.items() if name != own] if directory else []
    for inode in files:
        inode.is_private = inode.content.startswith(b"{")
    world.api.is_list_forbidden = True
    yield
    world.api.is_list_forbidden = False
    for inode in files:
        inode.is_private = False


def sibling(world: World, place: Place, **settings: object) -> Place:
    """A place for another pod of the StatefulSet, on the same host."""
    pod = f"{place.pod.rpartition('-')[0]}-{100 + len(world.incarnations)}"
    return Place(place.host, pod, replace(place.settings, **settings))  # type: ignore[arg-type]


def change_space(world: World, place: Place, detail: int) -> None:
    change(world, place, space="ab"[detail % 2], is_exclusive=False)


def change_layout_and_space(world: World, place: Place, detail: int) -> None:
    """As in a rollback over both: this pod is replaced first, and the others still use the former ones."""
    layout = LAYOUTS[detail % len(LAYOUTS)]
    worker_id = place.settings.worker_id % layout.workers
    space = "b" if place.settings.space == "a" else "a"
    accepts = detail % 2 == 0
    change(world, place, layout=layout, worker_id=worker_id, space=space, accepts_layout_change=accepts)


def change_store(world: World, place: Place, detail: int) -> None:
    change(world, place, store=("file", "lease")[detail % 2])


def stop_all(world: World) -> None:
    for place in world.places:
        stop(world, place, 0)
    world.run_for(6)
    for place in world.places:
        kill(world, place, 0)


def change(world: World, place: Place, **settings: object) -> None:
    """Restarts the worker of a place with other settings."""
    stop(world, place, 0)
    world.run_for(0.6)
    kill(world, place, 0)
    place.settings = replace(place.settings, **settings)  # type: ignore[arg-type]
    world.start(place)


def change_reserve(world: World, place: Place, detail: int) -> None:
    """As `--reserve`: at most half of the maximum clock lead."""
    most_ms = round(place.settings.lead_limit_seconds * 500)
    change(world, place, reserve_ms=min(most_ms, (1_000, 3_000, 6_000)[detail % 3]))


def roll_offset(world: World, place: Place, detail: int) -> None:
    """The offset of a StatefulSet changes: its pods are replaced one by one, the last first, and back if one waits."""
    replaced = []
    for each in reversed(world.places):
        former = each.settings.worker_id
        replaced.append((each, former))
        change(world, each, worker_id=(former + 1 + detail % 2) % each.settings.layout.workers)
        if not _is_ready_within(world, each, 3):
            world.reached.add(Rare.OFFSET_ROLLED_BACK)
            break
    else:
        return
    for each, former in replaced:
        change(world, each, worker_id=former)
    del place


def _is_ready_within(world: World, place: Place, seconds: int) -> bool:
    for _ in range(seconds * 2):
        world.run_for(0.5)
        if any(one.issuer.has_issued for one in world.alive(place)):
            return True
    return False


def start_above(world: World, place: Place, detail: int) -> None:
    """A start above an ID of another system: one that is past, one that is ahead, or one that is too far ahead."""
    layout, limit_ms = place.settings.layout, round(place.settings.lead_limit_seconds * 1000)
    ahead_ms = (-3_000, 2_500, limit_ms + 60_000)[detail % 3]
    timestamp_ms = max(layout.epoch_ms, world.host_of(place).clock.wall_ms() + ahead_ms)
    low_bits = (0, 1, (1 << layout.timestamp_shift) - 1)[detail // 3 % 3]
    change(world, place, start_above=layout.compose(timestamp_ms, 0, low_bits))
    if detail % 3 == 2:
        world.run_for(2)
        place.settings = replace(place.settings, start_above=None)


def move_above(world: World, place: Place, detail: int) -> None:
    """As the documents say: all are stopped, and start elsewhere, or where the marks are lost, above all issued IDs."""
    stop_all(world)
    greatest = max(world.greatest, 0)
    if detail % 4 == 0:
        move_marks(world, place, detail)
    for each in world.places:
        if detail % 4 == 1:
            each.settings = replace(each.settings, space="ab"[detail // 4 % 2], is_exclusive=False)
        elif detail % 4 == 2:
            each.settings = replace(each.settings, store=("file", "lease")[detail // 4 % 2])
        each.settings = replace(each.settings, start_above=greatest)
        world.start(each)


def use_own_directory(world: World, place: Place, _detail: int) -> None:
    """As the chart does: each pod has a volume of its own."""
    change(world, place, store="file", space=f"own-{world.places.index(place)}", is_exclusive=True)


def change_own_worker_id(world: World, place: Place, detail: int) -> None:
    """The offset changes, with `--start-above` or without; the operator may go back when it is refused."""
    former = place.settings
    above = (None, world.greatest, world.greatest + (former.reserve_ms + 1 << former.layout.timestamp_shift))
    worker_id = (former.worker_id + 1 + detail % 2) % former.layout.workers
    change(world, place, worker_id=worker_id, start_above=above[detail % 3])
    world.run_for(1)
    if not world.alive(place) and detail % 5 < 3:
        place.settings = former
        world.start(place)


def turn_own_worker_id(world: World, place: Place, detail: int) -> None:
    """An own directory, while the clock is behind: the worker ID changes above all IDs, and back again."""
    use_own_directory(world, place, detail)
    world.run_for(1.5)
    former = place.settings
    world.set_clock(world.host_of(place), -4_000)
    above = world.greatest + (former.reserve_ms + 1_000 << former.layout.timestamp_shift)
    change(world, place, worker_id=(former.worker_id + 1) % former.layout.workers, start_above=above)
    for one in world.alive(place):
        one.process.interrupt_at(detail % 50, lambda: kill(world, place, detail))
    world.run_for(1)
    change(world, place, worker_id=former.worker_id, start_above=None)
    world.run_for(1)
