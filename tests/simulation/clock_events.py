"""What can happen to the clocks of a host, and with them to reservations, one function per event."""

from tests.simulation.events import kill
from tests.simulation.host import JUMP_MS, START_MS
from tests.simulation.rare_states import Rare
from tests.simulation.store_events import connect, cut_off, disk_fails, disk_works
from tests.simulation.world import Place, World

CLOCK_STEPS_MS = (-60.4, -4000.3, -50_000, 4000.7, 0.5)


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
