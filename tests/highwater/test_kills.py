"""Servers that are killed under load and restarted with changed clocks never repeat an ID, and IDs only rise.

`RESPID_TEST_KILLS` is the number of servers, `RESPID_TEST_KILLS_SEED` selects the random run. libfaketime changes the
clocks.
"""

import os
import time
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.support.byte_streams import request
from tests.support.drawer import Drawer, are_disjoint_and_rising
from tests.support.faked_clock import faked_clock, move_clock
from tests.support.raw_client import RawClient
from tests.support.running import RunningServer, StartServer, wait_until

KILLS = int(os.environ.get("RESPID_TEST_KILLS", "8"))
SEED = int(os.environ.get("RESPID_TEST_KILLS_SEED", "1"))
HOUR, DAY = 3600, 86_400
CLOCKS_SECONDS = [
    0,
    -HOUR,
    HOUR,
    -DAY,
    DAY,
    0,
    -HOUR,
    2 * HOUR,
]  # by how much each server's clock is off when it starts
STEPS_SECONDS = [-HOUR, 3, -30, HOUR]  # by how much it is moved while the server runs
CLIENTS = 3


def has_logged(server: RunningServer, what: str) -> bool:
    return what in server.log


def has_one_ended(servers: list[RunningServer]) -> bool:
    return any(server.process.poll() is not None for server in servers)


def have_drawn(drawers: list[Drawer], more_than: int) -> bool:
    return all(len(drawer.spans) > more_than for drawer in drawers)


@pytest.mark.timeout(1_200 + 30 * KILLS)
def test_killed_servers_never_repeat_ids(start_server: StartServer, tmp_path: Path) -> None:
    random, clock_file = Random(SEED), tmp_path / "clock"
    lives: list[list[list[tuple[int, int]]]] = []
    for life in range(KILLS):
        clock_seconds = CLOCKS_SECONDS[life % len(CLOCKS_SECONDS)]
        options = ["--state-dir", str(tmp_path), "--max-clock-lead", str(3 * DAY)]
        server = start_server(*options, measured=False, **faked_clock(clock_seconds, clock_file))
        drawers = [Drawer(server.port) for _ in range(CLIENTS)]
        wait_until(partial(have_drawn, drawers, 500))
        move_clock(clock_file, clock_seconds + random.choice(STEPS_SECONDS))
        wait_until(partial(has_logged, server, "the wall clock was set "))
        drawn = max(len(drawer.spans) for drawer in drawers)
        wait_until(partial(have_drawn, drawers, drawn + 500))
        time.sleep(random.uniform(0, 0.4))
        server.process.kill()
        server.process.wait()
        lives.append([drawer.finish() for drawer in drawers])
    assert are_disjoint_and_rising(lives)


def test_one_server_per_state_directory_and_worker_id(start_server: StartServer, tmp_path: Path) -> None:
    lives: list[list[list[tuple[int, int]]]] = []
    for _ in range(3):
        both = [start_server("--state-dir", str(tmp_path), wait=False) for _ in range(2)]
        wait_until(partial(has_one_ended, both))
        refused, serving = sorted(both, key=lambda server: server.process.poll() is None)
        assert refused.process.returncode == 1
        (line,) = refused.log.splitlines()
        assert line.startswith(f"respid: worker ID 1 is in use by pid {serving.process.pid} ")
        wait_until(partial(has_logged, serving, "serves RESP"))
        drawers = [Drawer(serving.port) for _ in range(CLIENTS)]
        wait_until(partial(have_drawn, drawers, 500))
        serving.process.kill()
        serving.process.wait()
        lives.append([drawer.finish() for drawer in drawers])
    assert are_disjoint_and_rising(lives)


def test_clock_a_day_behind_mark_issues_nothing(start_server: StartServer, tmp_path: Path) -> None:
    options = ["--state-dir", str(tmp_path)]
    former = start_server(*options)
    with RawClient(former.port) as client:
        assert client.draw(request("INCR", "orders"), 1)
    former.stop()
    server = start_server(*options, wait=False, **faked_clock(-86_400))
    wait_until(lambda: "ahead of the wall clock" in server.log)
    with RawClient(server.port) as client:
        client.send(request("INCR", "orders"))
        refusal = client.receive_reply()
        assert refusal.startswith(b"-LOADING respid cannot issue IDs: the wall clock is 86")
        assert refusal.endswith(b"set the clock\r\n")
        client.send(request("PING"))
        assert client.receive_reply() == b"+PONG\r\n"
        client.send(request("INFO", "persistence"))
        assert b"loading:1" in client.receive_reply()
    assert server.get("/readyz")[0] == 503
    assert server.stop() == 0
    assert "no ID is issued until the clock comes within 600 s of it" in server.log
