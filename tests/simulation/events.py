"""What can happen in a history, one function per event."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from respid.highwater.stores.lease import Lease
from respid.ids.layout import Layout
from tests.simulation.host import JUMP_MS, Host
from tests.simulation.promises import Loss
from tests.simulation.rare_states import Rare
from tests.simulation.world import LAYOUT, Place, World


class Event(Protocol):
    """Something that happens at a place. The detail chooses between its variants."""

    __name__: str

    def __call__(self, world: World, place: Place, detail: int, /) -> None: ...


CLOCK_STEPS_MS = (-60.4, -4000.3, -50_000, 4000.7, 0.5)
LAYOUTS = (LAYOUT, Layout.parse("41/1/5"), Layout.parse("41/3/3"))  # in all of them IDs rise equally fast


class Step(NamedTuple):
    """An event at one of the places, after a pause. The detail chooses between its variants."""

    pause_ms: int
    event: Event
    place: int = 0
    detail: int = 0

    def __str__(self) -> str:
        return f"Step({self.pause_ms}, {self.event.__name__}, {self.place}, {self.detail})"


def start(world: World, place: Place, _detail: int) -> None:
    """Beside whatever runs there."""
    world.start(place)


def kill(world: World, place: Place, _detail: int) -> None:
    for one in world.alive(place):
        if one.process.threads:
            world.reached.add(Rare.KILLED_IN_A_WRITE)
        one.process.kill()


def restart(world: World, place: Place, detail: int) -> None:
    kill(world, place, detail)
    world.start(place)


def stop(world: World, place: Place, _detail: int) -> None:
    for one in world.alive(place):
        one.process.thaw()
        world.stop(one)


def replace_after_stop(world: World, place: Place, detail: int) -> None:
    stop(world, place, detail)
    world.run_for(0.6)
    world.start(place)


def in_a_call(event: Event) -> Event:
    """The event, in the middle of one of the next system calls of the processes at the place."""

    def happen(world: World, place: Place, detail: int) -> None:
        for one in world.alive(place):
            one.process.interrupt_at(detail % 17, lambda: event(world, place, detail))

    happen.__name__ = f"in_a_call({event.__name__})"
    return happen


def freeze(world: World, place: Place, _detail: int) -> None:
    for one in world.alive(place):
        one.process.is_frozen = one.was_held_up = True


def thaw(world: World, place: Place, _detail: int) -> None:
    for one in world.alive(place):
        one.process.thaw()


def suspend(world: World, place: Place, detail: int) -> None:
    """The machine sleeps: all of its clocks but the monotonic one go on."""
    host, seconds = world.host_of(place), (0.05, 0.7, 4, 30)[detail % 4]
    host.clock.suspend(seconds)
    for one in world.alive():
        if one.process.host is host:
            world.scheduler.delay(one.process, seconds)
            one.was_held_up = True
            if one.issuer.has_issued:
                world.reached.add(Rare.HOLDER_SUSPENDED)


def lose_power(world: World, place: Place, _detail: int) -> None:
    host = world.host_of(place)
    for one in world.alive():
        if one.process.host is host:
            one.process.kill()
    host.disk.lose_power()
    world.start(place)


def disk_fails(world: World, place: Place, _detail: int) -> None:
    host = world.host_of(place)
    host.disk.fails = True
    note_disk_failure(world, host)


def note_disk_failure(world: World, host: Host) -> None:
    for one in world.alive():
        one.disk_failed |= one.process.host is host


def disk_is_slow(world: World, place: Place, _detail: int) -> None:
    world.host_of(place).disk.is_slow = True


def disk_works(world: World, place: Place, _detail: int) -> None:
    disk = world.host_of(place).disk
    disk.fails = disk.is_slow = False


def api_fails(world: World, _place: Place, _detail: int) -> None:
    world.api.fails = True


def api_works(world: World, _place: Place, _detail: int) -> None:
    world.api.fails = False


def cut_off(world: World, place: Place, _detail: int) -> None:
    """One host no longer reaches the API server, or hears nothing from it."""
    world.host_of(place).is_cut_off = True


def connect(world: World, place: Place, _detail: int) -> None:
    world.host_of(place).is_cut_off = False


def api_is_stale(world: World, _place: Place, _detail: int) -> None:
    world.api.is_stale = True


def set_clock(world: World, place: Place, detail: int) -> None:
    host = world.host_of(place)
    world.set_clock(host, host.clock.offset_ms + CLOCK_STEPS_MS[detail % len(CLOCK_STEPS_MS)])


def correct_clock(world: World, place: Place, _detail: int) -> None:
    world.set_clock(world.host_of(place), 0)


def jump(world: World, place: Place, _detail: int) -> None:
    """The wall clock gives a time that is days ahead."""
    world.set_clock(world.host_of(place), JUMP_MS)


def delete_lock(world: World, place: Place, _detail: int) -> None:
    for directory in world.host_of(place).disk.directories.values():
        directory.change(**{f"worker-{place.settings.worker_id}.lock": None})


def delete_lock_and_start(world: World, place: Place, detail: int) -> None:
    delete_lock(world, place, detail)
    world.start(place)


def interlude(world: World, place: Place, detail: int) -> None:
    """While the processes of a place stand still, their lock is deleted, and another one comes and goes."""
    freeze(world, place, detail)
    delete_lock(world, place, detail)
    other = world.start(place)
    world.run_for((0.4, 1.5, 5)[detail % 3])
    if detail % 2:
        world.stop(other)
    else:
        other.process.kill()
    world.run_for(1)
    thaw(world, place, detail)


def clock_ahead(world: World, place: Place, _detail: int) -> None:
    world.set_clock(world.host_of(place), 4000.7)


def clock_ahead_for_a_while(world: World, place: Place, detail: int) -> None:
    """Reservations reach too far ahead, and are taken back."""
    host = world.host_of(place)
    world.set_clock(host, 4000.7)
    world.run_for((0.5, 2.5)[detail % 2])
    world.set_clock(host, 0)
    world.run_for((0.01, 0.3, 0.8)[detail % 3])


def delete_mark(world: World, place: Place, _detail: int) -> None:
    worker_id = place.settings.worker_id
    if place.settings.store == "lease":
        world.api.delete(f"respid-{place.settings.space}-{worker_id}")
    elif directory := world.host_of(place).disk.directories.get(f"/{place.settings.space}"):
        directory.change(**{f"worker-{worker_id}.json": None})
    world.losses.append(Loss(world.store_name(place), worker_id, world.scheduler.now_ns))


def delete_mark_of_a_running_worker(world: World, place: Place, detail: int) -> None:
    """It writes the mark again, unless something keeps it from that, and its successor finds that one."""
    name, started = world.store_name(place), len(world.incarnations)
    users = [one for one in world.alive() if one.issuer.store == name]
    holders = [one for one in users if one.settings.worker_id == place.settings.worker_id]
    is_quiet = len(holders) == 1 and all(one.issuer.has_issued for one in users) and world.is_calm(place)
    delete_mark(world, place, detail)
    loss = world.losses[-1]
    world.run_for(4 + world.reserve_ms / 1000)
    is_quiet &= started == len(world.incarnations) and world.is_calm(place)
    if is_quiet and not holders[0].process.is_dead and not holders[0].was_held_up:
        world.losses.remove(loss)
        world.reached.add(Rare.MARK_REWRITTEN)
    restart(world, place, detail)


def damage_mark(world: World, place: Place, detail: int) -> None:
    """The mark's file is cut off, or something else is written into it."""
    directory = world.host_of(place).disk.directories.get(f"/{place.settings.space}")
    if place.settings.store == "file" and directory is not None:
        inode = directory.names.get(f"worker-{place.settings.worker_id}.json")
        if inode is not None:
            inode.content = inode.synced = (b"", b"{}", b"null", inode.content[:-9])[detail % 4]
            world.damaged.add(world.store_name(place))


def move_marks(world: World, place: Place, detail: int) -> None:
    """The state directory is moved away, or the Leases are those of a backup."""
    world.losses.append(Loss(world.store_name(place), None, world.scheduler.now_ns))
    if place.settings.store == "lease":
        restore_leases(world)
        return
    directories = world.host_of(place).disk.directories
    if directory := directories.pop(f"/{place.settings.space}", None):
        directories[f"/moved-{detail}-{world.scheduler.now_ns}"] = directory


def restore_leases(world: World) -> None:
    """The backup was made at the last change of each Lease but one."""
    backup: dict[str, Lease] = {name: lease for name, lease in world.api.former.items() if lease is not None}
    spaces = {place.settings.space for place in world.places if place.settings.store == "lease"}
    world.losses += [Loss(f"lease {space}", None, world.scheduler.now_ns) for space in sorted(spaces)]
    world.api.restore(backup)


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


def mix_layouts(world: World, place: Place, detail: int) -> None:
    """All places start at once, with different layouts."""
    for number, each in enumerate(world.places):
        kill(world, each, detail)
        layout = LAYOUTS[(detail + number) % len(LAYOUTS)]
        worker_id = each.settings.worker_id % layout.workers
        each.settings = replace(each.settings, layout=layout, worker_id=worker_id, accepts_layout_change=True)
        world.start(each)
    del place


def change_space(world: World, place: Place, detail: int) -> None:
    change(world, place, space="ab"[detail % 2])


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


@dataclass(frozen=True)
class Fault:
    """Events that belong together: a history has all of them or none."""

    events: tuple[Event, ...]
    store: str = ""  # the only one that it concerns


ALWAYS: tuple[Event, ...] = (restart, start, stop, replace_after_stop, kill)
FAULTS = (
    Fault((freeze, thaw, start)),
    Fault((suspend, start)),
    Fault((in_a_call(kill), start), "file"),
    Fault((in_a_call(freeze), thaw, start), "file"),
    Fault((lose_power, in_a_call(lose_power)), "file"),
    Fault((disk_fails, disk_works), "file"),
    Fault((disk_fails, disk_works, lose_power), "file"),
    Fault((disk_is_slow, disk_works), "file"),
    Fault((delete_lock, start, in_a_call(delete_lock_and_start), delete_lock_and_start, disk_is_slow), "file"),
    Fault((interlude, in_a_call(interlude)), "file"),
    Fault((mix_layouts, disk_is_slow, mix_layouts), "file"),
    Fault((clock_ahead_for_a_while, cut_off, connect, start, start), "lease"),
    Fault((clock_ahead_for_a_while, restart)),
    Fault((set_clock, change_layout_of_all, mix_layouts)),
    Fault((freeze_beside_a_change,)),
    Fault((api_fails, api_works), "lease"),
    Fault((cut_off, connect), "lease"),
    Fault((cut_off, connect, start), "lease"),
    Fault((api_is_stale,), "lease"),
    Fault((set_clock, set_clock, correct_clock)),
    Fault((set_clock, correct_clock, start)),
    Fault((jump, correct_clock)),
    Fault((delete_mark,)),
    Fault((delete_mark_of_a_running_worker,)),
    Fault((damage_mark,), "file"),
    Fault((move_marks,)),
    Fault((change_worker_id,)),
    Fault((change_layout, change_layout_of_all)),
    Fault((change_space,)),
    Fault((change_store,)),
)
