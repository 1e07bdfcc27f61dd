"""That CI cannot pass for want of a program."""

import pytest

from tests.support.needed_tools import need_tool


@pytest.mark.parametrize(("skip_nothing", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_a_missing_program_skips_a_test_but_fails_it_where_nothing_may_be_skipped(
    monkeypatch: pytest.MonkeyPatch, skip_nothing: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("RESPID_TEST_SKIP_NOTHING", skip_nothing)
    assert need_tool("sh")
    with pytest.raises(outcome, match="no-such-program is not installed"):
        need_tool("no-such-program")
