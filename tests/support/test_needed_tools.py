"""A missing program cannot make CI pass."""

from pathlib import Path

import pytest

from tests.support.needed_tools import need_strace, need_tool


@pytest.mark.parametrize(("skip_nothing", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_missing_program_skips_or_fails(
    monkeypatch: pytest.MonkeyPatch, skip_nothing: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("RESPID_TEST_SKIP_NOTHING", skip_nothing)
    assert need_tool("sh")
    with pytest.raises(outcome, match="no-such-program is not installed"):
        need_tool("no-such-program")


def test_strace_that_may_not_trace_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RESPID_TEST_SKIP_NOTHING", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    strace = tmp_path / "strace"
    strace.write_text("#!/bin/sh\nexit 1\n")
    strace.chmod(0o755)
    with pytest.raises(pytest.skip.Exception, match="may not trace"):
        need_strace()
    strace.write_text("#!/bin/sh\n")
    assert need_strace() == str(strace)
