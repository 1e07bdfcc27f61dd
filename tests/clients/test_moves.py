"""Connections move between workers under load, at their age and in a drain: no error, no lost reply.

Each test waits for a few moves of ten connections, which are at least two seconds apart, and for a drain.
"""

import contextlib
import signal
import time
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from respid.ids.layout import Layout
from tests.clients.drivers import Driver, Program, StepError, all_drivers
from tests.support.certificates import CertificateFiles
from tests.support.gaps import FROM_ZERO, has_gaps
from tests.support.proxy import proxy
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer

pytestmark = pytest.mark.timeout(1_800)  # a driver's packages may have to be fetched and built first
MOVERS = [driver for driver in all_drivers() if driver.moves]
FOLLOWED = 'id_generator_moves_total{event="followed"}'
ANNOUNCED = 'id_generator_moves_total{event="announced"}'
CLOSED = 'id_generator_connections_closed_total{reason="max_age"}'
OPENED = "id_generator_connections_total"
CONNECTIONS = 10  # of the step `load`
LEAST_MOVES = 10  # at the age; at least ten more follow in the drain
MOVING = ["--max-connection-age", "2", *FROM_ZERO]
DRAINING = ["--drain-delay", "4"]
PASSWORD = "correct horse battery staple"


class Workers:
    """Two workers behind a proxy that gives new connections to the chosen one."""

    def __init__(self, start_server: StartServer, directory: Path, *, tls: bool) -> None:
        options: dict[str, str] = {}
        self.client_options = {"host": "127.0.0.1"}
        arguments = [[*MOVING, *DRAINING], MOVING]
        self._ports: list[int] = []
        if tls:
            files = CertificateFiles(directory)
            options = {"RESPID_PASSWORD": PASSWORD}
            self.client_options = {"host": "localhost", "ca_file": str(files.ca_file), "password": PASSWORD}
            self._ports = [free_port(), free_port()]
            arguments = [[*each, *files.options(port)] for each, port in zip(arguments, self._ports, strict=True)]
        self.servers = [start_server(*each, worker_id=str(number), **options) for number, each in enumerate(arguments)]
        self._ports = self._ports or [server.port for server in self.servers]
        self.chosen = 0

    def choose(self) -> int:
        return self._ports[self.chosen]


@pytest.fixture
def workers(start_server: StartServer, tmp_path: Path, request: pytest.FixtureRequest) -> Workers:
    return Workers(start_server, tmp_path, tls=request.param)


@pytest.mark.parametrize("workers", [False, True], indirect=True, ids=["plain", "TLS and password"])
@pytest.mark.parametrize("driver", [pytest.param(driver, id=driver.name) for driver in MOVERS])
def test_connections_move_without_a_loss(driver: Driver, workers: Workers) -> None:
    leaving, staying = workers.servers
    is_asked = driver.name != "lettuce"  # that one is closed between two requests
    drawn: list[int] = []
    with proxy(choose=workers.choose) as port, driver.start(**workers.client_options, port=str(port)) as program:
        program.step("connect")
        deadline = time.monotonic() + WAIT_SECONDS
        while leaving.metric(FOLLOWED) + leaving.metric(CLOSED) < LEAST_MOVES:
            assert time.monotonic() < deadline
            drawn += program.ids("load")
        assert (leaving.metric(ANNOUNCED) > 0) == is_asked
        workers.chosen = 1
        drawn += draw_during_the_drain(program, leaving)
        drawn += program.ids("load")
        deadline = time.monotonic() + WAIT_SECONDS
        while staying.metric(OPENED) < CONNECTIONS:  # a busy machine may run so few at once that a pool needs no more
            assert time.monotonic() < deadline
            drawn += program.ids("load")
        program.step("close")
    assert ("connections that were asked to leave have moved" in leaving.log) == is_asked
    assert len(drawn) == len(set(drawn))
    for worker_id in (0, 1):
        assert not has_gaps(each for each in drawn if Layout().decompose(each).worker_id == worker_id), "an ID was lost"


def draw_during_the_drain(program: Program, server: RunningServer) -> list[int]:
    drawn: list[int] = []
    server.process.send_signal(signal.SIGTERM)
    while server.process.poll() is None:
        drawn += program.ids("load")
    return drawn


@pytest.mark.parametrize("workers", [True], indirect=True, ids=["TLS and password"])
def test_go_redis_does_not_use_connections_that_were_closed_while_idle(workers: Workers) -> None:
    """Over TLS it does not notice that. They are closed a while after their last use, when it no longer uses them."""
    leaving, _ = workers.servers
    driver = mover("go-redis-9")
    with proxy(choose=workers.choose) as port, driver.start(**workers.client_options, port=str(port)) as program:
        program.step("connect")
        program.ids("pool")
        program.ids("pipeline")
        workers.chosen = 1
        assert leaving.stop() == 0
        for step in ("transaction", "pipeline", "incr"):
            assert program.ids(step)
        program.step("close")


@pytest.mark.parametrize("workers", [False], indirect=True, ids=["plain"])
@pytest.mark.parametrize("name", ["redis-py", "go-redis-9", "node-redis-6"])
def test_worker_that_is_killed_in_the_middle_of_a_move_repeats_no_id(name: str, workers: Workers) -> None:
    leaving, staying = workers.servers
    drawn: list[int] = []
    with proxy(choose=workers.choose) as port, mover(name).start(host="127.0.0.1", port=str(port)) as program:
        program.step("connect")
        drawn += program.ids("load")
        workers.chosen = 1
        leaving.process.send_signal(signal.SIGTERM)
        while leaving.metric(ANNOUNCED) < 1:
            drawn += program.ids("load")
        leaving.process.kill()
        leaving.wait()
        deadline = time.monotonic() + WAIT_SECONDS
        while staying.metric(OPENED) < CONNECTIONS:  # a busy machine may run so few at once that a pool needs no more
            assert time.monotonic() < deadline
            with contextlib.suppress(StepError):  # requests that were on their way may fail
                drawn += program.ids("load")
        drawn += program.ids("load")
        program.step("close")
    assert len(drawn) == len(set(drawn))


@pytest.mark.parametrize(("name", "options"), [("go-redis-9", {}), ("redis-py", {"protocol": "2"})])
def test_proxy_that_speaks_only_resp2_lets_connections_move(
    start_server: StartServer, name: str, options: dict[str, str]
) -> None:
    """The driver cannot be asked, so its connections are closed between two requests. redis-py has to be told.

    go-redis looks whether a connection is closed before it sends, which the proxy may not know yet.
    """
    server = start_server("--max-connection-age", "1")
    unnoticed = contextlib.suppress(StepError) if name == "go-redis-9" else contextlib.nullcontext()
    with (
        proxy(server.port, knows_hello=False) as port,
        mover(name).start(host="127.0.0.1", port=str(port), **options) as program,
    ):
        program.step("connect")
        deadline = time.monotonic() + WAIT_SECONDS
        drawn: list[int] = []
        while server.metric(CLOSED) < LEAST_MOVES:
            assert time.monotonic() < deadline
            with unnoticed:
                drawn += program.ids("load")
        program.step("close")
    assert server.metric(ANNOUNCED) == 0
    assert len(drawn) == len(set(drawn))


def mover(name: str) -> Driver:
    (driver,) = (driver for driver in MOVERS if driver.name == name)
    return driver


def test_node_redis_with_defaults_is_left_alone(start_server: StartServer) -> None:
    """It asks for messages, but a message without an endpoint would end its process."""
    driver = mover("node-redis-6")
    server = start_server("--max-connection-age", "0.5")
    with driver.start(host="127.0.0.1", port=str(server.port)) as program:
        program.step("connect")
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            program.ids("incr")
        assert server.metric('id_generator_commands_total{command="client|maint_notifications"}') == 1
        assert (server.metric(ANNOUNCED), server.metric(OPENED)) == (0, 1)
        program.step("close")
