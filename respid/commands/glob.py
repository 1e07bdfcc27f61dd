"""Redis's glob patterns, as CONFIG GET and COMMAND LIST take them. Never matches anything but short names."""

import re
from functools import lru_cache

_LONGEST_PATTERN = 64  # no name is that long; what is longer could only cost time, and matches nothing

# Runs of stars; any character; a class, which the pattern's end closes too; a literal character, perhaps escaped.
_TOKEN = re.compile(r"(\*+)|(\?)|\[(\^?)((?:\\.|[^]]-.|[^]])*+)(?:\]|\Z)|\\?(.)", re.DOTALL)
_MEMBER = re.compile(r"\\(.)|(.)-(.)|(.)", re.DOTALL)


def is_pattern(text: str) -> bool:
    """Whether it may match something else than itself."""
    return any(special in text for special in "*?[")


def matches(pattern: str, name: str) -> bool:
    r"""Whether the whole name, in any case of its letters, is as the pattern says.

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
    # What a star has skipped is never skipped differently, so that no pattern takes exponential time.
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
