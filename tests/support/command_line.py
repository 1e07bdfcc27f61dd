"""The command line: in this process, up to where it would start the server, or in a process of its own."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest import mock

import pytest

from respid.cli.main import main
from respid.worker.config import Config
from tests.support.environment import clean_environment
from tests.support.running import WAIT_SECONDS

TOO_SHORT = ("the check was too short", "returned no ID, so none of its IDs were verified")
PATIENCE = (  # how long `respid check` and `respid status` wait for workers
    "respid.check.client_connection.CONNECT_SECONDS",
    "respid.check.client_connection.REPLY_SECONDS",
    "respid.fleet.rounds.ANSWER_SECONDS",
)
PATIENT = f"""
from unittest.mock import patch
for name in {PATIENCE}:
    patch(name, {WAIT_SECONDS}).start()
from respid.cli.main import main
main()
"""


class Outcome(NamedTuple):
    """The result of a run of the command line. `config` is None if it would not have started a server."""

    exit_code: int
    stdout: str
    stderr: str
    config: Config | None

    @property
    def error_line(self) -> str:
        """The only line on standard error."""
        (line,) = self.stderr.splitlines()
        return line


def run_command_line(
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    stdin: str = "",
    hostname: str = "host",
    serve: Callable[[Config], None] | None = None,
) -> Outcome:
    """Runs `respid` in this process; `serve` replaces the server."""
    started: list[Config] = []
    stdout, stderr = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, clean_environment() | dict(variables or {}), clear=True))
        stack.enter_context(mock.patch("socket.gethostname", return_value=hostname))
        stack.enter_context(mock.patch("respid.server.serve", serve or started.append))
        stack.enter_context(mock.patch("respid.cli.log.set_up_log"))
        stack.enter_context(mock.patch("signal.signal"))  # Ctrl-C still stops the tests
        stack.enter_context(mock.patch.object(sys, "argv", ["respid", *arguments]))
        stack.enter_context(mock.patch.object(sys, "stdin", io.StringIO(stdin)))
        stack.enter_context(redirect_stdout(stdout))
        stack.enter_context(redirect_stderr(stderr))
        ended = stack.enter_context(pytest.raises(SystemExit))
        main()
    assert isinstance(ended.value.code, int)
    return Outcome(ended.value.code, stdout.getvalue(), stderr.getvalue(), started[0] if started else None)


def run_check(*arguments: str, seconds: float, variables: Mapping[str, str] | None = None) -> Outcome:
    """Runs `respid check`. On a slow machine a worker may return no ID meanwhile: then again, for twice as long."""
    outcome = run_command_line("check", "--seconds", str(seconds), *arguments, variables=variables)
    if not any(words in outcome.stdout + outcome.stderr for words in TOO_SHORT):
        return outcome
    return run_check(*arguments, seconds=2 * seconds, variables=variables)


def patient_command(*arguments: str) -> list[str]:
    """The command that runs `respid` in a process which waits for workers as long as these tests do."""
    return [sys.executable, "-c", PATIENT, *arguments]


def run_process(*arguments: str, code: str = "", **variables: str) -> Outcome:
    """Runs `respid`, or this Python code, in a process of its own."""
    command = [sys.executable, *(["-c", code] if code else ["-m", "respid"]), *arguments]
    environment = clean_environment() | variables
    ended = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False, env=environment)
    return Outcome(ended.returncode, ended.stdout, ended.stderr, None)
