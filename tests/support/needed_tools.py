"""Programs that only some tests need, and not every machine has."""

import os
import shutil
from typing import NoReturn

import pytest


def need_tool(name: str, why: str = "") -> str:
    """The program's path. Without it the test is left out; `why` is put before the reason."""
    path = shutil.which(name)
    if path is None:
        leave_out(f"{why}{name} is not installed")
    return path


def leave_out(reason: str) -> NoReturn:
    """Skips the test; or fails it, where nothing may be skipped, as in CI."""
    if os.environ.get("RESPID_TEST_SKIP_NOTHING"):
        pytest.fail(reason)
    pytest.skip(reason)
