"""Bugs of the generator."""

from typing import Any

from respid.ids.clock import Clock
from respid.ids.generator import Generator, Obstacle
from respid.ids.layout import Layout
from respid.ids.reservation import Reservation
from tests.simulation.clock_events import lower_the_ceiling, reach_the_ceiling, set_clock
from tests.simulation.events import replace_after_stop
from tests.simulation.plants.registry import Patch, in_any_store, in_the_lease_store
from tests.simulation.store_events import cut_off_beside_a_rival, suspend_beside_a_rival


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


@in_the_lease_store(cut_off_beside_a_rival)
def expiry_ignored(patch: Patch) -> None:
    """A holder that was cut off, and whose clock was set back, goes on beside its successor."""
    patch.setattr(Generator, "expire_at", lambda _generator, _boot_ns: None)


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


@in_any_store()
def millisecond_as_long_as_its_sequence(patch: Patch) -> None:
    """From whatever sequence it starts at, so that it ends in the IDs of the next worker."""
    open_ = Generator._open

    def open_longer(generator: Generator, timestamp_ms: int, count: int) -> bool:
        is_open = open_(generator, timestamp_ms, count)
        generator._end_id = generator._next_id + generator._sequence_size if is_open else generator._end_id
        return is_open

    patch.setattr(Generator, "_open", open_longer)


@in_any_store()
def blocks_beyond_the_millisecond(patch: Patch) -> None:
    """As many blocks as were asked for, whether they fit or not."""
    take_one = Generator.take_blocks

    def take(generator: Generator, size: int, count: int, since_ms: int | None = None) -> tuple[int, int]:
        first, taken = take_one(generator, size, 1, since_ms)
        if not taken:
            return first, taken
        generator._next_id = first + size * count
        return first, count

    patch.setattr(Generator, "take_blocks", take)


@in_any_store()
def last_id_of_several_blocks_issued_again(patch: Patch) -> None:
    take_all = Generator.take_blocks

    def take(generator: Generator, size: int, count: int, since_ms: int | None = None) -> tuple[int, int]:
        first, taken = take_all(generator, size, count, since_ms)
        generator._next_id -= taken > 1
        return first, taken

    patch.setattr(Generator, "take_blocks", take)


@in_any_store(set_clock)
def lead_that_grows(patch: Patch) -> None:
    """When a millisecond is spent the next one is opened, whether it has passed or not."""
    open_ = Generator._open

    def open_early(generator: Generator, timestamp_ms: int, count: int) -> bool:
        is_open = open_(generator, timestamp_ms, count)
        generator._opened_ns -= 1_000_000
        return is_open

    patch.setattr(Generator, "_open", open_early)


@in_the_lease_store(suspend_beside_a_rival)
def sleep_not_counted(patch: Patch) -> None:
    """While the machine sleeps the reservation does not get any older."""
    use_clock = Generator.use_clock

    def use(generator: Generator, clock: Clock) -> None:
        use_clock(generator, clock)
        generator._boot_ns = clock.monotonic_ns

    patch.setattr(Generator, "use_clock", use)


@in_the_lease_store(cut_off_beside_a_rival)
def expiry_noticed_but_not_heeded(patch: Patch) -> None:
    find = Generator.obstacle

    def find_only(generator: Generator) -> Obstacle | None:
        obstacle = find(generator)
        if obstacle is not Obstacle.CLOCK:
            generator._limit_ms = generator._ceiling_ms
        return obstacle

    patch.setattr(Generator, "obstacle", find_only)


@in_any_store()
def end_taken_from_the_clock(patch: Patch) -> None:
    """After a clock was set back, the last IDs lie above it."""
    seal = Generator.seal

    def seal_at_the_clock(generator: Generator) -> int:
        return min(seal(generator), generator._wall_ms() + 1)

    patch.setattr(Generator, "seal", seal_at_the_clock)
