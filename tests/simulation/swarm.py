"""Histories by the method of swarm testing: each one draws which faults it has, and how often.

A history in which everything goes wrong at once hardly gets anywhere; one with few kinds of faults has many of each.
https://www.cs.utah.edu/~regehr/papers/swarm12.pdf
"""

import gc
from dataclasses import dataclass, replace
from random import Random

from respid.ids.layout import Layout
from tests.simulation.events import Event, Step
from tests.simulation.faults import ALWAYS, FAULTS, Fault
from tests.simulation.host import START_MS
from tests.simulation.liveness import heal_and_check
from tests.simulation.rare_states import Reached
from tests.simulation.verdict import check_history
from tests.simulation.world import LAYOUT, Place, Settings, World, simulated

HISTORIES_PER_COLLECTION = 200  # of garbage: a process and its tasks refer to each other
PAUSES_MS = ((0, 1, 7, 100, 700), (0, 1, 7, 100, 700, 3000), (100, 700, 3000, 6000))
ENDING_LAYOUT = Layout(13, 2, 4, START_MS - 1000)  # it ends 7 s after a history has begun


@dataclass(frozen=True)
class History:
    """Everything that decides what happens, so that it can be played again."""

    seed: int
    stores: tuple[str, ...]
    steps: tuple[Step, ...]

    def play(self, reached: Reached | None = None) -> World:
        """Raises AssertionError when a promise was broken."""
        random = Random(self.seed)
        world = make_world(random, self.stores, reached)
        try:
            for place in world.places:
                world.start(place)
            for step in self.steps:
                world.run_for(step.pause_ms / 1000)
                world.note_trouble()
                step.event(world, world.places[step.place % len(world.places)], step.detail)
            world.run_for(random.choice((0.2, 2, 4)))
            check_history(world)
            heal_and_check(world)
        finally:
            world.end()
        return world

    def fails(self) -> bool:
        try:
            self.play()
        except AssertionError:
            return True
        return False

    def shortened(self) -> "History":
        """The same without any step that it fails without."""
        history = self
        for number in reversed(range(len(self.steps))):
            shorter = replace(history, steps=history.steps[:number] + history.steps[number + 1 :])
            if shorter.fails():
                history = shorter
        return history

    def __str__(self) -> str:
        steps = "".join(f"\n  {step}" for step in self.steps)
        return f"History(seed={self.seed}, stores={self.stores}) with the steps{steps}"


def draw_history(
    seed: int, stores: tuple[str, ...] = ("file", "lease", "none"), faults: tuple[Fault, ...] = FAULTS
) -> History:
    random = Random(f"history {seed}")
    store = random.choices(stores, [1 if each == "none" else 8 for each in stores])[0]
    events, pauses_ms = _draw_events(random, store, faults), random.choice(PAUSES_MS)
    steps = tuple(
        Step(random.choice(pauses_ms), random.choice(events), random.randrange(4), random.randrange(1 << 16))
        for _ in range(random.randrange(3, 16))
    )
    return History(seed, (store,), steps)


def _draw_events(random: Random, store: str, faults: tuple[Fault, ...]) -> list[Event]:
    possible = [fault for fault in faults if fault.store in ("", store)]
    chosen = random.sample(possible, min(len(possible), random.choice((1, 1, 2, 2, 3, 4, 6))))
    return [*random.choices(ALWAYS, k=random.choice((1, 2, 3))), *(event for fault in chosen for event in fault.events)]


def make_world(random: Random, stores: tuple[str, ...], reached: Reached | None = None) -> World:
    """Some hosts and places, and limits."""
    store = random.choice(stores)
    layout = ENDING_LAYOUT if random.random() < 0.08 else LAYOUT
    lead_limit_seconds = random.choice((6, 60, 60, 600))
    reserve_ms = random.choice((2000, 2500, 4000))
    one = Settings(1, store, layout=layout, lead_limit_seconds=lead_limit_seconds, reserve_ms=reserve_ms)
    places = [Place(0, "a-1", one)]
    for number in range(random.choice((0, 1, 1, 1, 2))):
        same_id = random.random() < 0.6
        place = Place(
            number + 1 if random.random() < 0.6 else 0, f"b-{number}", one if same_id else replace(one, worker_id=2)
        )
        places.append(place)
    world = World(places, random, reached=reached)
    world.build_ms = START_MS - random.choice((5_000, 3_600_000, 3_600_000))
    world.draws_every_seconds = random.choice(((0.002, 0.02, 0.3), (0.05, 0.3), (0.001, 0.003, 0.1, 0.5)))
    world.starts_at_random = random.random() < 0.5
    world.confirm_seconds = random.choice((0.5, 2, 10))
    for host in world.hosts:
        host.clock.tick_ns = random.choice((1, 1, 1_000_000, 15_625_000))
        host.has_claims = random.random() < 0.4
        host.clock.stalls = random.random() < 0.2
    return world


def run(
    seeds: range,
    stores: tuple[str, ...] = ("file", "lease", "none"),
    faults: tuple[Fault, ...] = FAULTS,
    reached: Reached | None = None,
    *,
    is_shortened: bool = True,
) -> str | None:
    """Describes the first history that breaks a promise, without the steps that it does not need; None if none does."""
    with simulated():
        for seed in seeds:
            history = draw_history(seed, stores, faults)
            try:
                history.play(reached)
            except AssertionError as error:
                return f"{error}\n{history.shortened() if is_shortened else history}"
            if seed % HISTORIES_PER_COLLECTION == 0:
                gc.collect()
    return None
