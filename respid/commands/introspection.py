"""COMMAND and its subcommands: descriptions of the commands in the table."""

from functools import cache

from respid.commands.glob import matches
from respid.commands.session import Reply, Session
from respid.commands.table import COMMANDS, INTERNAL_FLAGS, Command, CommandGroup
from respid.resp import encoder, errors
from respid.resp.encoder import Value

# Redis's ACL categories for flags and groups. It has none for the group "server".
_CATEGORIES = {
    "write": "@write",
    "readonly": "@read",
    "admin": "@admin",
    "connection": "@connection",
    "generic": "@keyspace",
    "transactions": "@transaction",
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
    "COMMAND LIST [FILTERBY PATTERN pattern]",
    "Returns the names of all commands, or of those that match a pattern.",
    "loading stale",
    since="7.0.0",
)
def command_list(session: Session, arguments: list[bytes]) -> Reply:
    names = [each.name for each in COMMANDS.values()]
    match [argument.upper() for argument in arguments[2:4]]:
        case []:
            pass
        case [b"FILTERBY", b"PATTERN"] if len(arguments) == 5:  # noqa: PLR2004
            pattern = arguments[4].decode("utf-8", "replace")
            names = [name for name in names if matches(pattern, name)]
        case [b"FILTERBY", b"MODULE" | b"ACLCAT"] if len(arguments) == 5:  # noqa: PLR2004
            names = []
        case _:
            return errors.SYNTAX
    return encoder.encode(list[Value](names), session.version)


@group.subcommand(
    "COMMAND GETKEYS command [argument ...]",
    "Returns the keys in a command and its arguments.",
    "loading stale",
    since="2.8.13",
)
def command_getkeys(session: Session, arguments: list[bytes]) -> Reply:
    queried = arguments[2:]
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
    return encoder.encode(list[Value](queried[first:end:step]), session.version)


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
    """The ten elements that https://redis.io/docs/latest/commands/command/ lists."""
    first, last, step = command.usage.keys
    flags = command.flags - INTERNAL_FLAGS
    categories = {"@fast" if "fast" in flags else "@slow"} | {_CATEGORIES[flag] for flag in flags & _CATEGORIES.keys()}
    if command.group in _CATEGORIES:
        categories.add(_CATEGORIES[command.group])
    key_specs: list[Value] = []
    if first:
        access = ["RW", "access", "update"] if "write" in flags else ["RO", "access"]
        span: dict[str, Value] = {"lastkey": last - first if last > 0 else last, "keystep": step, "limit": 0}
        key_specs.append(
            {
                "flags": frozenset(access),
                "begin_search": {"type": "index", "spec": {"index": first}},
                "find_keys": {"type": "range", "spec": span},
            }
        )
    return [
        command.name,
        command.arity,
        flags,
        first,
        last,
        step,
        frozenset(categories),
        [],
        key_specs,
        [_describe(subcommand) for subcommand in command.subcommands.values()],
    ]


def _document(command: Command) -> Value:
    document: dict[str, Value] = {"summary": command.summary, "since": command.since, "group": command.group}
    if command.subcommands:
        document["subcommands"] = {each.name: _document(each) for each in command.subcommands.values()}
    elif command.usage.arguments:
        document["arguments"] = [argument.document() for argument in command.usage.arguments]
    return document
