"""Redis's glob patterns."""

import pytest

from respid.commands.glob import _compile, is_pattern, matches
from tests.support.cpu_time import least_seconds


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("", "", True),
        ("", "a", False),
        ("abc", "ABC", True),
        ("abc", "abcd", False),
        ("*", "", True),
        ("**c", "abc", True),
        ("a*c*e", "abcde", True),
        ("a*c*e", "abcd", False),
        ("*a*b", "ab-ab-ac", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("[a-c]x", "bx", True),
        ("[c-a]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[^a]x", "bx", True),
        ("[!a]x", "bx", False),
        ("[ab", "b", True),
        ("[]x", "x", False),
        ("[^]", "x", True),
        (r"[\]]", "]", True),
        (r"[\^a]", "^", True),
        ("[.+]", "+", True),
        (r"\*", "*", True),
        (r"\*", "a", False),
        (r"\a", "a", True),
        ("a.c", "abc", False),
        ("a\\", "a\\", True),
        ("*", "a\nb", True),
    ],
)
def test_pattern_matches_as_in_redis(pattern: str, name: str, *, expected: bool) -> None:
    assert matches(pattern, name) is expected


@pytest.mark.parametrize("pattern", ["*a" * 100 + "b", "*" * 200 + "b", "[a" * 60, "*?" * 100, "*" * 1_000_000])
def test_no_pattern_is_slow(pattern: str) -> None:
    def match() -> None:
        _compile.cache_clear()
        matches(pattern, "a" * 40)

    (seconds,) = least_seconds(match)
    assert seconds < 0.2


def test_is_pattern() -> None:
    assert is_pattern("a*")
    assert is_pattern("a[b")
    assert not is_pattern("maxmemory-policy")
