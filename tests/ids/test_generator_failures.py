"""The generator when an operation fails halfway: no ID is repeated or has another worker ID, and it continues."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from random import Random
from types import FrameType
from typing import Any

import pytest

from respid.ids import generator as generator_module
from respid.ids.generator import NOTHING, Generator
from respid.ids.layout import Layout
from tests.support.environment import clean_environment
from tests.support.scripted_clock import ScriptedClock

LAYOUT = Layout.parse("41/3/4")
WORKER_ID = 5
RESERVED_MS = 40
# Action, amount, and the milliseconds that pass before it; a negative number sets the wall clock back.
HISTORY = (
    ("take", 3, 0),
    ("take", 2, 1),
    ("block", 16, 0),
    ("take", 40, 1),
    ("take", 1, 0),
    ("wait", 9, 3),
    ("wait", 16, 0),
    ("take", 2, -5),
    ("take", 16, 1),
    ("take", 4, 1),
    ("block", 8, 2),
    ("block", 15, 1),
    ("take", 1, 50),  # at the ceiling
    ("expire", 30, 0),
    ("take", 5, 1),
    ("raise", 90, 0),
    ("take", 5, 1),
    ("block", 16, 2),
    ("take", 1, 2),
)
Act = Callable[[Generator, ScriptedClock, str, int], tuple[int, int]]


class Interruption:
    """A trace function that raises MemoryError before one of the bytecode instructions of the generator's module."""

    def __init__(self, instruction: int) -> None:
        self.left = instruction

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code.co_filename != generator_module.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise MemoryError
        return self

    def act(self, generator: Generator, clock: ScriptedClock, action: str, amount: int) -> tuple[int, int]:
        former = sys.gettrace()
        sys.settrace(self if self.left > 0 else former)
        try:
            return act(generator, clock, action, amount)
        finally:
            sys.settrace(former)


def act(generator: Generator, clock: ScriptedClock, action: str, amount: int) -> tuple[int, int]:
    match action:
        case "take":
            return generator.take(amount)
        case "wait":
            return generator.take(amount, clock.wall - 2)
        case "block":
            return generator.take_block(amount)
        case "raise":
            generator.raise_ceiling(clock.wall + amount)
        case "expire":
            generator.expire_at(clock.monotonic + amount * 1_000_000)
            generator.obstacle()
    return NOTHING


def play(act_or_fail: Act) -> Iterator[tuple[Generator, range]]:
    """Follows the history, repeating what fails, then draws some more; yields the IDs of each action."""
    clock = ScriptedClock()
    generator = Generator(LAYOUT, WORKER_ID, clock, sequence_reset=8, random_bits=Random(6).getrandbits)
    generator.begin(clock.wall, clock.wall + RESERVED_MS)
    for action, amount, passed_ms in HISTORY:
        if passed_ms < 0:
            clock.step_ms(passed_ms)
        else:
            clock.pass_ms(passed_ms)
        try:
            first, count = act_or_fail(generator, clock, action, amount)
        except MemoryError:
            first, count = act(generator, clock, action, amount)
        yield generator, range(first, first + count)
    generator.raise_ceiling(clock.wall + 1000)
    issued = 0
    for _ in range(4):
        first, count = generator.take(20)
        issued += count
        yield generator, range(first, first + count)
        clock.pass_ms(1)
    assert issued > LAYOUT.sequence_size, "it continues"


def check(issued: Iterator[tuple[Generator, range]]) -> None:
    last = -1
    for generator, identifiers in issued:
        for identifier in identifiers:
            parts = LAYOUT.decompose(identifier)
            assert identifier > last, "unique and in order"
            assert parts.worker_id == WORKER_ID
            assert parts.timestamp_ms <= generator.timestamp_ms < generator.ceiling_ms
            last = identifier


def test_survives_failure_at_any_instruction() -> None:
    instruction, reached = 0, True
    while reached:
        instruction += 1
        interruption = Interruption(instruction)
        check(play(interruption.act))
        reached = interruption.left <= 0
    assert instruction > 1000, "the history executes that many, and each has failed once"


def test_survives_failed_allocation() -> None:
    """In a process of its own: a trace function, such as that of coverage, allocates memory as well."""
    pytest.importorskip("_testcapi", reason="this Python has no allocator that fails on demand")
    program = f"from {__name__} import fail_allocations; fail_allocations()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(measured=False),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def fail_allocations() -> None:
    """Lets each allocation of each action fail once. Raises AssertionError."""
    memory = import_module("_testcapi")
    failures = 0
    for allocation in range(1, 40):

        def fail(
            generator: Generator, clock: ScriptedClock, action: str, amount: int, allocation: int = allocation
        ) -> tuple[int, int]:
            nonlocal failures
            memory.set_nomemory(allocation, allocation + 1)
            try:
                return act(generator, clock, action, amount)
            except MemoryError:
                failures += 1
                raise
            finally:
                memory.remove_mem_hooks()

        check(play(fail))
    assert failures > 100


def read_state(generator: Generator) -> dict[str, Any]:
    return {name: getattr(generator, name) for name in Generator.__slots__}


@pytest.mark.parametrize("source", ["clock", "random"])
def test_failing_source_changes_nothing(source: str) -> None:
    failing = False

    class FailingClock(ScriptedClock):
        def monotonic_ns(self) -> int:
            if failing and source == "clock":
                raise MemoryError
            return super().monotonic_ns()

    def random_bits(_bits: int) -> int:
        if failing and source == "random":
            raise MemoryError
        return 0

    clock = FailingClock()
    generator = Generator(LAYOUT, WORKER_ID, clock, random_bits=random_bits)
    generator.begin(clock.wall, clock.wall + RESERVED_MS)
    generator.take(3)
    before = read_state(generator)
    clock.pass_ms(1)
    failing = True
    for draw in (generator.take, generator.take_block):
        with pytest.raises(MemoryError):
            draw(1)
    assert read_state(generator) == before
