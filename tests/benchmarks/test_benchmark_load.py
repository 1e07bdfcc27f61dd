"""What the senders send, and what they measure with real servers."""

import gc
import itertools
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from benchmarks.load import RANDOM_KEYS, Load, fill, in_turn
from benchmarks.machine import Cores, at_real_time_priority
from benchmarks.plan import Plan
from benchmarks.rounds import Cost, Sender
from benchmarks.sender import CONNECTIONS, Batch, Batches, sending
from benchmarks.servers import Server, running_redis, running_respid
from benchmarks.steady import sending_steadily
from tests.support.running import wait_until

RunningServer = Callable[[int], AbstractContextManager[Server]]
ONE = Load("INCR", "fixed", 1)


def test_fixed_key_is_sent_in_batches() -> None:
    [sent] = next(Load("INCRBY", "fixed", 2).batches().series)
    assert sent == b"*3\r\n$6\r\nINCRBY\r\n$1\r\nk\r\n$1\r\n1\r\n" * 2


def test_random_keys_are_a_million_different_ones() -> None:
    batches = Load("INCRBY", "random", 1_000).batches()
    sent = [bytes(piece) for batch in itertools.islice(batches.series, RANDOM_KEYS // 1_000) for piece in batch]
    assert all(
        batch.startswith(b"*3\r\n$6\r\nINCRBY\r\n$16\r\nkey:") and batch.endswith(b"$1\r\n1\r\n") for batch in sent
    )
    keys = re.findall(rb"key:\d{12}\r\n", b"".join(sent))
    assert len(set(keys)) == len(keys) == RANDOM_KEYS
    assert keys != sorted(keys)


def test_real_time_priority_holds_for_the_server_and_the_load_and_then_ends() -> None:
    with subprocess.Popen(["sleep", "60"]) as server:
        try:
            with at_real_time_priority(server.pid), subprocess.Popen(["sleep", "60"]) as load:
                during = [os.sched_getscheduler(process) for process in (server.pid, load.pid, 0)]
                load.kill()
            after = [os.sched_getscheduler(process) for process in (server.pid, 0)]
        finally:
            server.kill()
    assert during == [os.SCHED_FIFO if _may_run_at_real_time_priority() else os.SCHED_OTHER] * 3
    assert after == [os.SCHED_OTHER] * 2


def _may_run_at_real_time_priority() -> bool:
    """Asks chrt, in a process of its own."""
    return subprocess.run(["chrt", "--fifo", "1", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("running", [running_respid, running_redis])
def test_rounds_have_rates_and_cpu_time(running: RunningServer) -> None:
    plan = Plan(Cores.of_this_process(), rounds=1, scale=0.5)
    with running(plan.cores.server) as server:
        [costs] = in_turn(plan, [(server, Load("INCRBY", "random", 16))])
        resident_bytes = server.resident_bytes()
        assert resident_bytes > 1_000_000
        assert server.peak_resident_bytes() > resident_bytes - 1_000_000, "the kernel counts both roughly"
        with sending(server, Load("INCRBY", "random", 16).batches()) as sender:
            wait_until(lambda: is_plausible(sender.send_for(0.05)))
    assert len(costs) == 4, "of a quarter of the length"


def is_plausible(cost: Cost) -> bool:
    """On a busy machine, that of a single round need not be."""
    return cost.requests_per_second > 100 / 0.05 and 0.05 < cost.server_cpu_us < 1000


@pytest.fixture
def redis() -> Iterator[Server]:
    with running_redis(Cores.of_this_process().server) as server:
        yield server


def counter(redis: Server) -> int:
    with redis.connect() as asking:
        asking.sendall(b"GET k\r\n")
        return int(asking.recv(100).split(b"\r\n")[1])


@pytest.mark.parametrize("depth", [1, 500])
def test_all_requests_are_counted(redis: Server, depth: int) -> None:
    with sending(redis, Load("INCR", "fixed", depth, connections=7).batches(), 7) as sender:
        before = counter(redis)
        cost = sender.send_for(0)
        assert counter(redis) == before + 7 * depth
    assert cost.requests_per_second > 0


def test_filled_server_has_all_random_keys(redis: Server) -> None:
    fill(redis)
    with redis.connect() as asking:
        asking.sendall(b"DBSIZE\r\n")
        assert asking.recv(100) == b":%d\r\n" % RANDOM_KEYS


def test_requests_are_sent_at_a_steady_rate(redis: Server) -> None:
    with sending_steadily(redis, ONE.batches(), 1_000) as sender:
        before = counter(redis)
        cost = sender.send_for(0.1)
        assert 100 <= counter(redis) - before <= 101
    assert 0 < cost.p50_ms <= cost.p99_ms <= cost.p999_ms


def test_delay_of_the_server_counts_for_all_requests_that_were_due(redis: Server) -> None:
    """As many as would have been sent meanwhile, not one for each connection."""
    with redis.connect() as other, sending_steadily(redis, ONE.batches(), 1_000) as sender:

        def is_delayed() -> bool:
            other.sendall(b"CLIENT PAUSE 200\r\n")
            assert other.recv(100) == b"+OK\r\n"
            return sender.send_for(0.3).p50_ms > 20

        wait_until(is_delayed)  # on a busy machine, the pause may be over before anything is sent


def test_delay_of_the_sender_counts_as_well(redis: Server) -> None:
    requests = ONE.batches()

    def held_up() -> Iterator[Batch]:
        yield from itertools.islice(requests.series, CONNECTIONS + 1)  # to warm up, with one more if times are rounded
        time.sleep(0.2)
        yield from requests.series

    with sending_steadily(redis, replace(requests, series=held_up()), 1_000) as sender:
        assert sender.send_for(0.3).p50_ms > 20


@pytest.mark.parametrize("kind", ["batches", "steady"])
def test_error_ends_a_round_and_garbage_is_collected_again(redis: Server, kind: str) -> None:
    with redis.connect() as other:
        other.sendall(b"SET k text\r\n")
        assert other.recv(100) == b"+OK\r\n"
    requests = ONE.batches()
    with pytest.raises(RuntimeError, match="a request was answered with b'-ERR"), _sender(redis, requests, kind):
        pytest.fail("warming up sends requests")
    assert gc.isenabled()


def _sender(redis: Server, requests: Batches, kind: str) -> AbstractContextManager[Sender]:
    return sending(redis, requests) if kind == "batches" else sending_steadily(redis, requests, 1_000)


def test_end_of_server_is_noticed(redis: Server) -> None:
    with sending(redis, ONE.batches()) as sender:
        redis.process.kill()
        redis.process.wait()
        with pytest.raises((RuntimeError, OSError)):
            sender.send_for(0.01)
