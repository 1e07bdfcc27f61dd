"""Programs that only some tests need, and not every machine has."""

import os
import shutil

import pytest

SKIP_NOTHING = bool(os.environ.get("RESPID_TEST_SKIP_NOTHING"))


def need_tool(name: str) -> str:
    """The program's path. Without it the test is skipped; or fails, where nothing may be skipped."""
    path = shutil.which(name)
    if path is None and SKIP_NOTHING:
        pytest.fail(f"{name} is not installed")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path
