"""Programs and modules that only some tests need, and not every machine has."""

import os
import shutil
import subprocess
from typing import NoReturn

import pytest


def need_tool(name: str, why: str = "") -> str:
    """Returns the program's path. Without it the test is skipped, with `why` before the reason."""
    path = shutil.which(name)
    if path is None:
        leave_out(f"{why}{name} is not installed")
    return path


def need_strace() -> str:
    """Returns the path of strace. Without it, or where it may not trace, as in some containers, the test is skipped."""
    strace = need_tool("strace")
    if subprocess.run([strace, "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
        leave_out("strace may not trace processes here")
    return strace


def leave_out(reason: str) -> NoReturn:
    """Skips the test or module; fails it where RESPID_TEST_SKIP_NOTHING is set, as in CI."""
    if os.environ.get("RESPID_TEST_SKIP_NOTHING"):
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)
