"""Parsing the report of redis-benchmark, and real runs of it."""

import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from unittest.mock import Mock

import pytest

from benchmarks import load as load_module
from benchmarks.load import Load, Round, interleaved, load_core, median, parse, ratio
from benchmarks.machine import Cores, at_real_time_priority
from benchmarks.servers import Server, Transport, running_redis, running_respid
from tests.support.needed_tools import need_tool

RunningServer = Callable[[int], AbstractContextManager[Server]]

REPORT = """\
INCR k: rps=0.0 (overall: 0.0) avg_msec=-nan (overall: -nan)\rINCR k: rps=38645.4 (overall: 38339.9)\r\
====== INCR k ======
  20000 requests completed in 1.22 seconds
  50 parallel clients

Latency by percentile distribution:
0.000% <= 0.119 milliseconds (cumulative count 1)
50.000% <= 0.975 milliseconds (cumulative count 10018)
99.805% <= 29.615 milliseconds (cumulative count 19962)
99.902% <= 31.375 milliseconds (cumulative count 19981)
100.000% <= 33.983 milliseconds (cumulative count 20000)

Cumulative distribution of latencies:
99.950% <= 7.103 milliseconds (cumulative count 19990)

Summary:
  throughput summary: 16393.44 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        2.207     0.112     0.975     7.103    12.103    33.983
"""


def a_round(rate: float = 1000, load: float = 0.5) -> Round:
    return Round(rate, 0.1, 0.2, 0.3, 1.0, load)


def test_report_is_parsed() -> None:
    assert parse(REPORT) == Round(16393.44, 0.975, 12.103, 31.375)


@pytest.mark.parametrize("text", ["", REPORT[:300], REPORT.replace("throughput summary", "throughput")])
def test_incomplete_report_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a report of redis-benchmark"):
        parse(text)


def test_load_sends_the_drivers_command() -> None:
    assert Load("INCR", "fixed", 16).arguments() == ["-c", "50", "-P", "16", "INCR", "k"]
    arguments = Load("INCRBY", "random", 1, 500).arguments()
    assert arguments == ["-c", "500", "-P", "1", "-r", "1000000", "INCRBY", "key:__rand_int__", "1"]


def test_transport_replaces_the_port() -> None:
    assert Server("respid", 1234, Mock(), 0).client_options == ("-p", "1234")
    assert Server("respid", 1234, Mock(), 0, Transport(client=("-s", "path"))).client_options == ("-s", "path")


def test_median_ignores_one_bad_round() -> None:
    assert median([a_round(900), a_round(1), a_round(1000)], "requests_per_second") == 900


def test_ratio_compares_consecutive_rounds() -> None:
    ours = [a_round(rate) for rate in (100, 50, 50)]
    theirs = [a_round(rate) for rate in (50, 50, 25)]  # half as fast in the same rounds, except for one
    assert ratio(ours, theirs, "requests_per_second") == 2


def test_saturated_load_generator_is_marked() -> None:
    assert load_core([a_round(load=0.5)]) == "50 %"
    assert load_core([a_round(load=0.99)]) == "99 % (full)"


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


def test_rounds_last_although_connecting_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    lasted = list[float]()

    def run(_server: Server, _load: Load, requests: int) -> Round:
        lasted.append(0.06 + requests / 1e6)
        return Round(requests / lasted[-1], p50_ms=1, p99_ms=1, p999_ms=1)

    monkeypatch.setattr(load_module, "run", run)
    interleaved([(Mock(), Load("INCR", "fixed", 16))], rounds=1, seconds=0.8)
    assert 0.7 < lasted[-1] < 0.8


@pytest.mark.parametrize("running", [running_respid, running_redis])
def test_real_run_has_rates_and_cpu_time(running: RunningServer) -> None:
    need_tool("redis-benchmark")
    cores = Cores.of_this_process()
    with running(cores.server) as server:
        load = Load("INCRBY", "random", 16)
        [[first, second]] = interleaved([(server, load)], rounds=2, seconds=0.01)
        assert server.peak_resident_bytes() >= server.resident_bytes() > 1_000_000
    for each in (first, second):
        assert each.requests_per_second > 0
        assert 0 < each.p50_ms <= each.p99_ms <= each.p999_ms
        assert 0.05 < each.server_cpu_us < 1000
        assert each.load_core > 0
