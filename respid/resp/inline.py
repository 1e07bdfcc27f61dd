"""Splits inline commands with the quoting rules of redis-server's sdssplitargs."""

import re

_WORD = re.compile(
    rb"""
    (?P<plain> [^"' \t\n\r]*+ )
    (?: (?: " (?P<double> (?: \\. | [^"\\] )*+ ) "      # a backslash escapes any character
          | ' (?P<single> (?: \\' | [^'\\] | \\(?!') )*+ ) '      # a backslash escapes only a single quote
        )
        (?= [ \t\n\v\f\r] | \Z )      # a closing quote ends the word
      | (?= [ \t\n\r] | \Z )      # so do these, but not the other two white-space characters
    )
    [ \t\n\v\f\r]*+
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_inline(line: bytes) -> list[bytes] | None:
    r"""Returns the words of a line, or None if its quotes are unbalanced. A blank line has no words.

    >>> split_inline(b'INCR "order \\x41"')
    [b'INCR', b'order A']
    """
    line = line.partition(b"\0")[0].lstrip(b" \t\n\v\f\r")
    words = []
    position = 0
    while position < len(line):
        match = _WORD.match(line, position)
        if match is None:
            return None
        word: bytes = match["plain"]
        if match["double"] is not None:
            word += _ESCAPE.sub(_unescape, match["double"])
        elif match["single"] is not None:
            word += match["single"].replace(b"\\'", b"'")
        words.append(word)
        position = match.end()
    return words


def _unescape(match: re.Match[bytes]) -> bytes:
    if match[1] is not None:
        return bytes([int(match[1], 16)])
    return _ESCAPED.get(match[2], match[2])
