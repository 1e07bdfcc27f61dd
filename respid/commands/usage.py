"""The syntax of a command as users read it, and what is derived from it: arity, key positions, arguments.

The notation is that of Redis's command pages: `UPPER` is a literal word, `lower` a value, `[…]` is optional, `A | B` is
a choice, and `name [name ...]` can be repeated.

>>> Usage.parse("SET key value [NX | XX]").arity
-3
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from respid.resp.encoder import Value

_TOKEN = re.compile(r"\.\.\.|[][|]|[^][|\s]+")
_TYPES = {
    "key": "key",
    "increment": "integer",
    "n": "integer",
    "id": "integer",
    "index": "integer",
    "protover": "integer",
    "count": "integer",
    "client-id": "integer",
    "cluster-bus-port": "integer",
    "config-epoch": "integer",
    "cursor": "integer",
    "end-slot": "integer",
    "milliseconds": "integer",
    "numfields": "integer",
    "numreplicas": "integer",
    "pattern": "pattern",
    "port": "integer",
    "seconds": "integer",
    "slot": "integer",
    "start-slot": "integer",
    "timeout": "integer",
    "unix-time-milliseconds": "unix-time",
    "unix-time-seconds": "unix-time",
}
# As Redis names them in COMMAND DOCS.
_NAMES_OF_CHOICES = {
    "force-or-takeover": "options",
    "hard-or-soft": "reset-type",
    "libname-or-libver": "attr",
    "nx-or-xx": "condition",
    "nx-or-xx-or-gt-or-lt": "condition",
    "on-or-off": "enabled",
    "on-or-off-or-skip": "action",
    "seconds-or-milliseconds-or-unix-time-seconds-or-unix-time-milliseconds-or-keepttl": "expiration",
    "timeout-or-error": "unblock-type",
    "type": "client-type",
    "yes-or-no": "mode",
}
_NAMES_OF_BLOCKS: dict[tuple[str, ...], str] = {("key", "value"): "data", ("start-slot", "end-slot"): "range"}
# The arguments that Redis declares otherwise than their names in the usage tell.
_DECLARED: dict[str, dict[str, dict[str, Any]]] = {
    "client tracking": {"enabled": {"name": "status"}},
    "cluster keyslot": {"name": {"name": "key"}},
    "hello": {"protover": {"name": "arguments"}},
    "incrbyfloat": {"increment": {"type": "double"}},
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command, as COMMAND DOCS describes it."""

    name: str
    type: str
    token: str | None = None
    optional: bool = False
    multiple: bool = False
    parts: tuple["Argument", ...] = ()

    def document(self) -> dict[str, Value]:
        document: dict[str, Value] = {"name": self.name, "type": self.type}
        if not self.parts:
            document["display_text"] = self.name
        if self.type == "key":
            document["key_spec_index"] = 0
        if self.token is not None:
            document["token"] = self.token
        flags = [name for name, is_set in (("optional", self.optional), ("multiple", self.multiple)) if is_set]
        if flags:
            document["flags"] = frozenset(flags)
        if self.parts:
            document["arguments"] = [part.document() for part in self.parts]
        return document


@dataclass(frozen=True, slots=True)
class Usage:
    """The syntax of one command."""

    text: str
    words: int  # in the name of the command: 1, or 2 for a subcommand
    arguments: tuple[Argument, ...] = field(default=())

    @classmethod
    def parse(cls, text: str, *, words: int = 1) -> "Usage":
        tokens = _TOKEN.findall(text)
        arguments = _sequence(tokens[words:])
        if declared := _DECLARED.get(" ".join(tokens[:words]).lower()):
            arguments = tuple(replace(each, **declared.get(each.name, {})) for each in arguments)
        return cls(text, words, arguments)

    @property
    def arity(self) -> int:
        """The arity as in Redis: the number of words including the name, negative if it is only the minimum."""
        least = self.words + sum(_words(argument) for argument in self.arguments if not argument.optional)
        is_exact = all(_is_fixed(argument) for argument in self.arguments)
        return least if is_exact else -least

    @property
    def keys(self) -> tuple[int, int, int]:
        """First key, last key (-1 for the last argument) and step; (0, 0, 0) without keys."""
        for position, argument in enumerate(self.arguments, self.words):
            if argument.type == "key":
                return position, -1 if argument.multiple else position, 1
            if argument.multiple and argument.parts and argument.parts[0].type == "key":
                return position, -1, len(argument.parts)
        return 0, 0, 0

    @property
    def free(self) -> int:
        """The number of arguments after the name that no handler reads: a key, and the field of a hash."""
        names = [argument.name for argument in self.arguments]
        return next((place for place, name in enumerate(names) if name not in ("key", "field")), len(names))


def _words(argument: Argument) -> int:
    own = 1 if argument.token is not None and argument.type != "pure-token" else 0
    if argument.type == "oneof":
        return own + min(_words(part) for part in argument.parts)
    if argument.type == "block":
        return own + sum(_words(part) for part in argument.parts if not part.optional)
    return own + 1


def _is_fixed(argument: Argument) -> bool:
    if argument.optional or argument.multiple:
        return False
    if argument.type == "oneof":
        return len({_words(part) for part in argument.parts}) == 1 and all(map(_is_fixed, argument.parts))
    return all(map(_is_fixed, argument.parts))


def _sequence(tokens: list[str]) -> tuple[Argument, ...]:
    """The arguments that the tokens describe, in order."""
    arguments: list[Argument] = []
    position = 0
    while position < len(tokens):
        if tokens[position] == "[":
            end = _closing(tokens, position)
            inner = tokens[position + 1 : end]
            if inner[-1] == "..." and _names(arguments[1 - len(inner) :]) == inner[:-1]:
                arguments[1 - len(inner) :] = [_repeated(arguments[1 - len(inner) :])]
            elif inner[-1] == "...":
                arguments.append(replace(_one(inner[:-1]), optional=True, multiple=True))
            else:
                arguments.append(replace(_one(inner), optional=True))
            position = end + 1
            continue
        end = _end(tokens, position)
        while end + 1 < len(tokens) and tokens[end] == "|":
            end = _end(tokens, end + 1)
        arguments.append(_one(tokens[position:end]))
        position = end
    return tuple(arguments)


def _names(arguments: list[Argument]) -> list[str]:
    return [argument.name for argument in arguments]


def _repeated(arguments: list[Argument]) -> Argument:
    """The argument, or the block of these arguments, that can be given more than once."""
    if len(arguments) == 1:
        return replace(arguments[0], multiple=True)
    name = _NAMES_OF_BLOCKS[tuple(_names(arguments))]
    return Argument(name, "block", multiple=True, parts=tuple(arguments))


def _end(tokens: list[str], position: int) -> int:
    """Where the argument at this position ends: a literal word has the values that follow it."""
    end = position + 1
    if not tokens[position].isupper():
        return end
    while end < len(tokens) and tokens[end].islower():
        is_repeated = tokens[end + 1 : end + 4] == ["[", tokens[end], "..."]
        end += 5 if is_repeated else 1
    return end


def _one(tokens: list[str]) -> Argument:
    """The argument that the tokens describe: a choice, a literal word, a value, or a block of arguments."""
    choices = _split_choices(tokens)
    if len(choices) > 1:
        token = choices[0].pop(0) if len(choices[0]) > 1 and choices[0][1].isupper() else None
        parts = tuple(_one(choice) for choice in choices)
        name = token.lower() if token else "-or-".join(part.name for part in parts)
        return Argument(_NAMES_OF_CHOICES.get(name, name), "oneof", token, parts=parts)
    name = tokens[0].lower()
    if len(tokens) == 1:
        if tokens[0].isupper():
            return Argument(name, "pure-token", token=tokens[0])
        return Argument(name, _TYPES.get(name, "string"))
    parts = _sequence(tokens[1:] if tokens[0].isupper() else tokens)
    if len(parts) == 1 and not tokens[0].isupper():
        return parts[0]
    if len(parts) == 1 and not parts[0].parts and parts[0].token is None:
        return replace(parts[0], token=tokens[0])
    return Argument(name, "block", token=tokens[0] if tokens[0].isupper() else None, parts=parts)


def _split_choices(tokens: list[str]) -> list[list[str]]:
    choices: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token == "[") - (token == "]")
        if token == "|" and depth == 0:
            choices.append([])
        else:
            choices[-1].append(token)
    return choices


def _closing(tokens: list[str], opening: int) -> int:
    depth = 0
    for position in range(opening, len(tokens)):
        depth += (tokens[position] == "[") - (tokens[position] == "]")
        if depth == 0:
            return position
    raise ValueError(f"unclosed bracket in {' '.join(tokens)!r}")
