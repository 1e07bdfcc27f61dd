"""A few batches are timed, waiting times included, and the others cost nothing."""

import pytest

from respid.net.connection import Connection
from respid.net.latency import time_next_batch
from respid.net.states import Next
from respid.worker.worker import Worker
from tests.support.byte_streams import requests
from tests.support.raw_client import exchange
from tests.support.running import StartServer, wait_until
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect


class Timing:
    """A connection of this worker whose next batch is timed."""

    def __init__(self, worker: Worker) -> None:
        self.connection = connect(worker)
        self.timed: Connection = time_next_batch(self.connection, worker, self._end)
        self.ended = 0

    def _end(self) -> None:
        self.ended += 1


@pytest.fixture
def timing(worker: Worker) -> Timing:
    return Timing(worker)


def durations_ms(worker: Worker) -> float:
    return worker.stats.batch_durations.total_ns / 1e6


def batches(worker: Worker) -> int:
    return list(worker.stats.batch_durations.cumulative())[-1][1]


def test_notes_one_batch(worker: Worker, timing: Timing) -> None:
    assert timing.timed.receive(requests("INCR a; INCR a")).count(b"\r\n") == 2
    assert (timing.ended, batches(worker)) == (1, 1)
    assert worker.stats.sampled_calls == {"incr": 2}


def test_mixed_batch_has_no_command(worker: Worker, timing: Timing) -> None:
    timing.timed.receive(requests("INCR a; PING"))
    assert (batches(worker), worker.stats.sampled_calls) == (1, {})


def test_waiting_counts(worker: Worker, timing: Timing, clock: ScriptedClock) -> None:
    size = worker.generator.layout.sequence_size
    timing.timed.receive(requests(f"INCRBY a {size}; INCRBY a {size}"))
    assert (timing.timed.next, timing.ended) == (Next.WAIT, 0)
    clock.pass_ms(3)
    timing.timed.resume()
    assert (timing.timed.next, timing.ended, batches(worker)) == (Next.READ, 1, 1)
    assert durations_ms(worker) == pytest.approx(3)
    assert worker.stats.sampled_calls == {}


def test_closing_ends_it(worker: Worker, timing: Timing) -> None:
    timing.timed.receive(requests("QUIT"))
    assert (timing.ended, batches(worker)) == (1, 0)


def test_stands_in_for_the_connection(timing: Timing) -> None:
    assert timing.timed.session is timing.connection.session
    assert timing.timed.is_between_requests
    assert timing.timed.held_bytes == timing.connection.held_bytes


def test_server_times_batches(start_server: StartServer) -> None:
    """Clients that send one batch only keep no other from being timed."""
    server = start_server(worker_id="2")
    with server.client() as client:

        def has_timed() -> bool:
            exchange(server.port, requests("INCR a"))
            client.incr("a")
            client.incr("a")
            return server.metric("id_generator_batch_duration_seconds_count") > 0

        wait_until(has_timed)
        assert any(each["usec"] for each in client.info("commandstats").values())
