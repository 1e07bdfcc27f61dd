"""Programs that some tests need and that not every machine has."""

import os
import shutil

import pytest


def find_tool(name: str) -> str:
    """The path of a program. Without it the test is skipped; where nothing may be skipped, as in CI, it fails."""
    path = shutil.which(name)
    if path is None and os.environ.get("RESPID_TEST_SKIP_NOTHING") == "1":
        pytest.fail(f"{name} is not installed, and RESPID_TEST_SKIP_NOTHING is set")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path
