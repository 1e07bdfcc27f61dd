"""Sharding by `id % N`: even for every table, however low the load and whatever other tables a client draws for."""

import math
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from respid.ids.generator import Generator
from respid.ids.layout import Layout
from respid.resp.reader import parse_integer
from tests.support.byte_streams import request
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, converse, start_worker

MODULI = [2, 3, 4, 7, 10, 16, 32, 100, 128, 200, 255, 256]
TABLES = {2: ["orders", "items"], 4: ["orders", "items", "users", "events"]}
FAR_MS = 10**11
Draw = Callable[[], int]


def begin(
    clock: ScriptedClock, seed: int, layout: Layout | None = None, sequence_reset: int | None = None
) -> Generator:
    random_bits = Random(seed).getrandbits
    generator = Generator(layout or Layout(), 1, clock, sequence_reset=sequence_reset, random_bits=random_bits)
    generator.begin(0, clock.wall_ms() + FAR_MS)
    return generator


def assert_even(shards: Counter[int], modulus: int) -> None:
    """Pearson's chi-square test, with Wilson and Hilferty's approximation: fails one even sample in a million."""
    expected = shards.total() / modulus
    assert expected >= 5, "too few IDs to judge"
    statistic = sum((shards[shard] - expected) ** 2 / expected for shard in range(modulus))
    freedom = modulus - 1
    critical = freedom * (1 - 2 / (9 * freedom) + 4.75 * math.sqrt(2 / (9 * freedom))) ** 3
    assert statistic < critical, f"id % {modulus} is uneven: chi-square {statistic:.0f}, at most {critical:.0f}"


def draw_in_turn(draw: Draw, clock: ScriptedClock, tables: list[str], rounds: int, seed: int) -> dict[str, list[int]]:
    """A client that draws an ID for each table in turn, then pauses: all of a round come from one millisecond."""
    random = Random(seed)
    drawn: dict[str, list[int]] = {table: [] for table in tables}
    for _ in range(rounds):
        for table in tables:
            drawn[table].append(draw())
        clock.pass_ms(random.randrange(1, 40))
    return drawn


def assert_all_even(drawn: dict[str, list[int]], modulus: int) -> None:
    for identifiers in drawn.values():
        assert_even(Counter(identifier % modulus for identifier in identifiers), modulus)


@pytest.mark.parametrize("tables", [1, 2, 4])
@pytest.mark.parametrize("modulus", MODULI)
def test_tables_in_turn_are_even(clock: ScriptedClock, modulus: int, tables: int) -> None:
    generator = begin(clock, seed=modulus)
    names = TABLES.get(tables, ["orders"])
    assert_all_even(draw_in_turn(lambda: generator.take(1)[0], clock, names, 40 * modulus, seed=tables), modulus)


@pytest.mark.parametrize("tables", [2, 4])
@pytest.mark.parametrize("modulus", [2, 16, 256])
def test_blocks_in_turn_are_even(clock: ScriptedClock, modulus: int, tables: int) -> None:
    generator = begin(clock, seed=modulus)
    drawn = draw_in_turn(lambda: generator.take_block(2)[0], clock, TABLES[tables], 40 * modulus, seed=tables)
    assert_all_even(drawn, modulus)


@pytest.mark.parametrize("general_path", [False, True])
def test_requests_in_turn_are_even(clock: ScriptedClock, *, general_path: bool) -> None:
    worker = start_worker(clock, reserved_ms=FAR_MS)
    worker.generator = begin(clock, seed=9)
    client = connect(worker)
    for modulus in (2, 4, 16):
        drawn: dict[str, list[int]] = {}
        for _ in range(40 * modulus):
            for table in TABLES[4]:
                sent = request("ID.NEXT") if general_path else request("INCR", table)
                identifier = parse_integer(converse(client, sent)[1:-2])
                assert identifier is not None
                drawn.setdefault(table, []).append(identifier)
            clock.pass_ms(3)
        assert_all_even(drawn, modulus)


@pytest.mark.parametrize(("widths", "sequence_reset"), [("41/4/8", None), ("41/10/12", 1024), ("41/4/8", 256)])
def test_even_up_to_the_sequence_reset(clock: ScriptedClock, widths: str, sequence_reset: int | None) -> None:
    generator = begin(clock, 3, Layout.parse(widths), sequence_reset)
    modulus = sequence_reset or 16
    assert_all_even(draw_in_turn(lambda: generator.take(1)[0], clock, TABLES[2], 40 * modulus, seed=1), modulus)


@pytest.mark.parametrize("sequence_reset", [0, 1025])
def test_refuses_sequence_reset_out_of_range(clock: ScriptedClock, sequence_reset: int) -> None:
    with pytest.raises(ValueError, match="1 to 1024"):
        begin(clock, 1, sequence_reset=sequence_reset)
    with pytest.raises(ValueError, match="1 to 256, the range for 41/4/8"):
        begin(clock, 1, Layout.parse("41/4/8"), 257)


def test_draws_random_bits_once_a_millisecond(clock: ScriptedClock) -> None:
    calls: list[int] = []

    def count(bits: int) -> int:
        calls.append(bits)
        return 0

    generator = Generator(Layout(), 1, clock, random_bits=count)
    generator.begin(0, clock.wall_ms() + FAR_MS)
    for _ in range(10):
        for _ in range(50):
            generator.take(1)
            generator.take_block(2)
        clock.pass_ms(1)
    assert len(calls) == 10


def test_saturated_worker_loses_no_id(clock: ScriptedClock) -> None:
    generator = begin(clock, seed=5)
    first, _ = generator.take(1)
    skipped = first % 4096
    for size in (1, 7, 100, 4096):
        for _ in range(8):
            while generator.take(size)[1]:
                pass
            clock.pass_ms(1)
    milliseconds = 4 * 8
    assert skipped > 0
    assert generator.ids_issued == 4096 * milliseconds - skipped


@pytest.mark.parametrize("size", [1, 16, 4096])
def test_millisecond_spent_to_the_last_id_is_followed_by_0(clock: ScriptedClock, size: int) -> None:
    generator = begin(clock, seed=5)
    while generator.take(4096)[1]:
        pass
    for _ in range(8):
        clock.pass_ms(1)
        assert [generator.take(size)[1] for _ in range(4096 // size)] == [size] * (4096 // size)


def test_saturating_blocks_lose_no_room(clock: ScriptedClock) -> None:
    generator = begin(clock, seed=5)
    for millisecond in range(8):
        blocks = 0
        while generator.take_block(1365)[1]:
            blocks += 1
        assert blocks == 3 or millisecond == 0
        clock.pass_ms(1)


def test_block_that_would_not_fit_starts_at_0(clock: ScriptedClock) -> None:
    generator = begin(clock, seed=5)
    for _ in range(50):
        first, count = generator.take_block(4096)
        assert (first % 4096, count) == (0, 4096)
        clock.pass_ms(7)


def test_idle_worker_starts_at_random_after_a_spent_millisecond(clock: ScriptedClock) -> None:
    generator = begin(clock, seed=5)
    starts = set()
    for _ in range(20):
        generator.take_block(4096)
        clock.pass_ms(1000)
        starts.add(generator.take(1)[0] % 4096)
        clock.pass_ms(1)
    assert len(starts) > 10
