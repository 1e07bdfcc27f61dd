"""What can happen to a worker and its host, one function per event."""

from typing import NamedTuple, Protocol

from tests.simulation.host import Host
from tests.simulation.rare_states import Rare
from tests.simulation.world import Place, World

CALLS_OF_A_WRITE = {"file": 30, "lease": 5, "none": 1}  # to the store


class Event(Protocol):
    """Something that happens at a place. The detail chooses between its variants."""

    __name__: str

    def __call__(self, world: World, place: Place, detail: int, /) -> None: ...


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
    sleep(world, world.host_of(place), (0.05, 0.7, 4, 30)[detail % 4])


def sleep(world: World, host: Host, seconds: float) -> None:
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
