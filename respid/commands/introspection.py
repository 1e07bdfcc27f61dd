"""COMMAND and its subcommands: descriptions of the commands in the table."""

from functools import cache
from typing import NamedTuple

from respid.commands.glob import matches
from respid.commands.hints import CATEGORIES, KEY_ACCESS, TIPS
from respid.commands.session import Reply, Session
from respid.commands.table import COMMANDS, INTERNAL_FLAGS, Command, CommandGroup
from respid.resp import encoder, errors
from respid.resp.encoder import Value

# Redis's ACL categories for flags and groups. It has none for the group "server".
_CATEGORIES = {
    "write": {"@write"},
    "readonly": {"@read"},
    "admin": {"@admin", "@dangerous"},
    "blocking": {"@blocking"},
    "connection": {"@connection"},
    "generic": {"@keyspace"},
    "hash": {"@hash"},
    "string": {"@string"},
    "transactions": {"@transaction"},
}

group = CommandGroup("server")


@group.command(
    "COMMAND [subcommand [argument ...]]", "Returns details about all commands.", "loading stale", since="2.8.13"
)
def command(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.array([_description(each.name, session.version) for each in COMMANDS.values()])


group.help("COMMAND")


@group.subcommand("COMMAND COUNT", "Returns the number of commands.", "loading stale", since="2.8.13")
def command_count(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(len(COMMANDS))


@group.subcommand(
    "COMMAND INFO [command-name [command-name ...]]",
    "Returns details about the given commands, or all.",
    "loading stale",
    since="2.8.13",
)
def command_info(session: Session, arguments: list[bytes]) -> Reply:
    names = arguments[2:] or list(COMMANDS)
    version = session.version
    found = [_find(name) for name in names]
    return encoder.array(
        [encoder.null(version) if each is None else _description(each.name, version) for each in found]
    )


@group.subcommand(
    "COMMAND DOCS [command-name [command-name ...]]",
    "Returns the documentation of the given commands, or of all.",
    "loading stale",
    since="7.0.0",
)
def command_docs(session: Session, arguments: list[bytes]) -> Reply:
    names = arguments[2:] or list(COMMANDS)
    found = dict.fromkeys(each.name for name in names if (each := _find(name)) is not None)
    documents = [_documentation(name, session.version) for name in found]
    return encoder.map_header(len(documents), session.version) + b"".join(documents)


@group.subcommand(
    "COMMAND LIST [FILTERBY MODULE module-name | ACLCAT category | PATTERN pattern]",
    "Returns the names of all commands, or of those that match a filter.",
    "loading stale",
    since="7.0.0",
)
def command_list(session: Session, arguments: list[bytes]) -> Reply:
    match [argument.upper() for argument in arguments[2:4]], arguments[4:]:
        case [], []:
            found = _all_commands()
        case [b"FILTERBY", b"PATTERN"], [pattern]:
            text = pattern.decode("utf-8", "replace")
            found = [each for each in _all_commands() if matches(text, each.name)]
        case [b"FILTERBY", b"ACLCAT"], [category]:
            wanted = "@" + category.decode("utf-8", "replace").lower()
            found = [each for each in _all_commands() if wanted in _categories(each)]
        case [b"FILTERBY", b"MODULE"], [_]:
            found = []
        case _:
            return errors.SYNTAX
    return encoder.encode(list[Value]([each.name for each in found]), session.version)


def _all_commands() -> list[Command]:
    """Every command, each followed by its subcommands."""
    return [each for command in COMMANDS.values() for each in (command, *command.subcommands.values())]


@group.subcommand(
    "COMMAND GETKEYS command [arg ...]",
    "Returns the keys in a command and its arguments.",
    "loading stale",
    since="2.8.13",
)
def command_getkeys(session: Session, arguments: list[bytes]) -> Reply:
    found = _find_keys(arguments[2:])
    return found if isinstance(found, bytes) else encoder.encode(list[Value](found.keys), session.version)


@group.subcommand(
    "COMMAND GETKEYSANDFLAGS command [arg ...]",
    "Returns the keys of a full command, and how it uses them.",
    "loading stale",
    since="7.0.0",
)
def command_getkeysandflags(session: Session, arguments: list[bytes]) -> Reply:
    found = _find_keys(arguments[2:])
    if isinstance(found, bytes):
        return found
    access = frozenset(_request_access(found.command, arguments[2:]))
    return encoder.encode([[key, access] for key in found.keys], session.version)


def _request_access(command: Command, words: list[bytes]) -> list[str]:
    """How a full command uses its keys. Like Redis, takes any word after SET's value for the option GET."""
    access = _key_access(command)
    if "variable_flags" not in access:
        return access
    reads = any(word.upper() == b"GET" for word in words[3:])
    return ["RW", "access", "update"] if reads else ["OW", "update"]


class _Keys(NamedTuple):
    command: Command
    keys: list[bytes]


def _find_keys(queried: list[bytes]) -> _Keys | bytes:
    """The keys of a full command, or the error to reply."""
    found = COMMANDS.get(queried[0].upper())
    if found is not None and found.subcommands and len(queried) > 1:
        found = found.subcommands.get(queried[1].upper())
    if found is None:
        return errors.error("ERR Invalid command specified")
    first, last, step = found.usage.keys
    if not first:
        return errors.error("ERR The command has no key arguments")
    if not found.accepts(len(queried)):
        return errors.error("ERR Invalid number of arguments specified for command")
    end = len(queried) if last < 0 else last + 1
    return _Keys(found, queried[first:end:step])


def _find(name: bytes) -> Command | None:
    container, _, subcommand = name.upper().partition(b"|")
    found = COMMANDS.get(container)
    return found.subcommands.get(subcommand) if found is not None and subcommand else found


@cache
def _description(name: str, version: int) -> bytes:
    """A command's element of COMMAND. Cached: a request of 10 KB can ask for it a thousand times."""
    found = _find(name.encode())
    return b"" if found is None else encoder.encode(_describe(found), version)


@cache
def _documentation(name: str, version: int) -> bytes:
    """A command's name and its documentation in COMMAND DOCS. Cached as well."""
    found = _find(name.encode())
    return b"" if found is None else encoder.encode(name, version) + encoder.encode(_document(found), version)


def _describe(command: Command) -> Value:
    """The ten elements that https://redis.io/docs/latest/commands/command/ lists. No subcommands are an empty set."""
    first, last, step = command.usage.keys
    flags = command.flags - INTERNAL_FLAGS
    key_specs: tuple[Value, ...] = ()
    if first:
        access = _key_access(command)
        span: dict[str, Value] = {"lastkey": last - first if last > 0 else last, "keystep": step, "limit": 0}
        key_specs = (
            {
                "flags": frozenset(access),
                "begin_search": {"type": "index", "spec": {"index": first}},
                "find_keys": {"type": "range", "spec": span},
            },
        )
    return [
        command.name,
        command.arity,
        flags,
        first,
        last,
        step,
        _categories(command),
        tuple(TIPS.get(command.name, "").split()),
        key_specs,
        [_describe(subcommand) for subcommand in command.subcommands.values()] or (),
    ]


def _categories(command: Command) -> frozenset[str]:
    """The ACL categories: those that follow from its flags and its group, and those declared."""
    container = command.name.partition("|")[0]
    names = set(command.flags)
    if not command.subcommands:
        names.add(command.group)
    if container == "command":
        names.add("connection")
    derived = [_CATEGORIES[name] for name in names if name in _CATEGORIES]
    if command.name in CATEGORIES:
        derived = [*derived, set(CATEGORIES[command.name].split())]
    return frozenset({"@fast" if "fast" in command.flags else "@slow"}.union(*derived))


def _key_access(command: Command) -> list[str]:
    """Redis's flags of the key, which say what the command does with it."""
    if (access := KEY_ACCESS.get(command.name)) is not None:
        return access.split()
    return ["RW", "access", "update"] if "write" in command.flags else ["RO", "access"]


def _document(command: Command) -> Value:
    document: dict[str, Value] = {"summary": command.summary, "since": command.since, "group": command.group}
    if command.subcommands:
        document["subcommands"] = {each.name: _document(each) for each in command.subcommands.values()}
    elif command.usage.arguments:
        document["arguments"] = [argument.document() for argument in command.usage.arguments]
    return document
