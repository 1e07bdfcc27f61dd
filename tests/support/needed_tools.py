"""Programs and modules that only some tests need, and not every machine has."""

import os
import shutil
from typing import NoReturn

import pytest


def need_tool(name: str, why: str = "") -> str:
    """Returns the program's path. Without it the test is skipped, with `why` before the reason."""
    path = shutil.which(name)
    if path is None:
        leave_out(f"{why}{name} is not installed")
    return path


def leave_out(reason: str) -> NoReturn:
    """Skips the test or module; fails it where RESPID_TEST_SKIP_NOTHING is set, as in CI."""
    if os.environ.get("RESPID_TEST_SKIP_NOTHING"):
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)
