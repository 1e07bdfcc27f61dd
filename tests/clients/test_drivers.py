"""Runs each driver as an application would: each step of README.md, with each way to connect."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.clients.drivers import Driver, NoAnswerError, Program, StepError, all_drivers
from tests.support.certificates import CertificateFiles
from tests.support.raw_client import are_rising
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until

pytestmark = pytest.mark.timeout(1_800)  # a driver's packages may have to be fetched and built first
DRIVERS = all_drivers()
PASSWORD = "correct horse"
GetServer = Callable[[str], tuple[RunningServer, dict[str, str]]]
AGEING_SECONDS = 3  # several times the age of connections that are not closed, and the second between two looks at it


@pytest.fixture(scope="session")
def locked_server(start_session_server: StartServer) -> RunningServer:
    """A server with a password."""
    return start_session_server(RESPID_PASSWORD=PASSWORD)


@pytest.fixture(scope="session")
def tls(
    start_session_server: StartServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunningServer, dict[str, str]]:
    """A server with TLS and a user name and password, and the options of its clients."""
    directory, port = tmp_path_factory.mktemp("tls"), free_port()
    files = CertificateFiles(directory)
    passwords = directory / "passwords"
    passwords.write_text(f"former\n{PASSWORD}\n")
    credentials = ["--password-file", str(passwords), "--username", "orders"]
    server = start_session_server(*files.options(port), *credentials)
    where = {"host": "localhost", "port": str(port), "ca_file": str(files.ca_file)}
    return server, where | {"username": "orders", "password": PASSWORD}


@pytest.fixture
def get_server(request: pytest.FixtureRequest) -> GetServer:
    """Returns the server of a case and the options of its clients."""

    def get(case: str) -> tuple[RunningServer, dict[str, str]]:
        if case == "TLS":
            served: tuple[RunningServer, dict[str, str]] = request.getfixturevalue("tls")
            return served
        name, options = {
            "default": ("server", {}),
            "RESP2": ("server", {"protocol": "2"}),
            "RESP3": ("server", {"protocol": "3"}),
            "password": ("locked_server", {"password": PASSWORD}),
        }[case]
        server: RunningServer = request.getfixturevalue(name)
        return server, {"host": "127.0.0.1", "port": str(server.port)} | options

    return get


def in_all_cases() -> list[object]:
    """Returns each driver with each way to connect that it supports."""
    return [
        pytest.param(driver, case, id=f"{driver.name}-{case}")
        for driver in DRIVERS
        for case in ("default", "password", "TLS", "RESP2", "RESP3")
        if not (case.startswith("RESP") and int(case[-1]) not in driver.protocols)
        if not (case == "TLS" and not driver.tls)
    ]


each_driver = pytest.mark.parametrize("driver", [pytest.param(driver, id=driver.name) for driver in DRIVERS])


@pytest.mark.parametrize(("driver", "case"), in_all_cases())
def test_driver_draws_ids(driver: Driver, case: str, get_server: GetServer) -> None:
    server, options = get_server(case)
    connections, complaints = server.metric("id_generator_connections"), complaints_of(server)
    with driver.start(**options) as program:
        program.step("connect")
        assert program.step("ping") == ["PONG"]
        draw_in_every_way(driver, program)
        program.step("close")
        wait_until(lambda: server.metric("id_generator_connections") == connections)
    assert complaints_of(server) == complaints


def complaints_of(server: RunningServer) -> list[str]:
    """Returns the unexpected lines of the server's log; the machine causes steps of the wall clock."""
    return [line for line in server.log.splitlines() if " info " not in line and "the wall clock" not in line]


def draw_in_every_way(driver: Driver, program: Program) -> None:
    ids = program.ids("incr") + program.ids("incr")
    (last,) = program.ids("block")
    assert ids[-1] < last - 99, "the whole block lies above what was drawn before"
    ids += [last]
    ids += program.ids("string")
    ids += expect(1_000, program.ids("pipeline"))
    if driver.transactions:
        ids += expect(10, program.ids("transaction"))
    pooled = expect(1_000, program.ids("pool"))
    assert max(ids) < min(pooled)
    assert max(pooled) < program.ids("incr")[0]
    assert are_rising(ids)
    assert len(set(pooled)) == 1_000
    assert all(each > 1 << 53 and each >> 12 & 1023 == 1 for each in ids + pooled), "exact, with the worker's ID"


def expect(count: int, ids: list[int]) -> list[int]:
    assert len(ids) == count
    return ids


@pytest.mark.parametrize("driver", [pytest.param(each, id=each.name) for each in DRIVERS if not each.exact])
def test_driver_of_doubles_loses_the_last_bits(driver: Driver, get_server: GetServer) -> None:
    _, options = get_server("default")
    with driver.start(**options) as program:
        program.step("connect")
        rounded = [program.ids("default_incr")[0] for _ in range(3)]
        exact = [program.ids("incr")[0] for _ in range(3)]
        program.step("close")
    # From 2^58 on a double is a multiple of 64. Three IDs that are, with random sequences, are improbable.
    assert all(each % 64 == 0 for each in rounded) or len({float(each) for each in rounded}) < 3
    assert any(each % 64 for each in exact)


@each_driver
def test_driver_draws_after_being_idle(driver: Driver, get_server: GetServer) -> None:
    server, options = get_server("default")
    before = server.metric('id_generator_commands_total{command="ping"}')
    with driver.start(**options) as program:
        program.step("connect")
        assert are_rising(expect(2, program.ids("idle")))
        program.step("close")
    if driver.health_check:
        assert server.metric('id_generator_commands_total{command="ping"}') > before


@each_driver
def test_driver_reconnects_after_a_restart(driver: Driver, start_server: StartServer) -> None:
    first = start_server()
    with driver.start(host="127.0.0.1", port=str(first.port)) as program:
        program.step("connect")
        (before,) = program.ids("incr")
        complaints = complaints_of(first)
        first.stop()
        assert complaints_of(first) == complaints
        state: Path = first.log_path.parent / "state"
        second = start_server("--state-dir", str(state), port=first.port)
        after, errors = draw_again(program, connect=driver.restart == "reconnect")
        assert after > before
        if driver.restart != "error":  # such a driver can also reconnect in the background before the first INCR
            assert (errors == 0) == (driver.restart == "silent")
        program.step("close")
    assert second.stop() == 0


@pytest.fixture(scope="module")
def young_server(start_module_server: StartServer) -> RunningServer:
    return start_module_server("--max-connection-age", "0.5")


@pytest.fixture(scope="module")
def old_server(start_module_server: StartServer) -> RunningServer:
    """Its connections get older than drivers need to open one on a busy machine."""
    return start_module_server("--max-connection-age", "3")


@pytest.fixture
def ageing_server(driver: Driver, request: pytest.FixtureRequest) -> RunningServer:
    server: RunningServer = request.getfixturevalue("old_server" if driver.ages else "young_server")
    return server


@each_driver
def test_driver_does_not_notice_closed_old_connections(driver: Driver, ageing_server: RunningServer) -> None:
    """By default only connections of drivers that reconnect silently are closed, and only between requests."""
    wait_until(lambda: ageing_server.metric("id_generator_connections") == 0)  # those of the driver before
    before = closed_for_age(ageing_server)
    drawn: list[int] = []
    with driver.start(host="127.0.0.1", port=str(ageing_server.port)) as program:
        program.step("connect")
        ends = time.monotonic() + (WAIT_SECONDS if driver.ages else AGEING_SECONDS)
        while time.monotonic() < ends and closed_for_age(ageing_server) < before + 2:
            drawn += program.ids("incr")
        drawn += program.ids("incr")
        program.step("close")
    assert are_rising(drawn)
    closed = closed_for_age(ageing_server) - before
    assert closed >= 2 if driver.ages else closed == 0


def closed_for_age(server: RunningServer) -> float:
    """Connections that were closed, or whose clients were asked to move: both are counted at once."""
    closed = server.metric('id_generator_connections_closed_total{reason="max_age"}')
    return closed + server.metric('id_generator_moves_total{event="announced"}')


def draw_again(program: Program, *, connect: bool) -> tuple[int, int]:
    """Returns the next ID and the number of errors before it. With `connect` it creates a new client after each."""
    deadline = time.monotonic() + WAIT_SECONDS
    errors = 0
    while True:
        try:
            return program.ids("incr")[0], errors
        except StepError:
            assert time.monotonic() < deadline
            errors += 1
            time.sleep(0.1)
            if connect:
                with contextlib.suppress(StepError):
                    program.step("connect")


@each_driver
def test_driver_raises_loading_errors(driver: Driver, loading_server: RunningServer) -> None:
    wait_until(lambda: loading_server.metric("id_generator_reservation_failures_total") > 0)
    with driver.start(host="127.0.0.1", port=str(loading_server.port)) as program:
        program.step("connect")
        if driver.loading == "waits":
            with pytest.raises(NoAnswerError):
                program.step("incr", seconds=2)
            return
        assert program.step("ping") == ["PONG"]
        before = refusals(loading_server)
        with pytest.raises(StepError, match=r"(?i)loading"):
            program.ids("incr")
        assert (refusals(loading_server) - before > 1) == (driver.loading == "retries")
        program.step("close")


def refusals(server: RunningServer) -> float:
    try:
        return server.metric('id_generator_errors_total{kind="LOADING"}')
    except KeyError:
        return 0
