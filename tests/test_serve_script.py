"""scripts/serve: Ctrl-C at any moment of the start ends it without a traceback.

`RESPID_TEST_MOMENTS` is the number of moments.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.support.documents import ROOT
from tests.support.environment import clean_environment
from tests.support.needed_tools import leave_out

SERVE = "scripts/serve"
MOMENTS = int(os.environ.get("RESPID_TEST_MOMENTS", "16"))
SILENT_CODES = {-signal.SIGINT, 130}  # the first while there is only the shell


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in which respid is installed: in the environment of these tests. Its path is not a simple one."""
    clone = tmp_path / "label=linux, a clone"
    (clone / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / SERVE, clone / SERVE)
    (clone / "scripts/install").symlink_to(shutil.which("true") or "")
    (clone / ".venv").symlink_to(sys.prefix)
    return clone


@pytest.mark.usefixtures("default_sigint")
def test_ctrl_c_at_any_moment_prints_no_traceback(clone: Path) -> None:
    """The moments cover twice the time that the command line needs to start."""
    if subprocess.run(["env", "--block-signal=INT", "true"], capture_output=True, check=False).returncode:
        leave_out("env cannot block signals")
    command = [str(clone / SERVE), "--port", str(free_port()), "--http-port", str(free_port()), "--store", "none"]
    environment = clean_environment(measured=False) | {"WORKER_ID": "1"}
    starts_seconds = []
    for _ in range(3):  # a busy machine may stand still during one
        started = time.monotonic()
        subprocess.run([clone / ".venv/bin/respid", "--version"], check=True, capture_output=True, env=environment)
        starts_seconds.append(time.monotonic() - started)
    span_seconds = 2 * min(starts_seconds)
    codes = set()
    for moment in range(MOMENTS):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
            time.sleep(span_seconds * moment / MOMENTS)
            server.send_signal(signal.SIGINT)
            _, printed = server.communicate()
        codes.add(server.returncode)
        assert "Traceback" not in printed
    assert codes <= {*SILENT_CODES, 0}
    assert 130 in codes
