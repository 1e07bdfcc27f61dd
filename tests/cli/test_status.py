"""`respid status` against running servers."""

import contextlib
import json
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from benchmarks.ports import free_port
from tests.support.command_line import Outcome, patient_command, run_command_line
from tests.support.environment import clean_environment
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer

HERE = "127.0.0.1"


def status(*addresses: str, arguments: str = "", password: str = "") -> Outcome:
    options = ["--interval", "0.2", *arguments.split()]
    return run_command_line("status", *addresses, *options, variables={"RESPID_PASSWORD": password})


def address_of(server: RunningServer) -> str:
    return f"{HERE}:{server.port}"


@pytest.fixture(scope="module")
def second(start_module_server: StartServer) -> RunningServer:
    """A second server, with worker ID 2 and a password."""
    return start_module_server(worker_id="2", RESPID_PASSWORD="secret")


@contextlib.contextmanager
def drawing(server: RunningServer) -> Iterator[None]:
    """Draws IDs all the time."""
    drawn, stopped = threading.Event(), threading.Event()

    def draw() -> None:
        with server.client() as client:
            while not stopped.is_set():
                client.execute_command("ID.RANGE", 1000)
                drawn.set()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        assert drawn.wait(WAIT_SECONDS)
        yield
    finally:
        stopped.set()
        thread.join()


def test_shows_a_fleet_without_drawing(server: RunningServer, second: RunningServer) -> None:
    before = server.metric("id_generator_ids_generated_total")
    nowhere = f"{HERE}:{free_port()}"
    outcome = status(address_of(server), address_of(second), nowhere, password="secret")
    _, *rows, summary = [line.split() for line in outcome.stdout.splitlines()]
    assert [row[:4] for row in rows] == [
        [address_of(server), "-", "no", "-"],  # it has no password
        [address_of(second), "2", "yes", "0"],
        [nowhere, "-", "no", "-"],
    ]
    assert rows[2][-2:] == ["Connection", "refused"]
    assert summary[:3] == ["1", "of", "3"]
    assert (outcome.exit_code, outcome.stderr) == (1, "")
    assert server.metric("id_generator_ids_generated_total") == before


def test_measures_the_rate(server: RunningServer) -> None:
    with drawing(server):
        outcome = status(address_of(server), arguments="--json")
    (worker,) = json.loads(outcome.stdout)["workers"]
    assert outcome.exit_code == 0
    assert worker["ids_per_second"] > 0
    assert worker["share_of_limit"] == pytest.approx(worker["ids_per_second"] / 4_096_000, abs=0.0001)


def test_names_a_missing_password(second: RunningServer) -> None:
    outcome = status(address_of(second))
    needed = "NOAUTH Authentication required. (set RESPID_PASSWORD or RESPID_PASSWORD_FILE)"
    assert outcome.stdout.splitlines()[1].endswith(needed)


def test_shows_why_a_worker_is_not_ready(loading_server: RunningServer) -> None:
    outcome = status(address_of(loading_server))
    row = outcome.stdout.splitlines()[1]
    assert row.split()[1:3] == ["1", "no"]
    assert "reservation" in row
    assert outcome.exit_code == 1


def test_many_connections_show_a_process_once(server: RunningServer) -> None:
    outcome = status(address_of(server), address_of(server), arguments="--connections 3")
    assert len(outcome.stdout.splitlines()) == 3
    assert outcome.exit_code == 0


def test_reports_a_worker_id_twice(server: RunningServer, start_server: StartServer) -> None:
    twin = start_server(worker_id="1")
    outcome = status(address_of(server), address_of(twin))
    assert outcome.error_line.startswith("respid: worker ID 1 is in use by 2 processes, at 127.0.0.1:")
    assert outcome.exit_code == 1


def test_refuses_other_servers(redis_port: int) -> None:
    outcome = status(f"{HERE}:{redis_port}")
    assert "not a respid worker" in outcome.stdout
    assert outcome.exit_code == 1


@pytest.fixture
def watching(server: RunningServer) -> Iterator[subprocess.Popen[str]]:
    command = patient_command("status", "--watch", "--interval", "0.05", "--json", address_of(server))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as process:
        yield process
        process.kill()


def test_watches_until_interrupted(watching: subprocess.Popen[str]) -> None:
    assert watching.stdout is not None
    for _ in range(3):
        assert json.loads(watching.stdout.readline())["ok"]
    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=WAIT_SECONDS)
    assert (watching.returncode, errors) == (130, "")


def test_watch_reconnects(start_server: StartServer) -> None:
    """The server is restarted while it is watched."""
    port = free_port()
    server = start_server(worker_id="5", port=port)
    command = patient_command("status", "--watch", "--interval", "0.05", "--json", f"{HERE}:{port}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as process:
        assert process.stdout is not None
        lines = iter(process.stdout)

        def wait_for(state: str) -> None:
            assert any(f'"ok": {state}' in line for line in lines)

        wait_for("true")
        server.stop()
        wait_for("false")
        start_server(worker_id="5", port=port)
        wait_for("true")
        process.kill()


def test_refuses_zero_interval() -> None:
    outcome = run_command_line("status", "localhost:1", "--interval", "0")
    assert (outcome.exit_code, "--interval" in outcome.error_line) == (2, True)


def test_reports_the_same_with_many_rows_as_json(server: RunningServer) -> None:
    outcome = status(address_of(server), f"{HERE}:{free_port()}", arguments="--json")
    rows = json.loads(outcome.stdout)
    assert outcome.exit_code == 1
    assert len(rows["workers"] if isinstance(rows, dict) else rows) == 2
