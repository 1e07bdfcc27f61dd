"""The property holds for the fuzzer's corpus, and for the inputs that the fuzzer finds in a short run.

`RESPID_TEST_FUZZ_SECONDS` sets how long the fuzzer runs. It writes an input that breaks the property to a file, which
the failure names: fix the defect and add the file to `corpus`.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from respid.resp.fast_path import NO_RUN, Run, RunReader
from tests.fuzz import fuzzed
from tests.support.byte_streams import request
from tests.support.environment import clean_environment

SECONDS = int(os.environ.get("RESPID_TEST_FUZZ_SECONDS", "4"))
CORPUS = Path(__file__).parent / "corpus"
HEAD = bytes(fuzzed.HEAD_BYTES)


def test_property_holds_for_corpus() -> None:
    kept = [path.read_bytes() for path in CORPUS.iterdir()]
    assert kept
    for data in fuzzed.seeds() + kept:
        fuzzed.check(data)


@pytest.mark.parametrize("run", fuzzed.RUNS, ids=repr)
def test_property_finds_miscounting_fast_path(monkeypatch: pytest.MonkeyPatch, run: bytes) -> None:
    find = RunReader.find

    def miscount(runs: RunReader[object], buffer: bytes, position: int) -> Run:
        frames, end = find(runs, buffer, position)
        return (max(1, frames - 1), end) if frames else NO_RUN

    sent = HEAD + request("PING") + run * 40
    fuzzed.check(sent)
    monkeypatch.setattr(RunReader, "find", miscount)
    with pytest.raises(fuzzed.Broken):
        fuzzed.check(sent)


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed: it has no wheel for this machine")
@pytest.mark.timeout(1_200 + SECONDS)
def test_fuzzer_finds_nothing(tmp_path: Path) -> None:
    for directory in ("corpus", "broken"):
        (tmp_path / directory).mkdir()
    command = [sys.executable, str(Path(__file__).parent / "program.py"), str(tmp_path / "corpus"), str(CORPUS)]
    options = [f"-max_total_time={SECONDS}", "-max_len=4096", "-timeout=60", f"-artifact_prefix={tmp_path}/broken/"]
    environment = clean_environment(measured=False)
    ended = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-5000:]
    assert "Done " in ended.stderr
