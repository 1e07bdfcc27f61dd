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
_ESCAPE_OR_TEXT = re.compile(rb"\\x[0-9a-fA-F]{2}|\\.|[^\\]+", re.DOTALL)
_HEX_DIGITS = "0123456789abcdefABCDEF"
# A table, because a line can consist of 30,000 escapes, each of which would cost a call.
_ESCAPED = {b"\\%c" % byte: b"%c" % byte for byte in range(256)}
_ESCAPED |= {b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t", b"\\b": b"\b", b"\\a": b"\a"}
_ESCAPED |= {f"\\x{high}{low}".encode(): bytes([int(high + low, 16)]) for high in _HEX_DIGITS for low in _HEX_DIGITS}


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
            pieces = _ESCAPE_OR_TEXT.findall(match["double"])
            word += b"".join([_ESCAPED.get(piece, piece) for piece in pieces])
        elif match["single"] is not None:
            word += match["single"].replace(b"\\'", b"'")
        words.append(word)
        position = match.end()
    return words
