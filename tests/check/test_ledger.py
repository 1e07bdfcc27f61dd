"""The ledger accepts the IDs of correct workers, and finds each way to break a promise."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from respid.check.ledger import NO_ID, Block, Issuer, Ledger, Snapshot
from respid.ids.generator import Generator
from respid.ids.layout import DEFAULT_EPOCH_MS, Layout
from tests.support.scripted_clock import ScriptedClock

LAYOUT = Layout.parse("41/3/4")
A = Issuer("a:1", 1, LAYOUT, "run a")
B = Issuer("b:1", 2, LAYOUT, "run b")
TWIN = Issuer("b:1", 1, LAYOUT, "run b")  # same worker ID as A


def an_id(millisecond: int, sequence: int, worker_id: int = 1) -> int:
    return LAYOUT.compose(DEFAULT_EPOCH_MS + millisecond, worker_id, sequence)


def receive(ledger: Ledger, issuer: Issuer, *blocks: Block, snapshot: Snapshot | None = None) -> None:
    """Records replies on one connection to requests sent now, or when the snapshot was taken."""
    snapshot = snapshot or ledger.snapshot(issuer)
    previous = NO_ID
    for block in blocks:
        ledger.record(issuer, block, snapshot, previous)
        previous = block.last


def test_accepts_ids_of_two_workers() -> None:
    ledger = Ledger()
    for millisecond in range(1000):
        receive(ledger, A, Block(an_id(millisecond, 0), 16))
        receive(ledger, B, Block(an_id(millisecond, 0, worker_id=2), 3), Block(an_id(millisecond, 9, worker_id=2), 1))
    assert ledger.violations.lines() == []


def test_accepts_replies_that_overtake() -> None:
    ledger = Ledger()
    snapshot = ledger.snapshot(A)
    receive(ledger, A, Block(an_id(5, 0), 1))
    receive(ledger, A, Block(an_id(4, 0), 1), snapshot=snapshot)
    assert ledger.violations.lines() == []


def test_accepts_successor_above_predecessor() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0), 1))
    receive(ledger, A._replace(run_id="later"), Block(an_id(6, 0), 1))
    assert ledger.violations.lines() == []


def test_accepts_two_addresses_of_one_process() -> None:
    ledger = Ledger()
    for millisecond in range(4):
        receive(ledger, A._replace(address=f"{millisecond % 2}:1"), Block(an_id(millisecond, 0), 1))
    assert ledger.violations.lines() == []


def test_finds_duplicate_in_pipeline() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0), 4), Block(an_id(5, 3), 1))
    falling, duplicate = ledger.violations.lines()
    assert falling == f"a:1 (worker ID 1) returned ID {an_id(5, 3)} after ID {an_id(5, 3)} on the same connection"
    assert duplicate == f"duplicate: ID {an_id(5, 3)} with worker ID 1 returned by a:1 twice"


def test_finds_duplicates_of_twins() -> None:
    ledger = Ledger()
    snapshot = ledger.snapshot(A)
    receive(ledger, A, Block(an_id(5, 0), 4), snapshot=snapshot)
    receive(ledger, TWIN, Block(an_id(5, 2), 8), snapshot=snapshot)
    receive(ledger, TWIN, Block(an_id(6, 2), 1), snapshot=snapshot)
    receive(ledger, A, Block(an_id(6, 2), 1), snapshot=snapshot)
    (line,) = ledger.violations.lines()
    shared = f"IDs {an_id(5, 2)} to {an_id(5, 3)}"
    assert line == f"duplicate: {shared} with worker ID 1 returned by both a:1 and b:1 (2 times)"


def test_finds_twins_without_duplicates() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0), 1))
    receive(ledger, TWIN, Block(an_id(6, 0), 1))
    receive(ledger, A, Block(an_id(7, 0), 1))
    (line,) = ledger.violations.lines()
    assert line.startswith("worker ID 1 is in use by two processes, at a:1 and at b:1")


def test_accepts_late_reply_of_predecessor() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0), 1))
    sent_before = ledger.snapshot(A)
    receive(ledger, TWIN, Block(an_id(7, 0), 1))
    receive(ledger, A, Block(an_id(6, 0), 1), snapshot=sent_before)
    assert ledger.violations.lines() == []


def test_finds_id_below_earlier_one() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 4), 1))
    receive(ledger, A, Block(an_id(5, 2), 1))
    (line,) = ledger.violations.lines()
    text = f"returned ID {an_id(5, 2)} to a request sent after ID {an_id(5, 4)} was received"
    assert line == f"a:1 (worker ID 1) {text}"


def test_finds_id_of_other_worker() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0, worker_id=2), 1))
    receive(ledger, B, Block(an_id(5, 0, worker_id=2), 1))
    foreign, duplicate = ledger.violations.lines()
    assert foreign == f"a:1 (worker ID 1) returned ID {an_id(5, 0, worker_id=2)} with worker ID 2, expected 1"
    assert duplicate.endswith("with worker ID 2 returned by both a:1 and b:1")


def test_finds_id_that_is_not_above() -> None:
    ledger = Ledger(above=an_id(5, 3))
    receive(ledger, A, Block(an_id(5, 0), 4))
    receive(ledger, A, Block(an_id(5, 4), 4))
    receive(ledger, B, Block(an_id(6, 0, worker_id=2), 4))
    (line,) = ledger.violations.lines()
    assert line == f"a:1 (worker ID 1) returned IDs {an_id(5, 0)} to {an_id(5, 3)}, not above {an_id(5, 3)}"


def test_finds_duplicate_across_layouts() -> None:
    """The same number is worker 2's in one layout and worker 1's in another."""
    other_layout = Layout.parse("41/2/5")
    other = Issuer("b:1", 1, other_layout, "run b")
    number = an_id(5, 0, worker_id=2)
    assert other_layout.decompose(number).worker_id == 1
    for order in itertools.permutations([(B._replace(address="a:1"), Block(number, 16)), (other, Block(number, 32))]):
        ledger = Ledger()
        for issuer, block in order:
            receive(ledger, issuer, block)
        (line,) = ledger.violations.lines()
        layouts = f"a:1 (layout {LAYOUT.fingerprint}) and b:1 (layout {other_layout.fingerprint})"
        assert line == f"duplicate: IDs {number} to {number + 15} returned by both {layouts}"


def test_accepts_different_ids_of_two_layouts() -> None:
    ledger = Ledger()
    narrow = Issuer("c:1", 1, Layout.parse("20/2/5"), "run c")
    receive(ledger, A, Block(an_id(5, 0), 16), Block(an_id(1 << 30, 0), 16))
    receive(ledger, narrow, Block(1 << 5, 32))
    receive(ledger, A, Block(an_id(1 << 31, 0), 16))
    assert ledger.violations.lines() == []


def test_finds_block_across_milliseconds() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0) - 1, 2), Block(an_id(6, 15), 2))
    (line,) = ledger.violations.lines()
    assert line.startswith("a:1 (worker ID 1) returned a block that spans several milliseconds: IDs ")
    assert line.endswith("(2 times)")


def test_finds_number_that_is_no_id() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(-1, 1), Block(1 << 48, 1))
    (line,) = ledger.violations.lines()
    assert line == "a:1 (worker ID 1) returned ID -1: -1 is not an ID of the layout 41/3/4 (2 times)"


@given(st.lists(st.tuples(st.integers(1, 16), st.integers(0, 3), st.booleans()), max_size=60))
def test_accepts_ids_of_generator(draws: list[tuple[int, int, bool]]) -> None:
    clock, ledger = ScriptedClock(), Ledger()
    generator = Generator(LAYOUT, 1, clock)
    generator.begin(clock.wall_ms(), clock.wall_ms() + 1_000_000)
    received = 0
    for count, wait_ms, as_block in draws:
        clock.pass_ms(wait_ms)
        first, taken = (generator.take_block if as_block else generator.take)(count)
        if taken:
            receive(ledger, A, Block(first, taken))
            received += taken
    assert received == generator.ids_issued
    assert ledger.violations.lines() == []
