"""The unit of packaging/systemd, started by a real systemd."""

import json
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.running import WAIT_SECONDS, wait_until
from tests.support.systemd_machine import SystemdMachine, running_systemd

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd needs Linux")
RESPID = "/opt/respid/bin/respid"
PATIENT = ("--timeout", str(WAIT_SECONDS))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdMachine]:
    with running_systemd(tmp_path_factory.mktemp("systemd")) as machine:
        yield machine


def override(machine: SystemdMachine, unit: str, *lines: str) -> None:
    """Sets directives of a unit's section Service."""
    machine.write(f"/etc/systemd/system/{unit}.service.d/test.conf", "\n".join(["[Service]", *lines]))
    machine.run("systemctl", "daemon-reload")


def do_both_answer(machine: SystemdMachine) -> bool:
    """Whether 64 connections to the default port reach both workers. On a busy machine, some may get no answer."""
    options = ("--connections", "64", "--interval", "0.01", "--json")
    workers = json.loads(machine.try_run(RESPID, "status", "localhost:6379", *options).stdout)["workers"]
    return {worker["worker_id"] for worker in workers} == {1, 2}


def is_idle(machine: SystemdMachine, unit: str) -> bool:
    return machine.show(unit, "StatusText") == "ready: 0 IDs per second, 0 connections"


def test_two_workers_share_a_port(machine: SystemdMachine) -> None:
    units = ("respid@1", "respid@2")
    machine.run("systemctl", "start", *units)  # returns when both are ready
    wait_until(partial(do_both_answer, machine))
    for unit, http_port in zip(units, ("8081", "8082"), strict=True):
        machine.run(RESPID, "healthcheck", "--http-port", http_port, *PATIENT)
        wait_until(partial(is_idle, machine, unit))
    assert "active (running)" in machine.run("systemctl", "status", "--no-pager", units[0])
    machine.run("systemctl", "reload", *units)
    machine.run("systemctl", "restart", units[0])
    wait_until(partial(do_both_answer, machine))
    machine.run("systemctl", "stop", *units)
    for unit in units:
        assert (machine.show(unit, "ActiveState"), machine.show(unit, "Result")) == ("inactive", "success")
    assert machine.run("sh", "-c", "ls /var/lib/respid/*.json").count("\n") == 2


def test_watchdog_restarts_a_worker_that_hangs(machine: SystemdMachine) -> None:
    unit = "respid@3"
    override(machine, unit, "WatchdogSec=15")  # longer than a busy machine stands still
    machine.run("systemctl", "start", unit)
    pid = machine.show(unit, "MainPID")
    machine.run("kill", "-STOP", pid)
    wait_until(lambda: machine.show(unit, "NRestarts") != "0" and machine.show(unit, "ActiveState") == "active")
    assert machine.show(unit, "MainPID") not in ("0", pid)
    machine.run(RESPID, "healthcheck", "--http-port", "8083", *PATIENT)
    machine.run("systemctl", "stop", unit)


def test_failed_start_is_tried_again_and_again(machine: SystemdMachine) -> None:
    """More often than systemd's usual limit of five starts in ten seconds."""
    unit = "respid@4"
    override(machine, unit, "RestartSec=0.1", "Type=simple", "ExecStart=", "ExecStart=/bin/false")
    machine.run("systemctl", "start", unit)
    wait_until(lambda: int(machine.show(unit, "NRestarts")) > 5)
    machine.run("systemctl", "stop", unit)


def test_wrong_settings_are_not_tried_again(machine: SystemdMachine) -> None:
    unit = "respid@5"
    machine.write("/etc/respid/worker-5.env", "RESPID_PORT=bogus\n")
    assert machine.try_run("systemctl", "start", unit).returncode == 1
    assert (machine.show(unit, "ActiveState"), machine.show(unit, "NRestarts")) == ("failed", "0")
    assert machine.show(unit, "ExecMainStatus") == "2"
