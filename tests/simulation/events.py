"""What can happen to a worker, its host and its store, one function per event."""

from typing import NamedTuple, Protocol

from respid.highwater.stores.lease import Lease
from tests.simulation.host import JUMP_MS, START_MS, Host
from tests.simulation.promises import Loss
from tests.simulation.rare_states import Rare
from tests.simulation.world import Place, World

CALLS_OF_A_WRITE = {"file": 30, "lease": 5, "none": 1}  # to the store


class Event(Protocol):
    """Something that happens at a place. The detail chooses between its variants."""

    __name__: str

    def __call__(self, world: World, place: Place, detail: int, /) -> None: ...


CLOCK_STEPS_MS = (-60.4, -4000.3, -50_000, 4000.7, 0.5)


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
    """The event, in the middle of one of the next calls of the processes at the place to their store."""

    def happen(world: World, place: Place, detail: int) -> None:
        for one in world.alive(place):
            call = detail % CALLS_OF_A_WRITE[one.settings.store]
            one.process.interrupt_at(call, lambda: event(world, place, detail))

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
    _sleep(world, world.host_of(place), (0.05, 0.7, 4, 30)[detail % 4])


def _sleep(world: World, host: Host, seconds: float) -> None:
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
    world.note_trouble()
    disk = world.host_of(place).disk
    disk.fails = disk.is_slow = False


def api_fails(world: World, _place: Place, _detail: int) -> None:
    world.api.fail()


def api_works(world: World, _place: Place, _detail: int) -> None:
    world.note_trouble()
    world.api.recover()
    world.api.write_seconds = 0


def cut_off(world: World, place: Place, _detail: int) -> None:
    """One host no longer reaches the API server, or hears nothing from it."""
    world.host_of(place).is_cut_off = True


def hear_late(world: World, place: Place, _detail: int) -> None:
    """The replies of the API server take seconds to one host."""
    world.host_of(place).hears_late = True


def hear_late_beside_a_rival(world: World, place: Place, detail: int) -> None:
    """The last replies before a host is cut off are late. They may be the first ones, too."""
    hear_late(world, place, detail)
    if detail // 3 % 2:
        restart(world, place, detail)
    world.run_for((3, 4.5, 6)[detail % 3])
    cut_off_beside_a_rival(world, place, detail)


def outage_beside_a_rival(world: World, place: Place, detail: int) -> None:
    """The API server is away for longer than a reservation; for the holder of a Lease it stays away a little longer."""
    rival, faults = _start_rival(world, place), world.api.faults
    world.run_for(1.5)
    world.api.faults = ("refused", "request")
    cut_off(world, place, detail)
    api_fails(world, rival, detail)
    world.run_for(place.settings.reserve_ms * 0.001 + 2)
    api_works(world, rival, detail)
    world.run_for(1)
    connect(world, place, detail)
    world.api.faults = faults
    world.run_for(1)


def slow_writes(world: World, _place: Place, _detail: int) -> None:
    """At the API server."""
    world.api.write_seconds = 2


def cut_off_beside_a_rival(world: World, place: Place, detail: int) -> None:
    """A pod of another name waits for the Lease of one that is cut off, and whose wall clock is set back."""
    host = world.host_of(place)
    cut_off(world, place, detail)
    world.set_clock(host, host.clock.offset_ms - 4_000)
    _wait_as_rival(world, place)
    connect(world, place, detail)


def suspend_beside_a_rival(world: World, place: Place, detail: int) -> None:
    """A pod of another name waits for the Lease of one that sleeps, and wakes up without a way to the API server."""
    _sleep(world, world.host_of(place), _rival_seconds(place))
    cut_off(world, place, detail)
    _wait_as_rival(world, place)
    world.run_for(1)
    connect(world, place, detail)


def _wait_as_rival(world: World, place: Place) -> None:
    """Starts a pod of another name, and waits until it may have taken the Lease."""
    _start_rival(world, place)
    world.run_for(_rival_seconds(place))


def _start_rival(world: World, place: Place) -> Place:
    """Starts a pod of another name on a host of its own."""
    rival = Place(len(world.hosts), f"rival-{len(world.places)}", place.settings)
    world.hosts.append(Host(world.scheduler, rival.host, 0, world.reached))
    world.places.append(rival)
    world.start(rival)
    return rival


def _rival_seconds(place: Place) -> float:
    return place.settings.reserve_ms * 0.002 + 3


def connect(world: World, place: Place, _detail: int) -> None:
    world.note_trouble()
    host = world.host_of(place)
    host.is_cut_off = host.hears_late = False


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


def lose_clock(world: World, place: Place, detail: int) -> None:
    """The wall clock shows 1970, a time just before respid was built, or one that no layout reaches."""
    offset_ms = (-START_MS, world.build_ms - START_MS - 60_000, START_MS * 2)[detail % 3]
    world.set_clock(world.host_of(place), offset_ms)


def boot_without_clock(world: World, place: Place, detail: int) -> None:
    """A machine that does not know the time starts, and gets to know it only later, if at all."""
    host = world.host_of(place)
    for one in world.alive():
        if one.process.host is host:
            one.process.kill()
    lose_clock(world, place, detail)
    booted = world.start(place)
    world.run_for((0.1, 1.5, 4)[detail // 3 % 3])
    if detail % 5:
        correct_clock(world, place, detail)
        world.run_for(1)
    if booted.issuer.has_issued:
        world.reached.add(Rare.CLOCK_WAITED_FOR)


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


def reach_the_ceiling(world: World, place: Place, detail: int) -> None:
    """The store is away until the wall clock, which runs ahead, has reached the end of the reservation."""
    host, reserve_ms, pauses = world.host_of(place), place.settings.reserve_ms, world.draws_every_seconds
    offset_ms = host.clock.offset_ms
    world.set_clock(host, offset_ms + reserve_ms * (0.1, 0.2, 0.4)[detail % 3])
    disk_fails(world, place, detail)
    cut_off(world, place, detail)
    world.draws_every_seconds = (0.001,)
    world.run_for(reserve_ms * 0.0011)
    world.draws_every_seconds = pauses
    kill(world, place, detail)
    disk_works(world, place, detail)
    connect(world, place, detail)
    world.set_clock(host, offset_ms - 4_000)
    world.start(place)
    world.run_for(1)


def lower_the_ceiling(world: World, place: Place, detail: int) -> None:
    """Timestamps that were given up are needed again while the store is away, and then a successor starts."""
    host, pauses = world.host_of(place), world.draws_every_seconds
    world.draws_every_seconds = (3,)  # so that no ID uses the timestamps before they are given up
    world.run_for(0.5)
    clock_ahead(world, place, detail)
    world.run_for((0.6, 1.2)[detail % 2])
    world.set_clock(host, 0)
    if detail % 5 < 2:  # only the API server hears of it
        faults, world.api.faults = world.api.faults, ("reply",)
        cut_off(world, place, detail)
        world.run_for(1)
        world.api.faults = faults
    else:
        world.run_for((0.6, 0.8, 1.2)[detail % 3])
    cut_off(world, place, detail)
    clock_ahead(world, place, detail)
    world.draws_every_seconds = (0.001,)
    world.run_for(1.5)
    world.draws_every_seconds = pauses
    kill(world, place, detail)
    connect(world, place, detail)
    world.set_clock(host, 0)
    world.start(place)
    world.run_for(1)


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
    """The mark is cut off, or something else is written in its place."""
    if place.settings.store == "lease":
        world.api.damage(f"respid-{place.settings.space}-{place.settings.worker_id}")
        world.damaged |= {"lease a", "lease b"}  # a pod that moved from there refuses to start elsewhere, too
        world.losses.append(Loss(world.store_name(place), place.settings.worker_id, world.scheduler.now_ns))
        return
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
