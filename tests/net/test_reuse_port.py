"""Workers that share a port (--reuse-port).

`RESPID_TEST_KILLS` is how often workers are killed, `RESPID_TEST_KILLS_SEED` selects the random run.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from benchmarks.ports import free_port
from respid.net.bind import StartError
from respid.net.port_claim import PortClaim
from respid.worker.config import Config
from tests.support.certificates import CertificateFiles
from tests.support.command_line import patient_command, run_command_line
from tests.support.documents import ROOT, code_blocks
from tests.support.environment import clean_environment
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="--reuse-port needs Linux")

KILLS = int(os.environ.get("RESPID_TEST_KILLS", "4"))
SEED = int(os.environ.get("RESPID_TEST_KILLS_SEED", "1"))
StartShared = Callable[..., RunningServer]


@pytest.fixture
def start_shared(start_server: StartServer) -> StartShared:
    """Starts workers that share one port."""
    port = free_port()

    def start(*arguments: str, **options: object) -> RunningServer:
        return start_server("--reuse-port", *arguments, port=port, **options)

    return start


def answering_workers(port: int, arguments: str = "") -> set[int]:
    """The workers that 64 connections reach."""
    options = ["--connections", "64", "--interval", "0.01", "--json", *arguments.split()]
    workers = json.loads(run_command_line("status", f"localhost:{port}", *options).stdout)["workers"]
    return {worker["worker_id"] for worker in workers}


def test_kernel_spreads_the_connections(start_shared: StartShared, tmp_path: Path) -> None:
    files = CertificateFiles(tmp_path)
    tls_port = free_port()
    first, _ = (start_shared(*files.options(tls_port), worker_id=number) for number in ("1", "2"))
    assert answering_workers(first.port) == {1, 2}
    assert answering_workers(tls_port, f"--tls --tls-ca-cert-file {files.ca_file}") == {1, 2}


@pytest.mark.timeout(1_200 + 60 * KILLS)
def test_workers_killed_at_random_repeat_nothing(start_shared: StartShared, tmp_path: Path) -> None:
    """While a check draws from the shared port, one worker or both are killed at random moments and started again."""
    random, state = Random(SEED), ["--state-dir", str(tmp_path)]
    workers = {number: start_shared(*state, worker_id=number) for number in ("1", "2")}
    address = f"127.0.0.1:{workers['1'].port}"
    options = ["--connections", "32", "--rate", "10000", "--seconds", str(1_200 + 60 * KILLS), "--json"]
    command = patient_command("check", address, *options)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=clean_environment(measured=False)
    ) as checking:
        for _ in range(KILLS):
            drawing = wait_for_drawing(workers)
            time.sleep(random.uniform(0, 0.3))
            for number in random.sample(drawing, random.randint(1, len(drawing))):
                assert workers[number].stop(signal.SIGKILL) == -signal.SIGKILL
                workers[number] = start_shared(*state, worker_id=number, wait=False)
        for server in workers.values():
            server.wait_until_ready()
        wait_for_drawing(workers)
        checking.send_signal(signal.SIGINT)
        output, _ = checking.communicate(timeout=WAIT_SECONDS)
    summary = json.loads(output)
    assert (summary["failures"], checking.returncode) == ([], 0)
    assert {worker["worker_id"] for worker in summary["workers"]} == {1, 2}
    assert summary["connections_ended"] > 0


def wait_for_drawing(workers: dict[str, RunningServer]) -> list[str]:
    """Returns the workers from which the check draws, once there are any."""
    found: list[str] = []

    def look() -> bool:
        found[:] = [number for number, server in workers.items() if has_connections(server)]
        return bool(found)

    wait_until(look)
    return found


def has_connections(server: RunningServer) -> bool:
    """Whether the check draws: its first connection, of which there is one, only finds out who answers."""
    with contextlib.suppress(OSError, KeyError):  # it starts
        return server.metric("id_generator_connections") > 1
    return False


def test_refuses_the_same_worker_id(start_shared: StartShared) -> None:
    """The servers have different state directories."""
    first = start_shared(worker_id="7")
    second = start_shared(worker_id="7", wait=False)
    assert second.wait() == 1
    reason = f"worker ID 7 on port {first.port} is in use by pid {first.process.pid}; choose another --worker-id"
    assert reason in second.log


def test_successor_of_a_killed_worker_starts(start_shared: StartShared) -> None:
    start_shared(worker_id="7").stop(signal.SIGKILL)
    start_shared(worker_id="7")


def test_shares_only_with_workers_that_share(start_server: StartServer, start_shared: StartShared) -> None:
    first = start_shared(worker_id="1")
    second = start_server(worker_id="2", port=first.port, wait=False)
    assert second.wait() == 1
    assert "Address already in use" in second.log


def make_config(**fields: object) -> Config:
    return Config(worker_id=3, worker_id_source="test", reuse_port=True, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("ports", [{"port": 1}, {"port": 2, "tls_port": 1}])
def test_claims_each_port(ports: dict[str, int]) -> None:
    first, second = PortClaim(make_config(port=0, tls_port=1)), PortClaim(make_config(**ports))
    first.take()
    with pytest.raises(StartError, match=r"worker ID 3 on port 1 is in use by pid \d+; choose another --worker-id, or"):
        second.take()
    second.release()
    first.release()
    second = PortClaim(make_config(**ports))
    second.take()
    second.release()


def test_names_a_holder_that_does_not_listen() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind("\0respid/port/1/worker/3")
        claim = PortClaim(make_config(port=1))
        with pytest.raises(StartError, match="is in use by another process"):
            claim.take()
        claim.release()


def test_claims_nothing_without_a_shared_port() -> None:
    claims = [PortClaim(Config(worker_id=3, worker_id_source="test")) for _ in range(2)]
    for claim in claims:
        claim.take()


def test_commands_of_the_document_share_a_port() -> None:
    (example,) = code_blocks("sh", ROOT / "docs" / "cores.md")
    commands = [line.removesuffix(" &").split()[1:] for line in example.splitlines() if line.startswith("respid ")]
    configs = [run_command_line(*command).config for command in commands]
    assert [config and (config.reuse_port, config.port) for config in configs] == [(True, 6379)] * 2
    assert [config and (config.worker_id, config.http_port) for config in configs] == [(1, 8081), (2, 8082)]
