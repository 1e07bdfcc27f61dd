"""The entry point: exit codes, Ctrl-C, and how a failure is reported."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import respid
from benchmarks.ports import free_port
from respid.worker.config import Config
from tests.support.command_line import Outcome, run_command_line, run_process
from tests.support.documents import REFERENCE, code_blocks
from tests.support.environment import clean_environment
from tests.support.needed_tools import need_tool
from tests.support.running import WAIT_SECONDS, StartServer

RUN = "\nfrom respid.cli.main import main\nmain()"
DEFECT = "import respid.server\nrespid.server.serve = lambda config: config.bogus" + RUN
DEFECT_IN_KEEPER = """
from respid.highwater.keeper import Keeper
async def fail(self):
    raise KeyError("planted")
Keeper._extend_if_due = fail
"""
INTERRUPT_IMPORT = """
import signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise RuntimeError("as class statements do with any exception")
sys.meta_path.insert(0, Finder())
"""


def serve_arguments(*arguments: str) -> list[str]:
    ports = ["--port", str(free_port()), "--http-port", str(free_port())]
    return ["serve", "--worker-id", "1", "--store", "none", "--max-clients", "100", *ports, *arguments]


def json_lines(outcome: Outcome) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outcome.stderr.splitlines()]


def test_prints_the_version() -> None:
    for outcome in (run_process("--version"), run_command_line("--version")):
        assert outcome == (0, f"respid, version {respid.__version__}\n", "", None)


@pytest.mark.parametrize("arguments", [[], ["serve"]])
def test_serve_is_the_default_command(arguments: list[str]) -> None:
    config = run_command_line(*arguments, "--worker-id", "3", "--port", "7000").config
    assert config is not None
    assert (config.worker_id, config.port) == (3, 7000)


def test_serves_without_arguments() -> None:
    assert run_command_line(variables={"WORKER_ID": "3"}).config is not None


def test_help_shows_whole_sentences() -> None:
    assert "..." not in run_command_line("--help").stdout.partition("Commands:")[2]


def test_refuses_an_unknown_command() -> None:
    outcome = run_command_line("bogus")
    assert outcome.exit_code == 2
    assert "'bogus'" in outcome.error_line


def test_internal_error_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_config: Config) -> None:
        raise RuntimeError("something\nunforeseen")

    outcome = run_command_line(*serve_arguments(), serve=fail)
    assert outcome.exit_code == 1
    assert outcome.error_line == "respid: internal error (please report it): RuntimeError: something unforeseen"
    (record,) = caplog.records
    assert record.exc_info is not None


@pytest.mark.parametrize("level", ["debug", "error"])
def test_internal_error_shows_traceback(level: str) -> None:
    outcome = run_process(*serve_arguments("--log-level", level), code=DEFECT)
    *traceback, last = outcome.stderr.splitlines()
    assert outcome.exit_code == 1
    assert last.startswith("respid: internal error (please report it): AttributeError: ")
    assert sum("Traceback" in line for line in traceback) == 1


def test_internal_error_is_one_json_line() -> None:
    outcome = run_process(*serve_arguments("--log-format", "json", "--log-level", "error"), code=DEFECT)
    (line,) = json_lines(outcome)
    assert outcome.exit_code == 1
    assert (line["level"], line["event"], line["worker_id"]) == ("error", "internal_error", 1)
    assert line["message"].startswith("internal error (please report it): AttributeError: ")
    assert "<lambda>" in line["exception"]


def test_other_command_error_shows_traceback() -> None:
    code = "import respid.cli.decode as decode\ndecode._parse_id = lambda word: word.bogus" + RUN
    outcome = run_process("decode", "1", code=code)
    assert outcome.exit_code == 1
    assert "Traceback" in outcome.stderr
    assert outcome.stderr.splitlines()[-1].startswith("respid: internal error (please report it): AttributeError: ")


def test_keeper_error_stops_server() -> None:
    outcome = run_process(*serve_arguments("--log-format", "json"), code=DEFECT_IN_KEEPER + RUN)
    failures = [line for line in json_lines(outcome) if "exception" in line]
    assert outcome.exit_code == 1
    assert [line["event"] for line in failures] == ["internal_error"]
    assert "in fail" in failures[0]["exception"]
    assert failures[0]["message"].endswith("KeyError: 'planted'")


def test_port_in_use_is_one_json_line(start_server: StartServer) -> None:
    port = start_server().port
    outcome = run_process(*serve_arguments("--log-format", "json", "--port", str(port)))
    (line,) = json_lines(outcome)
    assert outcome.exit_code == 1
    assert (line["level"], line["event"], line["worker_id"]) == ("error", "fatal", 1)
    assert line["message"].startswith(f"cannot listen on 127.0.0.1:{port}: ")


def test_worker_id_in_use_is_one_json_line(start_server: StartServer, tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path))
    holder = start_server(*state)
    outcome = run_process(*serve_arguments("--log-format", "json", "--store", "file", *state))
    assert outcome.exit_code == 1
    assert [line["event"] for line in json_lines(outcome)][-1] == "fatal"
    assert f"worker ID 1 is in use by pid {holder.process.pid}" in json_lines(outcome)[-1]["message"]


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["--worker-id", "5000"], {}, "worker ID 5000 (from --worker-id) is not between 0 and 1023"),
        (["--port", "0"], {}, "--port 0 leaves no listener"),
        ([], {"RESPID_PROT": "1"}, "unknown environment variable RESPID_PROT"),
        ([], {"RESPID_MAX_CLIENTS": "many"}, "Invalid value for '--max-clients'"),
        (["--bogus"], {}, "No such option '--bogus'"),
        (["--bogus", "--port", "--"], {}, "No such option '--bogus'"),
    ],
)
@pytest.mark.parametrize("place", ["option", "variable"])
def test_wrong_setting_is_one_json_line(
    arguments: list[str], variables: dict[str, str], message: str, place: str
) -> None:
    log_format = (["--log-format", "json"], {}) if place == "option" else ([], {"RESPID_LOG_FORMAT": "json"})
    outcome = run_process("serve", "--worker-id", "1", *arguments, *log_format[0], **variables, **log_format[1])
    (line,) = json_lines(outcome)
    assert outcome.exit_code == 2
    assert (line["level"], line["event"]) == ("error", "fatal")
    assert line["message"].startswith(message)


def test_option_without_value_is_one_json_line() -> None:
    (line,) = json_lines(run_process("serve", "--log-format", "json", "--port"))
    assert (line["event"], line["message"]) == ("fatal", "Option '--port' requires an argument.")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a device of Linux")
@pytest.mark.parametrize("arguments", [["decode", "1"], ["--help"], ["--version"]])
def test_full_disk_is_no_defect(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "respid", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
            env=clean_environment(),
        )
    assert ended.returncode == 1
    assert ended.stderr == "respid: cannot write to standard output: No space left on device\n"


def test_ctrl_c_stops_the_server(start_server: StartServer) -> None:
    server = start_server()
    assert server.stop(signal.SIGINT) == 0
    assert "SIGINT: draining" in server.log
    assert server.log.endswith("stopped after 0 IDs\n")


@pytest.mark.parametrize("module", ["click", "respid.cli.group", "respid.worker.config", "respid.server", "uvloop"])
def test_ctrl_c_during_imports_prints_no_traceback(module: str) -> None:
    code = INTERRUPT_IMPORT.format(module=module) + RUN
    outcome = run_process(*serve_arguments(), code=code)
    assert outcome.exit_code == 130
    assert outcome.stderr.strip() == ""


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    """Runs the documented line in bash, and then what bash calls when somebody presses Tab."""
    (line,) = code_blocks("bash", REFERENCE)
    ask = "COMP_WORDS=(respid serve --state-dir-e); COMP_CWORD=2; _respid_completion respid; echo ${COMPREPLY[@]}"
    (tmp_path / "respid").write_text(f'#!/bin/sh\nexec {sys.executable} -m respid "$@"\n')
    (tmp_path / "respid").chmod(0o755)
    completed = subprocess.run(
        [need_tool("bash"), "-c", line + ask],
        env=clean_environment() | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout == "--state-dir-exclusive\n"
