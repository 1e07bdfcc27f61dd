"""Changes that an operator makes: worker IDs, layouts, stores, and where a start begins."""

from dataclasses import replace

from respid.ids.layout import Layout
from tests.simulation.events import freeze, kill, move_marks, stop, thaw
from tests.simulation.rare_states import Rare
from tests.simulation.world import LAYOUT, Place, World

# In all of them IDs rise equally fast, and the epochs are so close that a clock lead makes up for the difference.
EPOCH_STEP_MS = 700
LAYOUTS = (
    LAYOUT,
    Layout.parse("41/1/5", LAYOUT.epoch_ms + EPOCH_STEP_MS),
    Layout.parse("41/3/3", LAYOUT.epoch_ms - EPOCH_STEP_MS),
)


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
    freeze(world, place, detail)
    layout = LAYOUTS[detail % len(LAYOUTS)]
    for each in world.places:
        if each is not place:
            kill(world, each, detail)
            worker_id = each.settings.worker_id % layout.workers
            each.settings = replace(each.settings, layout=layout, worker_id=worker_id, accepts_layout_change=True)
            world.start(each)
    world.run_for((2, 7, 14)[detail % 3])
    thaw(world, place, detail)


def join_after_a_change(world: World, place: Place, detail: int) -> None:
    """A worker ID starts for the first time after a change of the layout, which was made with a clock ahead."""
    host = world.host_of(place)
    world.set_clock(host, 4_000)
    world.run_for(2.2)
    world.set_clock(host, 0)
    layout = LAYOUTS[detail % len(LAYOUTS)]
    if place.settings.layout == layout:
        layout = LAYOUTS[(detail + 1) % len(LAYOUTS)]
    stop_all(world)
    worker_id = place.settings.worker_id % layout.workers
    place.settings = replace(place.settings, layout=layout, worker_id=worker_id, accepts_layout_change=True)
    world.start(place)
    world.run_for(1)
    world.set_clock(host, -4_000)
    change(world, place, worker_id=(worker_id + 1) % layout.workers)
    world.run_for(1)


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
    world.api.write_seconds = 0
    world.run_for((0.2, 0.5, 1)[detail % 3])
    for host in world.hosts:
        world.set_clock(host, -4_000)
    for each, settings in zip(world.places, former, strict=True):
        kill(world, each, detail)
        each.settings = replace(settings, accepts_layout_change=True)
        world.start(each)
    world.run_for(2)


def change_space(world: World, place: Place, detail: int) -> None:
    change(world, place, space="ab"[detail % 2], is_exclusive=False)


def change_layout_and_space(world: World, place: Place, detail: int) -> None:
    """As in a rollback over both: this pod is replaced first, and the others still use the former ones."""
    layout = LAYOUTS[detail % len(LAYOUTS)]
    worker_id = place.settings.worker_id % layout.workers
    space = "b" if place.settings.space == "a" else "a"
    accepts = detail % 2 == 0
    change(world, place, layout=layout, worker_id=worker_id, space=space, accepts_layout_change=accepts)


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
    world.api.write_seconds = 0
    world.run_for((0.5, 2, 5)[detail % 3])
    kill(world, sibling, detail)
    world.places.remove(sibling)


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
