"""A short run from the command line, and the parts that do not use redis-benchmark."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import cut
from benchmarks.bulk import percentile
from tests.support.environment import clean_environment
from tests.support.needed_tools import need_tool

ROOT = Path(__file__).parent.parent.parent


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    need_tool("redis-benchmark")
    command = [sys.executable, "-m", "benchmarks", *arguments]
    environment = clean_environment(measured=False)
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_partial_run_writes_only_its_output(tmp_path: Path) -> None:
    published = (ROOT / "docs" / "benchmarks.md").read_text()
    output = tmp_path / "page.md"
    done = bench("--only", "bulk,cut", "--rounds", "1", "--scale", "0.002", "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert output.read_text() == done.stdout
    assert "`ID.RANGE 8192` | CPU, share of a core |" in done.stdout
    assert "| respid | 500 |" in done.stdout
    assert "[1/2] cut" in done.stderr
    assert list(tmp_path.iterdir()) == [output]
    assert (ROOT / "docs" / "benchmarks.md").read_text() == published


def test_unknown_part_is_refused() -> None:
    done = bench("--only", "bulk,nonsense")
    assert done.returncode == 2
    assert "unknown part nonsense: choose from pipelines, connections, cut, bulk, idle" in done.stderr


@pytest.mark.parametrize("depth", cut.DEPTHS)
def test_pieces_have_segment_size_and_cut_frames(depth: int) -> None:
    for [batch] in cut.batches(depth):
        pieces = cut.pieces(batch)
        assert b"".join(pieces) == batch
        assert len(pieces) > 1
        assert {len(piece) for piece in itertools.islice(pieces, len(pieces) - 1)} == {1448}
        assert batch.count(b"INCR") == depth
        assert not pieces[1].startswith(b"*2")


def test_percentile_is_a_measured_value() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, percent) for percent in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7.0], 99) == 7
