"""`respid check` finds duplicates of real servers whose configurations let them issue the same IDs at the same time."""

import json
import re
import signal
import subprocess
import sys

from tests.check.test_check import IDS_GENERATED, address_of, check
from tests.support.environment import clean_environment
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until


def failures_of(*servers: RunningServer) -> str:
    """Checks the servers, which must fail; returns the failures."""
    outcome = check(*map(address_of, servers), seconds=1.5)
    assert outcome.exit_code == 1
    assert outcome.stdout.splitlines()[-1].startswith("FAILED: ")
    return outcome.stderr


def expect_twins(one: RunningServer, other: RunningServer, worker_id: int) -> None:
    first, second = sorted(map(address_of, [one, other]))
    in_use = (
        f"worker ID {worker_id} is in use by two processes, at {first} and at {second}; give each its own worker ID"
    )
    assert f"respid: {in_use}" in failures_of(one, other)


def test_finds_twins_with_own_state_directories(start_server: StartServer) -> None:
    expect_twins(start_server(worker_id="6"), start_server(worker_id="6"), 6)


def test_finds_twins_without_store(start_server: StartServer) -> None:
    servers = [start_server("--store", "none", worker_id="7") for _ in range(2)]
    expect_twins(servers[0], servers[1], 7)


def test_finds_twins_of_a_changed_offset(start_server: StartServer) -> None:
    """The new pod 4 runs while the old pod 2 still has the offset 2: both are worker 4."""
    old = start_server("--worker-id-offset", "2", worker_id=None, POD_NAME="respid-2")
    new = start_server(worker_id=None, POD_NAME="respid-4")
    expect_twins(old, new, 4)


def test_finds_twin_that_appears_during_check(start_server: StartServer) -> None:
    """A rolling change of the offset: a worker restarts with the worker ID of one that still runs."""
    one, other = start_server(worker_id="8"), start_server(worker_id="9")
    command = [
        sys.executable,
        "-m",
        "respid",
        "check",
        address_of(one),
        address_of(other),
        "--seconds",
        "600",
        "--json",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=clean_environment(measured=False)
    ) as checking:
        wait_until(lambda: min(server.metric(IDS_GENERATED) for server in (one, other)) > 10_000)
        one.stop()
        twin = start_server(worker_id="9", port=one.port)
        wait_until(lambda: twin.metric(IDS_GENERATED) > 100_000)
        checking.send_signal(signal.SIGINT)
        stdout, _ = checking.communicate(timeout=WAIT_SECONDS)
    first, second = sorted(map(address_of, [one, other]))
    failures = json.loads(stdout)["failures"]
    assert any(
        line.startswith(f"worker ID 9 is in use by two processes, at {first} and at {second}") for line in failures
    )


def test_finds_equal_ids_of_two_layouts(start_server: StartServer) -> None:
    """The IDs of worker 2 in one layout are also IDs of worker 1 in the other."""
    one, other = start_server(worker_id="2"), start_server("--layout", "41/9/13", worker_id="1")
    failures = failures_of(one, other)
    assert "respid: the workers have different layouts, so that their IDs can be equal: " in failures
    assert re.search(r"^respid: duplicate: IDs? \d+( to \d+)? returned by both ", failures, re.MULTILINE)
