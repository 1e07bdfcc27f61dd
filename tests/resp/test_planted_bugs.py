"""The comparison of both paths can fail: it finds each of these bugs when it is planted."""

from random import Random

import pytest

from respid.resp import fast_path
from tests.resp.planted_bugs import ALL, Bug
from tests.resp.test_fast_path import SETTINGS, stream_number
from tests.support.both_paths import check_equality

ATTEMPTS = 5000  # streams in which a bug must show


@pytest.mark.parametrize("bug", ALL, ids=lambda bug: bug.__name__)
def test_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    fast_path._template.cache_clear()  # templates with the bug, or without it
    bug(monkeypatch)
    try:
        for seed in range(ATTEMPTS):
            try:
                check_equality(stream_number(seed, Random(seed)), SETTINGS[seed % len(SETTINGS)])
            except AssertionError:
                return
    finally:
        fast_path._template.cache_clear()
    pytest.fail("not found")
