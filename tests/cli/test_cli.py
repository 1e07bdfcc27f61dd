"""The command line: what it reads, what it refuses, and that every error is one line."""

import http.server
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import click
import pytest

import respid
from respid.cli.main import respid as commands
from respid.worker.config import Config
from tests.support.byte_streams import request
from tests.support.command_line import Outcome, clean_environment, run_command_line
from tests.support.raw_client import exchange
from tests.support.running import RunningServer, StartServer, free_port, wait_until

AN_ID = "379216510486319104"
SERVE = ["serve", "--worker-id", "1", "--max-clients", "100"]


def run_process(*arguments: str, code: str = "", **variables: str) -> Outcome:
    """Runs `respid`, or with it this Python code, in a process of its own."""
    command = [sys.executable, *(["-c", code] if code else ["-m", "respid"]), *arguments]
    environment = clean_environment() | variables
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    return Outcome(ended.returncode, ended.stdout, ended.stderr, None)


def the_line(text: str) -> str:
    """The only line of a text."""
    (line,) = text.splitlines()
    return line


def answers(port: int) -> bool:
    try:
        return exchange(port, request("PING")) == b"+PONG\r\n"
    except OSError:
        return False


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_it_tells_its_version_as_a_module_and_as_a_command() -> None:
    for outcome in (run_process("--version"), run_command_line("--version")):
        assert outcome == (0, f"respid, version {respid.__version__}\n", "", None)


@pytest.mark.parametrize("command", ["serve", "decode", "healthcheck", "check"])
def test_help_shows_each_settings_variable_default_and_unit(command: str) -> None:
    outcome = run_command_line(command, "--help", variables={"COLUMNS": "300"})
    shown = " ".join(outcome.stdout.split())
    assert outcome.exit_code == 0
    for option in commands.commands[command].params:
        if isinstance(option, click.Option) and not option.is_flag:
            help_text = shown.split(f" {option.opts[0]} ")[1].split(" --")[0]
            assert option.envvar is None or f"[env var: {option.envvar}" in help_text
            assert "default: " in help_text
            assert isinstance(option.type, click.types.FloatParamType) == ("Seconds" in help_text)


@pytest.mark.parametrize("arguments", [[], ["serve"]])
def test_plain_settings_mean_serve(arguments: list[str]) -> None:
    config = run_command_line(*arguments, "--worker-id", "3", "--port", "7000").config
    assert config is not None
    assert (config.worker_id, config.port) == (3, 7000)


def test_without_any_argument_it_serves_as_its_variables_say() -> None:
    variables = {
        "WORKER_ID": "3",
        "RESPID_PORT": "7000",
        "RESPID_LAYOUT": "41/4/8",
        "RESPID_EPOCH": "2025-01-01",
        "RESPID_DRAIN_DELAY": "1.5",
        "RESPID_STATE_DIR": "/state",
        "RESPID_PASSWORD": "secret",
        "RESPID_HTTP_PORT": "",
    }
    config = run_command_line(variables=variables).config
    assert config is not None
    assert (config.worker_id, config.port, config.http_port, config.password) == (3, 7000, 8080, "secret")
    assert config.layout.fingerprint == "41/4/8@1735689600000"
    assert (config.drain_delay_seconds, config.state_dir) == (1.5, Path("/state"))


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        ("--worker-id 1024", {}, "1024 (from --worker-id) is not 0 to 1023"),
        ("--worker-id abc", {}, "'abc' (from --worker-id) is not a number"),
        ("--worker-id -1", {}, "'-1' (from --worker-id) is not a number"),
        ("", {"WORKER_ID": "1024"}, "1024 (from WORKER_ID) is not 0 to 1023"),
        ("", {"POD_NAME": "respid-07"}, "no worker ID: "),
        ("--worker-id 1 --layout 41/10", {}, "layout '41/10' is not of the form"),
        ("--worker-id 1 --layout 41/10/13", {}, "layout 41/10/13 has 64 bits"),
        ("--worker-id 1 --layout 30/10/12", {}, "ends within a year"),
        ("--worker-id 1 --epoch 2199-01-01", {}, "epoch 2199-01-01T00:00:00.000Z is in the future"),
        ("--worker-id 1", {"RESPID_EPOCH": "newyear"}, "epoch 'newyear' is neither"),
        ("--worker-id 1 --sequence-reset 4097", {}, "--sequence-reset 4097 is above 4096"),
        ("--worker-id 1 --port 65536", {}, "RESPID_PORT"),
        ("--worker-id 1", {"RESPID_PORT": "0"}, "--port 0 leaves no listener"),
        ("--worker-id 1 --drain-delay nan", {}, "RESPID_DRAIN_DELAY"),
        ("--worker-id 1 --max-clock-lead inf", {}, "RESPID_MAX_CLOCK_LEAD"),
        ("--worker-id 1 --max-clients 0", {}, "RESPID_MAX_CLIENTS"),
        ("--worker-id 1 --store paper", {}, "'paper' is not one of 'file', 'lease', 'none'"),
        ("--prot 7000", {}, "'--prot'"),
        ("--a\nb", {}, "'--a"),
        ("bogus", {}, "'bogus'"),
        ("decode 1 x", {}, "'x' is not an ID"),
        ("decode 1_0", {}, "'1_0' is not an ID"),
        ("decode " + "9" * 5000, {}, "'" + "9" * 64 + "' is not an ID"),
        ("decode 9223372036854775808", {}, "9223372036854775808 is not an ID"),
        ("healthcheck --timeout nan", {}, "--timeout"),
        ("healthcheck --timeout 1e300", {}, "1e300 is not a number of seconds up to 1,000,000,000"),
    ],
)
def test_wrong_use_is_refused_with_one_line_that_names_what_is_wrong(
    arguments: str, variables: dict[str, str], told: str
) -> None:
    outcome = run_command_line(*filter(None, arguments.split(" ")), variables=variables)
    assert (outcome.exit_code, outcome.config) == (2, None)
    line = the_line(outcome.stderr)
    assert line.startswith("respid: ")
    assert told in line


def test_a_worker_id_from_the_hostname_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert run_command_line(hostname="respid-7").config is not None
    assert caplog.messages == ["worker ID 7 is taken from the hostname: set --worker-id to be sure of it"]


def test_an_empty_worker_id_is_unset_and_the_pods_name_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    config = run_command_line(variables={"WORKER_ID": "", "POD_NAME": "respid-7"}).config
    assert config is not None
    assert config.worker_id == 7
    assert caplog.messages == []


def test_a_service_link_is_ignored_and_told(caplog: pytest.LogCaptureFixture) -> None:
    config = run_command_line("--worker-id", "1", variables={"RESPID_PORT": "tcp://10.96.0.7:6379"}).config
    assert config is not None
    assert config.port == 6379
    assert caplog.messages == [
        "RESPID_PORT=tcp://10.96.0.7:6379 ignored: it is a Kubernetes service link, not a setting"
    ]


def test_a_port_in_use_is_told_and_fails(taken_port: int) -> None:
    outcome = run_process(*SERVE, "--store", "none", "--http-port", str(taken_port))
    assert outcome.exit_code == 1
    line = the_line(outcome.stderr)
    assert line.startswith(f"respid: cannot listen on 127.0.0.1:{taken_port}: ")
    assert line.endswith("; choose another --http-port, or stop the process that uses it")


@pytest.mark.parametrize("option", ["--bind", "--http-bind"])
@pytest.mark.parametrize(
    "address",
    ["192.0.2.1", "fe80::1%nowhere", "a" * 64],
    ids=["of another machine", "unknown interface", "no name"],
)
def test_an_address_that_cannot_be_bound_or_resolved_is_told_with_its_option(option: str, address: str) -> None:
    ports = ["--port", str(free_port()), "--http-port", str(free_port())]
    outcome = run_process(*SERVE, *ports, "--store", "none", option, address)
    assert outcome.exit_code == 1
    line = the_line(outcome.stderr)
    assert line.startswith(f"respid: cannot listen on {address}:")
    assert line.endswith(f"; set {option} to an address of this machine")


def test_a_state_directory_that_cannot_be_used_is_told_and_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ports = ["--port", str(free_port()), "--http-port", str(free_port())]
    outcome = run_process(*SERVE, *ports, "--state-dir", str(tmp_path / "file" / "state"))
    assert outcome.exit_code == 1
    line = the_line(outcome.stderr)
    assert line.startswith("respid: cannot ")
    assert "set --state-dir" in line


def test_a_defect_is_one_line() -> None:
    def fail(_config: Config) -> None:
        raise RuntimeError("something\nunforeseen")

    outcome = run_command_line(*SERVE, serve=fail)
    assert outcome.exit_code == 1
    assert the_line(outcome.stderr).startswith("respid: RuntimeError: something unforeseen (")


@pytest.mark.parametrize("level", ["debug", "info"])
def test_only_the_log_level_debug_shows_where_a_defect_is(level: str) -> None:
    code = (
        "import respid.server as server; from respid.cli.main import main; server.serve = lambda config: config.bogus; "
    )
    code += "main()"
    outcome = run_process("--worker-id", "1", "--log-level", level, code=code)
    assert outcome.exit_code == 1
    assert outcome.stderr.splitlines()[-1].startswith("respid: AttributeError: ")
    assert ("Traceback" in outcome.stderr) == (level == "debug")
    assert len(outcome.stderr.splitlines()) == 1 or level == "debug"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_it_serves_and_stops_with_a_standard_file_closed(closed: str, tmp_path: Path) -> None:
    port = free_port()
    command = f"exec {sys.executable} -m respid serve --worker-id 1 --port {port} --http-port {free_port()}"
    with subprocess.Popen(["sh", "-c", f"{command} --state-dir {tmp_path} {closed}"]) as process:
        wait_until(lambda: answers(port))
        process.terminate()
    assert process.returncode == 0


def test_a_user_without_a_home_needs_a_state_directory_for_the_file_store_only() -> None:
    with mock.patch("platformdirs.user_state_path", side_effect=RuntimeError("no home")):
        refused = run_command_line("--worker-id", "1")
        started = run_command_line("--worker-id", "1", "--store", "none")
    assert (refused.exit_code, the_line(refused.stderr)) == (
        2,
        "respid: this user has no home directory for the state: set --state-dir",
    )
    assert started.config is not None


def test_ctrl_c_stops_it_cleanly(start_server: StartServer) -> None:
    server = start_server()
    assert server.stop(signal.SIGINT) == 0
    assert "SIGINT: draining" in server.log
    assert server.log.endswith("stopped\n")
    assert "Traceback" not in server.log


def test_decode_shows_what_ids_say_in_utc_and_local_time() -> None:
    outcome = run_process("decode", AN_ID, "1", TZ="UTC-2")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert outcome.stdout.splitlines() == [
        AN_ID,
        "  time       2026-11-12T10:31:01.602Z  (local 2026-11-12 12:31:01.602+02:00)",
        "  worker ID  1",
        "  sequence   0",
        "1",
        "  time       2024-01-01T00:00:00.000Z  (local 2024-01-01 02:00:00.000+02:00)",
        "  worker ID  0",
        "  sequence   1",
    ]


@pytest.mark.parametrize(("arguments", "stdin"), [([AN_ID, "1"], ""), ([], f"{AN_ID}\n\n 1\n"), ([], f"{AN_ID} 1")])
def test_decode_reads_its_arguments_or_else_standard_input(arguments: list[str], stdin: str) -> None:
    outcome = run_command_line("decode", "--json", *arguments, stdin=stdin)
    first, second = map(json.loads, outcome.stdout.splitlines())
    assert first == {
        "id": int(AN_ID),
        "time": "2026-11-12T10:31:01.602Z",
        "timestamp_ms": 1_794_479_461_602,
        "worker_id": 1,
        "sequence": 0,
    }
    assert second["sequence"] == 1


def test_decode_follows_the_layout_and_the_epoch() -> None:
    arguments = ["--layout", "41/4/8", "--epoch", "1000", str(5 << 12 | 3 << 8 | 7)]
    fields = json.loads(run_command_line("decode", "--json", *arguments).stdout)
    assert (fields["timestamp_ms"], fields["worker_id"], fields["sequence"]) == (1005, 3, 7)


def test_healthcheck_of_a_server_that_is_ready(server: RunningServer) -> None:
    for bind in ("127.0.0.1", "0.0.0.0"):
        outcome = run_command_line("healthcheck", "--http-bind", bind, "--http-port", str(server.http_port))
        assert outcome == (0, "ready\n", "", None)


@pytest.mark.parametrize("arguments", [["--http-bind", "a..b"], ["--http-bind", "a b"]])
def test_healthcheck_of_what_can_be_no_listener(arguments: list[str]) -> None:
    outcome = run_command_line("healthcheck", *arguments)
    assert outcome.exit_code == 1
    assert the_line(outcome.stderr).startswith("respid: no answer from ")


def test_healthcheck_of_a_port_where_nothing_listens() -> None:
    port = free_port()
    outcome = run_command_line("healthcheck", variables={"RESPID_HTTP_PORT": str(port)})
    assert outcome.exit_code == 1
    assert the_line(outcome.stderr).startswith(f"respid: no answer from 127.0.0.1:{port}: ")


def test_healthcheck_of_a_listener_that_does_not_answer(taken_port: int) -> None:
    outcome = run_command_line("healthcheck", "--http-port", str(taken_port), "--timeout", "0.05")
    assert outcome.exit_code == 1
    assert the_line(outcome.stderr).endswith(": timed out")


class _NotReady(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.end_headers()
        self.wfile.write(b'{"status": "not ready", "reason": "the first reservation is being taken"}\n')

    def log_message(self, *_arguments: object) -> None:
        pass


def test_healthcheck_of_a_server_that_is_not_ready_gives_the_reason() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _NotReady) as listener:
        thread = threading.Thread(target=listener.handle_request)
        thread.start()
        outcome = run_command_line("healthcheck", "--http-port", str(listener.server_port))
        thread.join()
    assert outcome.exit_code == 1
    line = the_line(outcome.stderr)
    assert line.startswith("respid: not ready: ")
    assert "the first reservation is being taken" in line
