"""Bugs of the generator."""

from typing import Any

from respid.ids.generator import Generator
from respid.ids.layout import Layout
from respid.ids.reservation import Reservation
from tests.simulation.events import (
    lower_the_ceiling,
    reach_the_ceiling,
    replace_after_stop,
    set_clock,
)
from tests.simulation.plants.registry import Patch, in_any_store, in_the_lease_store


@in_any_store()
def worker_id_ignored(patch: Patch) -> None:
    init = Generator.__init__

    def ignore(generator: Generator, layout: Layout, worker_id: int, *arguments: Any, **options: Any) -> None:
        init(generator, layout, worker_id, *arguments, **options)
        generator._origin_id = layout.compose(0, 0, 0)

    patch.setattr(Generator, "__init__", ignore)


@in_any_store()
def wall_clock_followed_back(patch: Patch) -> None:
    advance = Generator._advance

    def follow(generator: Generator, now_ms: int, since_ms: int | None, count: int) -> bool:
        if now_ms < generator._timestamp_ms - 20:
            return generator._open(now_ms, count)
        return advance(generator, now_ms, since_ms, count)

    patch.setattr(Generator, "_advance", follow)


@in_any_store()
def sequence_not_advanced_at_times(patch: Patch) -> None:
    """After 1,000 IDs of one process the last one is issued again."""
    take = Generator.take

    def repeat(generator: Generator, count: int, since_ms: int | None = None) -> tuple[int, int]:
        first, taken = take(generator, count, since_ms)
        if taken and generator.ids_issued > 1000 and count == 3:
            generator._next_id -= 1
        return first, taken

    patch.setattr(Generator, "take", repeat)


@in_any_store(reach_the_ceiling)
def ceiling_included(patch: Patch) -> None:
    """`<=` in place of `<`."""
    rise = Generator.raise_ceiling
    patch.setattr(Generator, "raise_ceiling", lambda generator, ceiling_ms: rise(generator, ceiling_ms + 1))


@in_any_store(reach_the_ceiling)
def ceiling_ignored(patch: Patch) -> None:
    rise = Generator.raise_ceiling
    patch.setattr(Generator, "raise_ceiling", lambda generator, ceiling_ms: rise(generator, ceiling_ms + 10_000))


@in_the_lease_store(lower_the_ceiling)
def ceiling_lowered_only_in_the_store(patch: Patch) -> None:
    patch.setattr(Generator, "lower_ceiling", lambda _generator, _ceiling_ms: None)


@in_any_store()
def lead_not_limited(patch: Patch) -> None:
    init = Generator.__init__

    def unlimited(generator: Generator, *arguments: Any, **options: Any) -> None:
        init(generator, *arguments, **options)
        generator._lead_limit_ms = 1 << 60

    patch.setattr(Generator, "__init__", unlimited)


@in_any_store()
def layout_end_ignored(patch: Patch) -> None:
    def rise(generator: Generator, ceiling_ms: int) -> None:
        if not generator._sealed:
            generator._ceiling_ms = generator._limit_ms = max(generator._ceiling_ms, ceiling_ms)

    def target(reservation: Reservation, wall_ms: int) -> int:
        return reservation._ceiling_above(reservation._generator.timestamp_ms, wall_ms)

    patch.setattr(Generator, "raise_ceiling", rise)
    patch.setattr(Reservation, "_target_ms", target)


@in_any_store(set_clock, replace_after_stop)
def seal_that_stops_nothing(patch: Patch) -> None:
    patch.setattr(Generator, "seal", lambda generator: generator._timestamp_ms + 1)


@in_any_store()
def seal_that_says_too_little(patch: Patch) -> None:
    """The last timestamp in place of the one after it."""
    seal = Generator.seal
    patch.setattr(Generator, "seal", lambda generator: seal(generator) - 1)


@in_any_store()
def start_at_the_clock(patch: Patch) -> None:
    """The successor begins at its wall clock, not at the stored mark."""
    begin = Generator.begin
    patch.setattr(Generator, "begin", lambda generator, _floor_ms, ceiling_ms: begin(generator, 0, ceiling_ms))


@in_any_store()
def start_below_the_mark(patch: Patch) -> None:
    begin = Generator.begin
    patch.setattr(
        Generator, "begin", lambda generator, floor_ms, ceiling_ms: begin(generator, floor_ms - 1, ceiling_ms)
    )


@in_any_store()
def late_waiter_served_below_the_last(patch: Patch) -> None:
    """A request that has waited gets IDs of the millisecond in which it began to, whatever was issued since."""
    advance = Generator._advance

    def go_back(generator: Generator, now_ms: int, since_ms: int | None, count: int) -> bool:
        if since_ms is not None and since_ms < generator._timestamp_ms <= now_ms and count == 7:
            return generator._open(since_ms, count)
        return advance(generator, now_ms, since_ms, count)

    patch.setattr(Generator, "_advance", go_back)
