"""What can happen to the stores, and to the ways to them, one function per event."""

from respid.highwater.stores.lease import Lease
from tests.simulation.events import freeze, restart, sleep, thaw
from tests.simulation.host import Host
from tests.simulation.promises import Loss
from tests.simulation.rare_states import Rare
from tests.simulation.world import Place, World


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
    world.api.lists_fail = False
    world.api.write_seconds = 0


def lists_fail(world: World, _place: Place, _detail: int) -> None:
    """As at an API server that answers requests for a single Lease only."""
    world.api.lists_fail = True


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
    sleep(world, world.host_of(place), _rival_seconds(place))
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
    world.run_for(1 if place.settings.store == "file" else 4 + world.reserve_ms / 1000)
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
