"""The table of commands: dispatch, COMMAND, the checks of MULTI and the documentation are derived from it.

Each group declares its commands next to their handlers. This module knows none of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from respid.commands.draw import DrawOf, handler
from respid.commands.session import Handler, Reply, Session
from respid.commands.usage import Usage
from respid.resp import encoder, errors

# The flags that respid acts on. Redis's other flags (write, readonly, fast, …) only inform clients.
NO_AUTH = "no_auth"  # may be sent before authentication
IMMEDIATE = "immediate"  # runs at once inside MULTI
DRAWS_IDS = "draws"
OWN_PREFIX = "id."  # of the names of commands that Redis does not have
CONSTANT = "constant"  # always has the same answer, which is true because nothing is stored
REPEATS = "repeats"  # has the same answer as a request before it that differs in nothing but keys and fields
INTERNAL_FLAGS = frozenset(
    {IMMEDIATE, DRAWS_IDS, CONSTANT, REPEATS}
)  # flags that Redis does not have: not shown to clients
ALWAYS = "noscript loading stale allow_busy"  # flags of commands that Redis runs even while it can run no others


@dataclass(frozen=True, slots=True)
class Command:
    """One command or subcommand, as declared."""

    name: str  # in lower case, for example "incr" or "client|id"
    usage: Usage
    arity: int
    handler: Handler
    summary: str
    group: str
    flags: frozenset[str]
    since: str
    draw_of: DrawOf | None = None  # of a command that draws one ID or one block
    runs: bool = False  # whether requests that differ in nothing but the free arguments are answered as one run
    least: int = 0  # the number of words of its shortest form
    free: int = 0  # of such a command: how many arguments after the name do not matter
    subcommands: dict[bytes, "Command"] = field(default_factory=dict)

    def accepts(self, argument_count: int) -> bool:
        return argument_count == self.arity or argument_count >= -self.arity > 0

    def wrong_arity(self) -> bytes:
        """The error reply to a wrong number of arguments: that of Redis, with the usage if Redis lacks the command."""
        if self.name.startswith(OWN_PREFIX):
            return errors.own_wrong_arity(self.name, self.usage.text)
        return errors.wrong_arity(self.name)


COMMANDS: dict[bytes, Command] = {}
"""All commands by name in upper case. Complete once the package `respid.commands` has been imported."""


class CommandGroup:
    """Declares the commands of one group of Redis's documentation with the decorators `command` and `subcommand`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def command(self, usage: str, summary: str, flags: str = "", since: str = "1.0.0") -> Callable[[Handler], Handler]:
        """Declares the decorated function as the handler of the command that `usage` describes."""

        def declare(handler: Handler) -> Handler:
            command = self._make(Usage.parse(usage), handler, summary, flags, since)
            COMMANDS[command.name.upper().encode()] = command
            return handler

        return declare

    def draws(self, usage: str, summary: str, flags: str = "", since: str = "1.0.0") -> Callable[[DrawOf], DrawOf]:
        """Declares a command that draws one ID or one block, which the decorated function derives from a request.

        It must not read keys and fields: requests that differ in nothing else are answered as one run.
        """

        def declare(draw_of: DrawOf) -> DrawOf:
            flags_of_draws = f"{flags} {DRAWS_IDS} {REPEATS}"
            command = self._make(Usage.parse(usage), handler(draw_of), summary, flags_of_draws, since)
            COMMANDS[command.name.upper().encode()] = replace(command, draw_of=draw_of)
            return draw_of

        return declare

    def container(self, name: str, summary: str, since: str, help_since: str = "5.0.0") -> None:
        """Declares a command that only has subcommands, with a subcommand HELP that lists them."""

        def lacks_subcommand(_session: Session, _arguments: list[bytes]) -> Reply:
            return errors.wrong_arity(name.lower())

        self.command(f"{name} subcommand [argument ...]", summary, since=since)(lacks_subcommand)
        self.help(name, help_since)

    def help(self, container: str, since: str = "5.0.0") -> None:
        """Declares the subcommand HELP of a command."""

        def show_help(_session: Session, _arguments: list[bytes]) -> Reply:
            return _help(COMMANDS[container.encode()])

        self.subcommand(f"{container} HELP", "Returns this help.", "loading stale", since=since)(show_help)

    def subcommand(
        self, usage: str, summary: str, flags: str = "", since: str = "1.0.0"
    ) -> Callable[[Handler], Handler]:
        """Declares the handler of a command of two words, such as CLIENT ID. Its container must be declared first."""

        def declare(handler: Handler) -> Handler:
            command = self._make(Usage.parse(usage, words=2), handler, summary, flags, since)
            container, subcommand = command.name.upper().encode().split(b"|")
            COMMANDS[container].subcommands[subcommand] = command
            return handler

        return declare

    def _make(self, usage: Usage, handler: Handler, summary: str, flags: str, since: str) -> Command:
        flag_set, arity = frozenset(flags.split()), usage.arity
        return Command(
            name="|".join(usage.text.lower().split()[: usage.words]),
            usage=usage,
            arity=arity,
            handler=handler,
            summary=summary,
            group=self.name,
            flags=flag_set,
            since=since,
            runs=REPEATS in flag_set,
            least=abs(arity),
            free=usage.free,
        )


def _help(container: Command) -> bytes:
    title = container.name.upper()
    lines = [f"{title} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for subcommand in sorted(container.subcommands.values(), key=lambda each: each.name.endswith("|help")):
        lines += [subcommand.usage.text.removeprefix(title + " "), f"    {subcommand.summary}"]
    return encoder.array([encoder.simple_string(line) for line in lines])
