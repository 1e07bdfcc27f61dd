"""Runs the command line in this process, with a stand-in for the server."""

import io
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest import mock

import pytest

from respid.cli.main import main
from respid.worker.config import Config
from tests.support.environment import clean_environment


class Outcome(NamedTuple):
    """The result of a run; `config` is None when no server was started."""

    exit_code: int
    stdout: str
    stderr: str
    config: Config | None


def run_command_line(
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    stdin: str = "",
    hostname: str = "host",
    serve: Callable[[Config], None] | None = None,
) -> Outcome:
    """Runs `respid` with these arguments; `serve` replaces the server."""
    started: list[Config] = []
    stdout, stderr = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, clean_environment() | dict(variables or {}), clear=True))
        stack.enter_context(mock.patch("socket.gethostname", return_value=hostname))
        stack.enter_context(mock.patch("respid.server.serve", serve or started.append))
        stack.enter_context(mock.patch("respid.cli.log.set_up_log"))
        stack.enter_context(mock.patch.object(sys, "argv", ["respid", *arguments]))
        stack.enter_context(mock.patch.object(sys, "stdin", io.StringIO(stdin)))
        stack.enter_context(redirect_stdout(stdout))
        stack.enter_context(redirect_stderr(stderr))
        ended = stack.enter_context(pytest.raises(SystemExit))
        main()
    assert isinstance(ended.value.code, int)
    return Outcome(ended.value.code, stdout.getvalue(), stderr.getvalue(), started[0] if started else None)
