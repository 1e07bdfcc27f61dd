"""Programs that only some tests need, and not every machine has."""

import os
import shutil

import pytest


def need_tool(name: str) -> str:
    """The program's path. Without it the test is skipped; or fails, where nothing may be skipped, as in CI."""
    path = shutil.which(name)
    if path is None and os.environ.get("RESPID_TEST_SKIP_NOTHING"):
        pytest.fail(f"{name} is not installed")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path
