"""Worker IDs that pass to another process in the middle of a write, or while a machine is paused."""

from dataclasses import replace

from tests.simulation.changes import another_layout, sibling, use_own_directory
from tests.simulation.events import kill, stop
from tests.simulation.host import Host
from tests.simulation.meetings import issues_within
from tests.simulation.store_events import delete_lock
from tests.simulation.world import Incarnation, Place, World

CALLS_BEFORE_A_WRITE = 14  # of a start in the file store, at least


def meet_in_a_write(world: World, place: Place, detail: int) -> None:
    """In the middle of a write, the lock of a worker is deleted, and another one starts, which stands still as well.

    Meanwhile the first one uses up its reservation, and the clock is set back: both are at the same millisecond.
    """
    host, seconds = world.host_of(place), place.settings.reserve_ms * 0.00075
    offset_ms = host.clock.offset_ms

    def meet() -> None:
        delete_lock(world, place, detail)
        world.start(place).process.interrupt_at(19 + detail // 3 % 14, lambda: None, seconds)
        world.scheduler.after(seconds * 0.8, None, world.set_clock, host, offset_ms - 4_000)

    kill(world, place, detail)
    one = world.start(place)
    world.run_for(1.2)
    one.process.interrupt_at(18 + detail % 3, meet, seconds)
    world.run_for(place.settings.reserve_ms * 0.0005 + seconds + 1)
    world.set_clock(host, offset_ms)


def pause_beside_a_change(world: World, place: Place, detail: int) -> None:
    """A virtual machine is paused for longer than a reservation, which none of its clocks shows.

    Meanwhile another layout comes into use, or another pod of the StatefulSet, or one of the same name, uses the worker
    ID in another ID space.
    """
    settings, variant = place.settings, detail % 3
    host = world.host_of(place)
    for each in world.places:
        kill(world, each, detail)
    world.start(place)
    world.run_for(2)
    host.clock.stalls = False
    rival = sibling(world, place)
    rival.host = len(world.hosts)
    world.hosts.append(Host(world.scheduler, rival.host, 0, world.reached))
    if variant == 0:
        layout = another_layout(place, detail // 3)
        worker_id = (settings.worker_id + 1) % layout.workers
        rival.settings = replace(settings, layout=layout, worker_id=worker_id, accepts_layout_change=True)
    else:
        rival.settings = replace(settings, space="b" if settings.space == "a" else "a")
        rival.pod = place.pod if variant == 1 else rival.pod
    other = world.start(rival)
    world.run_for(1 + detail // 6 % 5 * 0.3)
    _pause(world, host, settings.reserve_ms * 0.001 + 3)
    world.run_for(settings.reserve_ms * 0.001 + 1)
    other.process.kill()
    world.set_clock(host, 0)


def _pause(world: World, host: Host, seconds: float) -> None:
    held = [one for one in world.alive() if one.process.host is host]
    for one in held:
        one.process.is_frozen = one.was_held_up = True
    world.run_for(seconds)
    host.clock.pause(seconds)
    for one in held:
        one.process.thaw()


def return_by_hand(world: World, place: Place, detail: int) -> None:
    """A worker with a directory of its own takes over the mark of its former worker ID, which somebody starts again.

    That one is started by hand, without the setting that the directory belongs to one worker. It is killed soon, and
    its successor has a clock that is behind.
    """
    use_own_directory(world, place, detail)
    world.run_for(1.5)
    former, host = place.settings, world.host_of(place)
    above = world.greatest + (former.reserve_ms + 1_000 << former.layout.timestamp_shift)
    by_hand = sibling(world, place, is_exclusive=False, start_above=None)
    stop(world, place, detail)
    world.run_for(1.2)
    kill(world, place, detail)
    worker_id = (former.worker_id + 1) % former.layout.workers
    place.settings = replace(former, worker_id=worker_id, start_above=above)
    started: list[Incarnation] = []
    one = world.start(place)
    one.process.interrupt_at(CALLS_BEFORE_A_WRITE + detail % 20, lambda: started.append(world.start(by_hand)), 1.5)
    mark = f"worker-{former.worker_id}.json"
    world.run_for(1)
    for _ in range(100):
        world.run_for(0.02)
        directory = host.disk.directories.get(f"/{former.space}")
        if directory is None or mark not in directory.names:
            break
    for each in [*started, one]:
        each.process.kill()
    world.set_clock(host, -4_000)
    again = world.start(by_hand)
    issues_within(world, [again], 2)
    again.process.kill()
    world.set_clock(host, 0)
    place.settings = former


def stop_in_a_first_write(world: World, place: Place, detail: int) -> None:
    """A worker is stopped while it stores its first mark; another one takes its place, with a clock that is ahead."""
    host, offset_ms = world.host_of(place), world.host_of(place).clock.offset_ms
    kill(world, place, detail)
    one = world.start(place)
    one.process.interrupt_at(CALLS_BEFORE_A_WRITE + detail % 20, lambda: world.stop(one), 2)
    world.run_for(0.9)
    world.set_clock(host, offset_ms + 6_000)
    other = world.start(place)
    world.run_for(2)
    for each in (one, other):
        each.process.kill()
    world.set_clock(host, offset_ms)
    world.start(place)
    world.run_for(1)
