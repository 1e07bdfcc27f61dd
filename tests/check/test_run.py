"""Checks that run in this process, with plans that the command line may not allow."""

import asyncio
import math
import time
from collections.abc import Callable

import pytest

from respid.check import Address, Check, Plan, Report
from respid.check.run import CheckedWorker
from respid.ids.layout import Layout
from tests.support.fake_worker import FakeWorker, serving

PLAN = Plan((), seconds=100, connections=3, password="")


def drawn(check: Check) -> int:
    return sum(worker.ids for worker in check.workers.values())


def run(addresses: list[str], plan: Plan, enough: Callable[[Check], object]) -> Report:
    """Runs a check until it has seen enough."""
    pairs = [address.rsplit(":", 1) for address in addresses]
    check = Check(plan._replace(addresses=tuple(Address(host, int(port)) for host, port in pairs)))

    def stop_if_enough(_seconds: float) -> None:
        if enough(check):
            check.stop()

    asyncio.run(check.run(stop_if_enough))
    return Report(check, max_clock_difference_seconds=math.inf)


@pytest.mark.parametrize(("rate", "burst"), [(2000, 200), (20, 2)])
def test_rate_limits_ids_of_all_workers(rate: float, burst: int) -> None:
    def enough(check: Check) -> bool:
        return check.seconds > 1 and all(worker.ids for worker in check.workers.values())

    with serving(FakeWorker(), FakeWorker(worker_id=2)) as addresses:
        began = time.monotonic()
        report = run(addresses, PLAN._replace(ids_per_second=rate), enough)
        seconds = time.monotonic() - began
    assert report.failures == []
    assert report.ids <= rate * seconds + burst


def test_wait_for_turn_ends_with_check() -> None:
    with serving(FakeWorker()) as addresses:
        began = time.monotonic()
        report = run(addresses, PLAN._replace(ids_per_second=0.01), drawn)
        assert time.monotonic() - began < 50
    assert (report.ids, report.failures) == (1, [])


def test_too_low_rate_is_named_as_reason() -> None:
    with serving(FakeWorker(), FakeWorker(worker_id=2)) as addresses:
        report = run(addresses, PLAN._replace(ids_per_second=0.01), drawn)
    (line,) = report.failures
    assert line.endswith("returned no ID: the check was too short, or its rate too low")


def test_retries_and_counts_loading() -> None:
    with serving(FakeWorker(loading_replies=3)) as (address,):
        report = run([address], PLAN, drawn)
    assert report.failures == []
    assert any(note.startswith(f"note: {address}: LOADING replies: ") for note in report.notes())


def test_above_is_proved_or_fails() -> None:
    worker = FakeWorker()
    with serving(worker) as addresses:
        proved = run(addresses, PLAN._replace(above=worker.take_block(1)), drawn)
        failed = run(addresses, PLAN._replace(above=1 << 62), drawn)
    assert (proved.failures, ", all above " in proved.verdict()) == ([], True)
    (line,) = failed.failures
    assert line.startswith(f"{addresses[0]} (worker ID 1) returned ID")
    assert f", not above {1 << 62}" in line


def report_of(*workers: CheckedWorker) -> Report:
    """The report of a check that has found these workers, each at `ids:1`."""
    check = Check(PLAN._replace(addresses=(Address("ids", 1),)))
    check.workers = {(worker.address, worker.worker_id, worker.layout): worker for worker in workers}
    check.addresses[0].open = 3
    return Report(check, max_clock_difference_seconds=1)


def test_worker_that_a_service_hides_is_noted() -> None:
    layout = Layout()
    report = report_of(CheckedWorker("ids:1", 4, layout), CheckedWorker("ids:1", 5, layout, ids=1))
    assert report.failures == []
    assert report.notes()[0] == "note: ids:1: worker ID 4 returned no ID, so none of its IDs were verified"
    assert report.verdict().startswith("OK: 1 ID from 1 worker, all unique")


def test_address_with_several_workers_is_named_once() -> None:
    layouts = [Layout(), Layout(), Layout.parse("41/11/11")]
    report = report_of(*(CheckedWorker("ids:1", number, layout, ids=1) for number, layout in enumerate(layouts)))
    (line,) = report.failures
    assert line.endswith("can be equal: 41/10/12@1704067200000 at ids:1; 41/11/11@1704067200000 at ids:1")
