"""Redis's glob patterns, for CONFIG GET and COMMAND LIST. Only for short names."""

import re
from functools import lru_cache

_LONGEST_PATTERN = 64  # names are shorter; longer patterns match nothing, so that they take no time

# Stars; any character; a class, which the end of the pattern also closes; a literal character, perhaps escaped.
_TOKEN = re.compile(r"(\*+)|(\?)|\[(\^?)((?:\\.|[^]]-.|[^]])*+)(?:\]|\Z)|\\?(.)", re.DOTALL)
_MEMBER = re.compile(r"\\(.)|(.)-(.)|(.)", re.DOTALL)


def is_pattern(text: str) -> bool:
    """Whether the text has special characters, so that it may match more than itself."""
    return any(special in text for special in "*?[")


def matches(pattern: str, name: str) -> bool:
    r"""Whether the pattern matches the whole name, ignoring case.

    >>> matches("client-*", "CLIENT-id"), matches("[^a]b", "ab"), matches("a[b-c", "ac"), matches("\\a", "a")
    (True, False, True, True)
    """
    return len(pattern) <= _LONGEST_PATTERN and _compile(pattern.lower()).fullmatch(name.lower()) is not None


@lru_cache(maxsize=32)
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(_as_regex(pattern))


def _as_regex(pattern: str) -> str:
    pieces = [""]
    for stars, any_character, negation, members, literal in _TOKEN.findall(pattern):
        if stars:
            pieces.append("")
        elif any_character:
            pieces[-1] += "."
        elif literal:
            pieces[-1] += re.escape(literal)
        else:
            pieces[-1] += _class_as_regex(members, is_negated=bool(negation))
    if len(pieces) == 1:
        return f"(?s:{pieces[0]})"
    first, *middle, last = pieces
    # Atomic groups: without backtracking into earlier stars, no pattern takes exponential time.
    return f"(?s:{first}{''.join(f'(?>.*?{piece})' for piece in middle)}.*{last})"


def _class_as_regex(members: str, *, is_negated: bool) -> str:
    regex = ""
    for escaped, start, end, single in _MEMBER.findall(members):
        if start:
            regex += f"{re.escape(min(start, end))}-{re.escape(max(start, end))}"
        else:
            regex += re.escape(escaped or single)
    if not regex:
        return "." if is_negated else "(?!)"
    return f"[{'^' if is_negated else ''}{regex}]"
