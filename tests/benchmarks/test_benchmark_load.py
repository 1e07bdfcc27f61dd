"""Real runs of redis-benchmark, stopped between their rounds."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from unittest.mock import Mock

import pytest

from benchmarks.load import Load, RedisBenchmark, in_turn, stopped_redis_benchmark
from benchmarks.machine import Cores, at_real_time_priority
from benchmarks.rounds import Cost
from benchmarks.servers import Server, Transport, running_redis, running_respid
from tests.support.needed_tools import need_tool
from tests.support.running import wait_until

RunningServer = Callable[[int], AbstractContextManager[Server]]


def test_load_sends_the_drivers_command() -> None:
    assert Load("INCR", "fixed", 16).arguments() == ["-c", "50", "-P", "16", "INCR", "k"]
    arguments = Load("INCRBY", "random", 1, 500).arguments()
    assert arguments == ["-c", "500", "-P", "1", "-r", "1000000", "INCRBY", "key:__rand_int__", "1"]


def test_load_has_requests_of_its_own() -> None:
    assert Load("INCR", "fixed", 1).request(7) == "INCR k"
    assert Load("INCRBY", "random", 1).request(7) == "INCRBY key:000000000007 1"


def test_transport_replaces_the_port() -> None:
    assert Server("respid", 1234, Mock(), 0).client_options == ("-p", "1234")
    assert Server("respid", 1234, Mock(), 0, Transport(client=("-s", "path"))).client_options == ("-s", "path")


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
    need_tool("redis-benchmark")
    with running(Cores.of_this_process().server) as server:
        [costs] = in_turn([(server, Load("INCRBY", "random", 16))], rounds=2, seconds=0.05)
        assert server.peak_resident_bytes() >= server.resident_bytes() > 1_000_000
        with stopped_redis_benchmark(server, Load("INCRBY", "random", 16)) as sender:
            wait_until(lambda: is_plausible(sender.send_for(0.05)))
    assert len(costs) == 2


def is_plausible(cost: Cost) -> bool:
    """On a busy machine, that of a single round need not be: redis-benchmark may not run meanwhile."""
    return cost.requests_per_second > 100 / 0.05 and 0.05 < cost.server_cpu_us < 1000 and 0 < cost.load_core < 1.1


@pytest.fixture
def sender() -> Iterator[RedisBenchmark]:
    """With 7 connections to Redis."""
    need_tool("redis-benchmark")
    with (
        running_redis(Cores.of_this_process().server) as server,
        stopped_redis_benchmark(server, Load("INCR", "fixed", 1, connections=7)) as sender,
    ):
        yield sender


def test_redis_benchmark_connects_once_and_stands_still_between_rounds(sender: RedisBenchmark) -> None:
    for _ in range(2):
        sender.send_for(0.02)
    state = Path(f"/proc/{sender.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    with sender.server.connect() as other:
        other.sendall(b"INFO clients\r\n")
        connected = other.recv(1 << 16)
    assert state == "T"
    assert b"connected_clients:9\r\n" in connected, connected  # with the two that ask


def test_end_of_redis_benchmark_is_noticed(sender: RedisBenchmark) -> None:
    sender.process.kill()
    sender.process.wait()
    with pytest.raises(RuntimeError, match="redis-benchmark has ended"):
        sender.send_for(0.01)


def test_end_of_server_is_noticed(sender: RedisBenchmark) -> None:
    sender.server.process.kill()
    sender.server.process.wait()
    with pytest.raises((RuntimeError, ConnectionError)):
        sender.answered()
