"""The messages to systemd, from a real server to a socket as systemd opens it, and the unit in packaging/systemd."""

import contextlib
import random
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port, is_free
from respid.monitoring.history import History
from respid.monitoring.systemd import SystemdReport
from respid.worker.worker import Worker
from tests.support.command_line import run_command_line
from tests.support.documents import ROOT
from tests.support.environment import clean_environment
from tests.support.faked_clock import faked_clock
from tests.support.needed_tools import need_tool
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until

UNITS = ROOT / "packaging/systemd"


class Systemd:
    """Receives what a service reports."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0"))
        self._socket.settimeout(WAIT_SECONDS)

    def receive(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())

    def receive_until(self, name: str) -> list[dict[str, str]]:
        """Returns the messages up to the one with this assignment."""
        messages = [self.receive()]
        while name not in messages[-1]:
            messages.append(self.receive())
        return messages

    def is_silent_for(self, seconds: float) -> bool:
        return not select.select([self._socket], [], [], seconds)[0]

    def drain(self) -> None:
        while not self.is_silent_for(0):
            self.receive()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "path" else f"@respid-test-{tmp_path}"


@pytest.fixture
def systemd(address: str) -> Iterator[Systemd]:
    with contextlib.closing(Systemd(address)) as systemd:
        yield systemd


def test_reports_ready_then_stopping(start_server: StartServer, systemd: Systemd, address: str) -> None:
    server = start_server(NOTIFY_SOCKET=address, WATCHDOG_USEC="600000")
    ready = systemd.receive_until("READY")[-1]
    assert ready["STATUS"] == "ready: 0 IDs per second, 0 connections"
    assert "WATCHDOG" in systemd.receive()
    assert server.stop() == 0
    stopping = systemd.receive_until("STOPPING")[-1]
    assert stopping["STATUS"].startswith("not ready: the server is draining")


def test_stopped_event_loop_feeds_no_watchdog(start_server: StartServer, systemd: Systemd, address: str) -> None:
    server = start_server(NOTIFY_SOCKET=address, WATCHDOG_USEC="600000")
    systemd.receive_until("READY")
    server.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: _is_stopped(server))
    systemd.drain()
    assert systemd.is_silent_for(1)
    server.process.send_signal(signal.SIGCONT)
    assert "WATCHDOG" in systemd.receive()


def _is_stopped(server: RunningServer) -> bool:
    status = Path(f"/proc/{server.process.pid}/stat").read_text()
    return status.rpartition(") ")[2].startswith("T")


def test_a_start_that_waits_is_not_a_failed_one(start_server: StartServer, systemd: Systemd, address: str) -> None:
    """With this clock no ID can be issued, until it is set."""
    server = start_server(wait=False, NOTIFY_SOCKET=address, **faked_clock(-10 * 365 * 24 * 3600))
    messages = [systemd.receive() for _ in range(3)]
    assert all("EXTEND_TIMEOUT_USEC" in message and "READY" not in message for message in messages), server.log
    assert messages[-1]["STATUS"].startswith("not ready: ")


def test_unreachable_socket_is_no_failure(worker: Worker, tmp_path: Path) -> None:
    history = History(lambda: 0, now_seconds=0)
    SystemdReport(worker, history, {"NOTIFY_SOCKET": str(tmp_path / "gone")}).send()
    SystemdReport(worker, history, {}).send()


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit of worker 1, with a program that exists."""
    text = (UNITS / "respid@.service").read_text()
    assert text.count("/opt/respid/bin/respid") == 1
    (tmp_path / "respid@.service").write_text(text.replace("/opt/respid/bin/respid", shutil.which("true") or ""))
    return Path(shutil.copy(tmp_path / "respid@.service", tmp_path / "respid@1.service"))


def test_unit_is_valid(unit: Path) -> None:
    verified = subprocess.run(
        [need_tool("systemd-analyze"), "verify", unit], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_unit_is_hardened(unit: Path) -> None:
    analyze = [need_tool("systemd-analyze"), "security", "--offline=true", "--threshold=20", "--no-pager", str(unit)]
    analyzed = subprocess.run(analyze, capture_output=True, text=True, check=False)
    assert analyzed.returncode == 0, analyzed.stdout


def exec_start(worker_id: int | str, tmp_path: Path) -> list[str]:
    """The command of the unit for this worker, as systemd would run it, with the respid and the state of this test."""
    (line,) = [line for line in (UNITS / "respid@.service").read_text().splitlines() if line.startswith("ExecStart=")]
    program = f"{sys.executable} -m respid"
    command = line.removeprefix("ExecStart=").replace("%i", str(worker_id)).replace("$$", "$")
    return shlex.split(command.replace("/opt/respid/bin/respid", program).replace("/var/lib/respid", str(tmp_path)))


def unit_variables() -> dict[str, str]:
    lines = (UNITS / "respid@.service").read_text().splitlines()
    pairs = [line.removeprefix("Environment=").split("=") for line in lines if line.startswith("Environment=")]
    return dict(pairs)


def test_two_instances_share_a_port(tmp_path: Path) -> None:
    """The unit derives the HTTP ports from the worker IDs."""
    port, worker_ids = free_port(), [each for each in random.sample(range(1024), 1024) if is_free(8080 + each)][:2]
    environment = clean_environment() | unit_variables() | {"RESPID_PORT": str(port)}
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(exec_start(worker_id, tmp_path), env=environment))
            for worker_id in worker_ids
        ]
        for process in processes:
            stack.callback(process.kill)
        wait_until(lambda: all(is_ready(8080 + worker_id) for worker_id in worker_ids))
        assert [process.poll() for process in processes] == [None, None]


def is_ready(http_port: int) -> bool:
    return run_command_line("healthcheck", "--http-port", str(http_port)).exit_code == 0


def test_environment_file_sets_the_http_port(tmp_path: Path) -> None:
    command = [*exec_start(3, tmp_path)[:-1], exec_start(3, tmp_path)[-1].replace("exec ", "echo ")]
    for environment, port in (({}, "8083"), ({"RESPID_HTTP_PORT": "9000"}, "9000")):
        printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        assert printed.split()[-2:] == ["--http-port", port]


@pytest.mark.parametrize("instance", ["010", "08", "00", "x", "1.5", "-1"])
def test_instance_is_a_plain_worker_id(instance: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        exec_start(instance, tmp_path),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
        env={"RESPID_HTTP_PORT": "65536"},  # so that nothing would start
    )
    assert ended.returncode == 2  # with which it is not tried again
    assert ended.stderr == f"respid@{instance}: write the worker ID after the @, without leading zeros\n"
