"""The ledger: what a worker that keeps its promises may give, and each way to break them."""

from hypothesis import given
from hypothesis import strategies as st

from respid.check.ledger import NO_ID, Block, Issuer, Ledger, Snapshot
from respid.ids.generator import Generator
from respid.ids.layout import DEFAULT_EPOCH_MS, Layout
from tests.support.scripted_clock import ScriptedClock

LAYOUT = Layout.parse("41/3/4")
A = Issuer("a:1", 1, LAYOUT, "run a")
B = Issuer("b:1", 2, LAYOUT, "run b")
TWIN = Issuer("b:1", 1, LAYOUT, "run b")  # with the worker ID of A


def an_id(millisecond: int, sequence: int, worker_id: int = 1) -> int:
    return LAYOUT.compose(DEFAULT_EPOCH_MS + millisecond, worker_id, sequence)


def receive(ledger: Ledger, issuer: Issuer, *blocks: Block, snapshot: Snapshot | None = None) -> None:
    """The replies of one connection to requests sent now, or at the snapshot."""
    snapshot = snapshot or ledger.snapshot(issuer)
    previous = NO_ID
    for block in blocks:
        ledger.record(issuer, block, snapshot, previous)
        previous = block.last


def test_ids_of_several_workers_that_keep_their_promises() -> None:
    ledger = Ledger()
    for millisecond in range(1000):
        receive(ledger, A, Block(an_id(millisecond, 0), 16))
        receive(ledger, B, Block(an_id(millisecond, 0, worker_id=2), 3), Block(an_id(millisecond, 9, worker_id=2), 1))
    assert ledger.violations.lines() == []


def test_replies_may_be_received_in_another_order_than_they_were_given() -> None:
    ledger = Ledger()
    snapshot = ledger.snapshot(A)
    receive(ledger, A, Block(an_id(5, 0), 1))
    receive(ledger, A, Block(an_id(4, 0), 1), snapshot=snapshot)
    assert ledger.violations.lines() == []


def test_a_successor_goes_on_above_its_predecessor() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0), 1))
    receive(ledger, A._replace(run_id="later"), Block(an_id(6, 0), 1))
    assert ledger.violations.lines() == []


def test_two_addresses_of_one_process_are_one_worker() -> None:
    ledger = Ledger()
    for millisecond in range(4):
        receive(ledger, A._replace(address=f"{millisecond % 2}:1"), Block(an_id(millisecond, 0), 1))
    assert ledger.violations.lines() == []


def test_a_duplicate_within_one_pipeline() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0), 4), Block(an_id(5, 3), 1))
    falling, duplicate = ledger.violations.lines()
    assert falling == f"a:1 (worker ID 1) gave ID {an_id(5, 3)} after ID {an_id(5, 3)} on the same connection"
    assert duplicate == f"duplicate: ID {an_id(5, 3)} of worker ID 1 was given by a:1 twice"


def test_duplicates_of_two_processes_with_one_worker_id_are_shown_with_both() -> None:
    ledger = Ledger()
    snapshot = ledger.snapshot(A)
    receive(ledger, A, Block(an_id(5, 0), 4), snapshot=snapshot)
    receive(ledger, TWIN, Block(an_id(5, 2), 8), snapshot=snapshot)
    receive(ledger, TWIN, Block(an_id(6, 2), 1), snapshot=snapshot)
    receive(ledger, A, Block(an_id(6, 2), 1), snapshot=snapshot)
    (line,) = ledger.violations.lines()
    shared = f"IDs {an_id(5, 2)} to {an_id(5, 3)}"
    assert line == f"duplicate: {shared} of worker ID 1 was given by both a:1 and b:1 (2 times)"


def test_two_processes_with_one_worker_id_are_noted_when_the_former_gives_ids_again() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0), 1))
    receive(ledger, TWIN, Block(an_id(6, 0), 1))
    receive(ledger, A, Block(an_id(7, 0), 1))
    (line,) = ledger.violations.lines()
    assert line.startswith("worker ID 1 is in use by two processes, at a:1 and at b:1")


def test_a_predecessors_late_reply_is_no_second_process() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0), 1))
    sent_before = ledger.snapshot(A)
    receive(ledger, TWIN, Block(an_id(7, 0), 1))
    receive(ledger, A, Block(an_id(6, 0), 1), snapshot=sent_before)
    assert ledger.violations.lines() == []


def test_an_id_below_one_that_was_received_before_the_request_was_sent() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 4), 1))
    receive(ledger, A, Block(an_id(5, 2), 1))
    (line,) = ledger.violations.lines()
    told = f"gave ID {an_id(5, 2)} to a request sent after ID {an_id(5, 4)} was received"
    assert line == f"a:1 (worker ID 1) {told}"


def test_an_id_of_another_worker() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0, worker_id=2), 1))
    receive(ledger, B, Block(an_id(5, 0, worker_id=2), 1))
    foreign, duplicate = ledger.violations.lines()
    assert foreign == f"a:1 (worker ID 1) gave ID {an_id(5, 0, worker_id=2)}, of worker ID 2"
    assert duplicate.endswith("of worker ID 2 was given by both a:1 and b:1")


def test_a_block_that_leaves_its_millisecond() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(an_id(5, 0) - 1, 2), Block(an_id(6, 15), 2))
    (line,) = ledger.violations.lines()
    assert line.startswith("a:1 (worker ID 1) gave a block that is not of one millisecond: IDs ")
    assert line.endswith("(2 times)")


def test_a_number_that_is_no_id() -> None:
    ledger = Ledger()
    receive(ledger, A, Block(-1, 1), Block(1 << 48, 1))
    (line,) = ledger.violations.lines()
    assert line == "a:1 (worker ID 1) gave ID -1: -1 is not an ID of the layout 41/3/4 (2 times)"


@given(st.lists(st.tuples(st.integers(1, 16), st.integers(0, 3), st.booleans()), max_size=60))
def test_the_generators_ids_never_violate_anything(draws: list[tuple[int, int, bool]]) -> None:
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
