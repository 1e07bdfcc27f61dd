"""Receivers that change IDs: methods that calculate with replies, and types of fewer than 64 bits."""

import json
import random
import subprocess

import pytest

from respid.ids.generator import Generator
from respid.ids.layout import Layout
from tests.clients.drivers import Driver, StepError, all_drivers
from tests.support.byte_streams import request
from tests.support.needed_tools import need_tool
from tests.support.raw_client import RawClient
from tests.support.running import RunningServer
from tests.support.scripted_clock import ScriptedClock

INT32_VALUES = 1 << 32
DRAWN = 10_000


def having(step: str) -> pytest.MarkDecorator:
    drivers = [pytest.param(driver, id=driver.name) for driver in all_drivers() if step in driver.extra_steps]
    return pytest.mark.parametrize("driver", drivers)


def options(server: RunningServer) -> dict[str, str]:
    return {"host": "127.0.0.1", "port": str(server.port)}


@pytest.mark.timeout(1_800)
@having("calculate")
def test_methods_that_subtract_return_ids_of_others(driver: Driver, server: RunningServer) -> None:
    with driver.start(**options(server)) as program:
        program.step("connect")
        ids = program.ids("calculate")
    returned, calculated = ids[::2], ids[1::2]
    assert len(set(returned)) == len(returned) == 2_000
    drawn = {number + 1 for number in calculated}
    assert len(drawn | set(returned)) == 4_000, "the server issued no ID twice"
    assert set(calculated) & set(returned), "but what the method makes of them are IDs of the others"


@pytest.mark.timeout(1_800)
@having("narrow")
def test_narrow_class_returns_the_low_bits(driver: Driver, server: RunningServer) -> None:
    with driver.start(**options(server)) as program, RawClient(server.port) as client:
        program.step("connect")
        (first,) = client.draw(request("INCR", "orders"), 1)
        narrow = program.ids("narrow")
        (last,) = client.draw(request("INCR", "orders"), 1)
    # The worker ID survives, of the time only its last 10 bits: 1,024 ms.
    assert all(-INT32_VALUES // 2 <= number < INT32_VALUES // 2 for number in narrow)
    assert {number >> 12 & 1023 for number in narrow} == {1}
    assert not any(first < number < last for number in narrow)


@pytest.mark.timeout(1_800)
@having("big_int")
def test_mapping_to_big_integers_rounds(driver: Driver, server: RunningServer) -> None:
    with driver.start(**options(server)) as program:
        program.step("connect")
        ids = program.ids("big_int")
        program.step("close")
    assert len(ids) == 1_000
    assert distinct(ids) < 100
    assert all(each % 64 == 0 for each in ids)


@pytest.mark.timeout(1_800)
@having("compare_and_set")
def test_scripts_end_with_advice(driver: Driver, server: RunningServer) -> None:
    with driver.start(**options(server)) as program:
        program.step("connect")
        for method in ("compare_and_set", "expire", "lock"):
            with pytest.raises(StepError, match=r"respid does not support EVAL(SHA)?: it runs no scripts"):
                program.step(method)


@pytest.fixture
def ids(server: RunningServer) -> list[int]:
    """IDs drawn in one pipeline."""
    with RawClient(server.port) as client:
        return client.draw(request("INCR", "orders") * DRAWN, DRAWN)


def distinct(values: list[int]) -> int:
    return len(set(values))


def test_doubles_collapse_64_ids_into_one(ids: list[int]) -> None:
    rounded = [int(float(number)) for number in ids]
    assert distinct(rounded) <= DRAWN // 64 + 10


@pytest.mark.parametrize(
    "program",
    [
        ["node", "-e", "console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0)).map(n => BigInt(n)+'')))"],
        ["jq", "-c", "map(tostring)"],
    ],
    ids=["node", "jq"],
)
def test_json_needs_strings(ids: list[int], program: list[str]) -> None:
    tool, *arguments = program
    command = [need_tool(tool), *arguments]

    def parsed(values: list[int] | list[str]) -> list[str]:
        sent = json.dumps(values)
        shown = subprocess.run(command, input=sent, capture_output=True, text=True, check=True).stdout
        return list(json.loads(shown))

    numbers, strings = parsed(ids), parsed([str(number) for number in ids])
    assert strings == [str(number) for number in ids]
    if tool == "node":  # jq keeps the digits from version 1.7 on
        assert len(set(numbers)) <= DRAWN // 64 + 10


def draw_per_millisecond(layout: Layout) -> list[int]:
    """One ID in each of as many milliseconds."""
    clock = ScriptedClock()
    generator = Generator(layout, 1, clock, random_bits=random.Random(1).getrandbits)
    generator.begin(clock.wall, clock.wall + DRAWN + 1)
    drawn = []
    for _ in range(DRAWN):
        clock.pass_ms(1)
        drawn.append(generator.take(1)[0])
    return drawn


def test_layout_of_53_bits_fits_doubles() -> None:
    drawn = draw_per_millisecond(Layout.parse("41/4/8"))
    assert [int(float(number)) for number in drawn] == drawn


def test_32_bits_repeat_after_a_second() -> None:
    drawn = draw_per_millisecond(Layout())
    assert distinct(drawn) == DRAWN
    lost = DRAWN - distinct([number % INT32_VALUES for number in drawn])
    assert distinct([number % INT32_VALUES for number in drawn[:1024]]) == 1024
    assert 100 < lost < 250  # docs/id-types.md says about 165
