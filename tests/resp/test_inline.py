"""Redis's quoting rules for inline commands; `tests/conformance` compares them with redis-server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respid.resp.inline import split_inline
from tests.support.cpu_time import least_seconds


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b" \t\v\f\r ", []),
        (b"PING", [b"PING"]),
        (b"  INCR\t orders ", [b"INCR", b"orders"]),
        (b"a\vb\fc", [b"a\vb\fc"]),
        (b"a\rb", [b"a", b"b"]),
        (b"\"a b\" 'c d'", [b"a b", b"c d"]),
        (b"\"\" ''", [b"", b""]),
        (b'ab"c d"', [b"abc d"]),
        (rb'"\n\r\t\b\a\\\"\q"', [b'\n\r\t\b\a\\"q']),
        (rb'"\x41\xff\xfg\X41"', [b"A\xffxfgX41"]),
        (rb"'it\'s \n'", [b"it's \\n"]),
        (rb"a\nb", [b"a\\nb"]),
        (b'"a"\v"b"', [b"a", b"b"]),
        (b"a\0b c", [b"a"]),
    ],
)
def test_splits_line_into_words(line: bytes, words: list[bytes]) -> None:
    assert split_inline(line) == words


@pytest.mark.parametrize(
    "line", [b'"', b"'", b'"a', b"'a", b'a"', b'"a"b', b"'a'b", b"\"a\"'b'", b'"a\\"', b"'a\\'", b'"\0"']
)
def test_refuses_unbalanced_quotes(line: bytes) -> None:
    assert split_inline(line) is None


@given(st.lists(st.binary()))
def test_reads_back_escaped_words(words: list[bytes]) -> None:
    line = b" ".join(b'"%s"' % b"".join(b"\\x%02x" % byte for byte in word) for word in words)
    assert split_inline(line) == words


@pytest.mark.parametrize("line", [b'"' + b"\\" * 65_535, b"'" * 65_536, b"a" * 65_536, b"\\'" * 32_768, b" x" * 32_768])
def test_splits_in_linear_time(line: bytes) -> None:
    (seconds,) = least_seconds(lambda: split_inline(line))
    assert seconds < 0.5
