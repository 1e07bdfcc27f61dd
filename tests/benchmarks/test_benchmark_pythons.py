"""benchmarks.pythons prints a row for each of its cases."""

import platform
import sys

import pytest
from click.testing import CliRunner

from benchmarks import pythons


def test_every_case_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythons, "ROUNDS", 1)
    ran = CliRunner().invoke(pythons.main, [sys.executable], catch_exceptions=False)
    header, _, *rows = (line.strip("|").split("|") for line in ran.output.splitlines())
    assert header[-1].strip() == platform.python_version()
    assert [(row[0].strip(), int(row[1])) for row in rows] == list(pythons.CASES)
