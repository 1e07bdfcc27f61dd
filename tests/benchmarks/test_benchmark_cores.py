"""benchmarks.cores prints the table of docs/cores.md."""

import pytest

from benchmarks import cores
from tests.support.documents import ROOT
from tests.support.needed_tools import need_tool


def labels(text: str) -> list[list[str]]:
    """The heading, and the first two cells of the rows below it."""
    rows = [line for line in text[text.index(cores.HEADER) :].splitlines() if line.startswith("|")]
    return [row.split("|")[1:3] for row in rows[2:]]


def test_prints_the_table_of_the_document(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    need_tool("redis-benchmark")
    monkeypatch.setattr(cores, "ROUNDS", 1)
    monkeypatch.setattr(cores, "LOADS", {load: (depth, 1_600) for load, (depth, _) in cores.LOADS.items()})
    cores.main()
    printed = capfd.readouterr().out
    assert len(labels(printed)) == 8
    assert labels(printed) == labels((ROOT / "docs" / "cores.md").read_text())
