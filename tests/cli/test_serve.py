"""`respid serve`: which settings it reads, and which it refuses."""

import socket
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

import respid
from benchmarks.ports import free_port
from tests.support.command_line import run_command_line, run_process
from tests.support.running import StartServer

SERVE = ["serve", "--worker-id", "1", "--max-clients", "100"]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def free_ports() -> list[str]:
    return ["--port", str(free_port()), "--http-port", str(free_port())]


def test_reads_environment_variables() -> None:
    variables = {
        "RESPID_WORKER_ID": "3",
        "RESPID_PORT": "7000",
        "RESPID_LAYOUT": "41/4/8",
        "RESPID_EPOCH": "2025-01-01",
        "RESPID_DRAIN_DELAY": "1.5",
        "RESPID_STATE_DIR": "/state",
        "RESPID_PASSWORD": "secret",
    }
    config = run_command_line(variables=variables).config
    assert config is not None
    assert (config.worker_id, config.port, config.http_port, config.password) == (3, 7000, 8080, "secret")
    assert config.layout.fingerprint == "41/4/8@1735689600000"
    assert (config.drain_delay_seconds, config.state_dir) == (1.5, Path("/state"))


@pytest.mark.parametrize(
    ("arguments", "variables", "reason"),
    [
        ("--worker-id 1024", {}, "1024 (from --worker-id) is not between 0 and 1023"),
        ("", {"POD_NAME": "respid-07"}, "no worker ID: "),
        ("--worker-id 1 --layout 41/10", {}, "layout '41/10' is not of the form"),
        ("--worker-id 1 --layout 41/10/13", {}, "layout 41/10/13 has 64 bits"),
        ("--worker-id 1 --layout 30/10/12", {}, "ends within a year"),
        ("--worker-id 1 --epoch 2199-01-01", {}, "epoch 2199-01-01T00:00:00.000Z is in the future"),
        ("--worker-id 1", {"RESPID_EPOCH": "newyear"}, "epoch 'newyear' is neither"),
        (
            "--worker-id 1 --epoch 2100-01-01",
            {},
            f"the latest that this release takes is {respid.BUILD_DATE}T00:00:00.000Z",
        ),
        ("--worker-id 1 --epoch 2024", {}, "epoch 2024 would be 1970-01-01T00:00:02.024Z: write a date, such as"),
        ("--worker-id 1", {"RESPID_EPOCH": "20240101"}, "epoch 20240101 would be 1970-01-01"),
        ("--worker-id 1 --epoch 1704067200", {}, "epoch 1704067200 would be 1970-01-20"),
        ("--worker-id 1 --epoch \u00b2", {}, "is neither Unix milliseconds nor an ISO 8601 time"),
        (f"--worker-id 1 --epoch {'9' * 5000}", {}, "is neither Unix milliseconds nor an ISO 8601 time"),
        ("--worker-id 1 --start-above -1", {}, "RESPID_START_ABOVE"),
        ("--worker-id 1 --start-above 9223372036854775808", {}, "RESPID_START_ABOVE"),
        ("--worker-id 1 --start-above 9223372036854775807", {}, "no ID of layout 41/10/12 is greater than 92233720"),
        ("--worker-id 1 --layout 41/4/8 --start-above 9007199254740992", {}, "no ID of layout 41/4/8 is greater"),
        ("--worker-id 1 --reserve 301", {}, "--reserve 301 is more than half of --max-clock-lead 600"),
        ("--worker-id 1 --store lease --max-clock-lead 500", {}, "--reserve 300 is more than half of"),
        ("--worker-id 1 --sequence-reset 1025", {}, "--sequence-reset 1025 is above 1024"),
        ("--worker-id 1 --store lease --reserve 301", {}, "--reserve 301 is more than half of --max-clock-lead 600"),
        ("--worker-id 1", {"RESPID_PASSWORD": " \t"}, "RESPID_PASSWORD contains nothing but white space"),
        ("--worker-id 1", {"RESPID_PASSWORD": "secret\n"}, "RESPID_PASSWORD contains a line break: remove it"),
        ("--worker-id 1", {"RESPID_PASSWORD": "secret\r"}, "RESPID_PASSWORD contains a line break: remove it"),
        ("--worker-id 1 --username ord\udcff", {}, "--username 'ord\\udcff' contains white space, or characters"),
        ("--worker-id 1", {"RESPID_USERNAME": "a b"}, "--username 'a b' contains white space"),
        ("--worker-id 1 --username a\x1b]0;b\x07", {}, "--username 'a\\x1b]0;b\\x07' contains white space"),
        ("--worker-id 1", {"RESPID_PORT": "0"}, "--port 0 leaves no listener"),
        ("--worker-id 1 --reuse-port --store none", {}, "--reuse-port needs a store"),
        ("--worker-id 1 --port 8080", {}, "--port and --http-port are both 8080: choose another port for one of them"),
        ("--worker-id 1 --port 8080 --bind *", {}, "--port and --http-port are both 8080"),
        ("--worker-id 1 --http-port 1 --tls-port 1", {}, "--tls-port and --http-port are both 1"),
        ("--worker-id 1 --reuse-port --tls-port 6379", {}, "--port and --tls-port are both 6379"),
        (
            "--worker-id 1 --state-dir=",
            {},
            "Invalid value for '--state-dir' (env var: 'RESPID_STATE_DIR'): the path is empty",
        ),
        ("--worker-id 1 --unix-socket=", {}, "the path is empty"),
    ],
)
def test_refuses_settings_that_conflict(arguments: str, variables: dict[str, str], reason: str) -> None:
    outcome = run_command_line(*arguments.split(), variables=variables)
    assert (outcome.exit_code, outcome.config) == (2, None)
    assert outcome.error_line.startswith("respid: ")
    assert reason in outcome.error_line


@pytest.mark.parametrize(
    "arguments", ["--port 8080 --bind 127.0.0.2", "--port 0 --unix-socket s", "--epoch 0", "--epoch 100000000000"]
)
def test_takes_settings_that_only_look_alike(arguments: str) -> None:
    assert run_command_line("--worker-id", "1", *arguments.split()).config is not None


def test_state_directory_is_absolute() -> None:
    config = run_command_line("--worker-id", "1", "--state-dir", "state").config
    assert config is not None
    assert config.state_dir == Path.cwd() / "state"


def test_refuses_a_state_directory_in_a_removed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    outcome = run_command_line("--worker-id", "1", "--state-dir", "state")
    assert (outcome.exit_code, outcome.config) == (2, None)
    assert outcome.error_line == "respid: --state-dir state is in the current directory, which was removed"


def test_warns_if_the_hostname_gives_the_worker_id(caplog: pytest.LogCaptureFixture) -> None:
    assert run_command_line(hostname="respid-7").config is not None
    (record,) = caplog.records
    assert vars(record)["event"] == "worker_id_from_hostname"
    assert "worker ID 7 " in record.getMessage()


@pytest.mark.parametrize("option", ["--port", "--http-port"])
def test_fails_if_a_port_is_in_use(taken_port: int, option: str) -> None:
    outcome = run_process(*SERVE, *free_ports(), "--store", "none", option, str(taken_port))
    assert outcome.exit_code == 1
    assert outcome.error_line.startswith(f"respid: cannot listen on 127.0.0.1:{taken_port}: ")
    assert f"; choose another {option}" in outcome.error_line


def test_names_both_ports_that_are_in_use(taken_port: int) -> None:
    ports = ("--port", str(taken_port), "--http-bind", "localhost", "--http-port", str(taken_port))
    outcome = run_process(*SERVE, "--store", "none", *ports)
    assert outcome.exit_code == 1
    assert outcome.error_line == (
        f"respid: cannot listen on 127.0.0.1:{taken_port}: Address already in use; choose another --port, or stop the"
        f" process that uses it; cannot listen on localhost:{taken_port}: Address already in use; choose another"
        " --http-port, or stop the process that uses it"
    )


@pytest.mark.parametrize("option", ["--bind", "--http-bind"])
@pytest.mark.parametrize(
    ("address", "shown"),
    [("192.0.2.1", "192.0.2.1"), ("fe80::1%nowhere", "[fe80::1%nowhere]"), ("a" * 64, "a" * 64)],
    ids=["of another machine", "unknown interface", "no name"],
)
def test_fails_if_an_address_cannot_be_bound(option: str, address: str, shown: str) -> None:
    outcome = run_process(*SERVE, *free_ports(), "--store", "none", option, address)
    assert outcome.exit_code == 1
    assert outcome.error_line.startswith(f"respid: cannot listen on {shown}:")
    assert f"set {option} to" in outcome.error_line


def test_fails_if_the_state_directory_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = run_process(*SERVE, *free_ports(), "--state-dir", str(tmp_path / "file" / "state"))
    assert outcome.exit_code == 1
    assert outcome.error_line.startswith("respid: cannot ")
    assert "set --state-dir" in outcome.error_line


def test_needs_a_state_directory_without_a_home() -> None:
    with mock.patch("platformdirs.user_state_path", side_effect=RuntimeError("no home")):
        refused = run_command_line("--worker-id", "1")
        started = run_command_line("--worker-id", "1", "--store", "none")
    assert refused.exit_code == 2
    assert refused.error_line.endswith("no home directory to keep the state in: set --state-dir")
    assert started.config is not None


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_runs_with_a_standard_file_closed(start_server: StartServer, closed: str) -> None:
    server = start_server(prefix=("sh", "-c", f'exec "$@" {closed}', "sh"))
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "reserve_ms"),
    [
        ("", 10_000),
        ("--max-clock-lead 8", 4000),
        ("--max-clock-lead 0", 1000),
        ("--reserve 60", 60_000),
        ("--store lease", 300_000),
        ("--store lease --reserve 20 --max-clock-lead 40", 20_000),
    ],
)
def test_reserve_depends_on_store(arguments: str, reserve_ms: int) -> None:
    config = run_command_line("--worker-id", "1", *arguments.split()).config
    assert config is not None
    assert config.reserve_ms == reserve_ms


def test_shared_port_needs_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    outcome = run_command_line("--worker-id", "1", "--reuse-port", "--state-dir", "/state")
    assert (outcome.exit_code, outcome.config) == (2, None)
    assert outcome.error_line.startswith("respid: --reuse-port needs Linux")
