"""What the tests share: running servers, the oracle, and a scripted clock."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from respid.worker.worker import Worker
from tests.support.byte_streams import requests
from tests.support.command_client import CommandClient
from tests.support.kubernetes_api_server import ApiServer, running_api_server
from tests.support.raw_client import RawClient, exchange
from tests.support.redis_oracle import running_redis
from tests.support.running import RunningServer, StartServer, free_port
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, start_worker

collect_ignore = ["clients/python"]  # programs with packages of their own

# How long an example takes says more about the machine than about the code; a test as a whole has its timeout.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture
def clock() -> ScriptedClock:
    return ScriptedClock()


@pytest.fixture
def worker(clock: ScriptedClock) -> Worker:
    """A worker in this process that issues IDs by the scripted clock."""
    return start_worker(clock)


@pytest.fixture
def client(worker: Worker) -> CommandClient:
    """A client of that worker, without a socket."""
    return CommandClient(connect(worker))


@pytest.fixture
def other_client(worker: Worker) -> CommandClient:
    """Another client of the same worker."""
    return CommandClient(connect(worker))


@pytest.fixture
def unauthenticated_client(clock: ScriptedClock) -> CommandClient:
    """A client of a worker with the password "secret". It has not authenticated yet."""
    return CommandClient(connect(start_worker(clock, password="secret")))


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Starts servers with more arguments and variables, ready when it returns them; stops them at the end."""
    servers: list[RunningServer] = []

    def start(
        *arguments: str,
        worker_id: str | None = "1",
        port: int = 0,
        wait: bool = True,
        prefix: tuple[str, ...] = (),
        **variables: str,
    ) -> RunningServer:
        port, http_port = port or free_port(), free_port()
        directory = tmp_path_factory.mktemp("respid")
        log_path = directory / "log"
        command = [*prefix, sys.executable, "-m", "respid", "serve", "--port", str(port), "--http-port", str(http_port)]
        command += ["--state-dir", str(directory / "state")]
        command += [] if worker_id is None else ["--worker-id", worker_id]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RESPID_")}
        with log_path.open("w") as log:
            process = subprocess.Popen([*command, *arguments], stderr=log, text=True, env=environment | variables)
        server = RunningServer(process, port, http_port, log_path)
        servers.append(server)
        if wait:
            _wait_until_ready(server)
        return server

    yield start
    for server in servers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.stop()
        server.process.kill()
        server.process.wait()


def _wait_until_ready(server: RunningServer) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"respid has ended with {server.process.returncode}: {server.log}")
        with contextlib.suppress(OSError):
            if server.get("/readyz")[0] == 200:
                return
        time.sleep(0.02)
    raise AssertionError(f"respid is not ready: {server.log}")


@pytest.fixture(scope="session")
def server(start_server: StartServer) -> RunningServer:
    """A server with default settings and worker ID 1, shared by the tests that leave it as they found it."""
    return start_server()


@pytest.fixture
def raw_client(server: RunningServer) -> Iterator[RawClient]:
    """A client of that server."""
    with RawClient(server.port) as client:
        yield client


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A Kubernetes API server that tests may stop, if they start it again."""
    with running_api_server(tmp_path_factory.mktemp("kubernetes")) as server:
        yield server


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Path:
    """The kubeconfig of a Kubernetes API server: the variable's, else that of one on this machine."""
    if "KUBECONFIG" in os.environ:
        return Path(os.environ["KUBECONFIG"])
    server: ApiServer = request.getfixturevalue("api_server")
    return server.kubeconfig


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a real redis-server, the oracle. It holds the counter `c`, and the counter `f` in the hash `h`."""
    with running_redis(tmp_path_factory.mktemp("redis")) as port:
        exchange(port, requests("INCR c; HINCRBY h f 1"))
        yield port
