"""A missing program cannot make CI pass."""

import pytest

from tests.support.needed_tools import need_tool


@pytest.mark.parametrize(("skip_nothing", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_missing_program_skips_or_fails(
    monkeypatch: pytest.MonkeyPatch, skip_nothing: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("RESPID_TEST_SKIP_NOTHING", skip_nothing)
    assert need_tool("sh")
    with pytest.raises(outcome, match="no-such-program is not installed"):
        need_tool("no-such-program")
