"""The table of commands against a real redis-server: nothing is undecided, and what is shared is declared alike."""

from typing import NamedTuple

from respid.commands import COMMANDS, REFUSED
from respid.commands.table import CONSTANT
from tests.support.byte_streams import STREAMS, request
from tests.support.raw_client import RawClient
from tests.support.reply_parser import Reply, parse_reply
from tests.support.running import RunningServer

OWN = {"client|maint_notifications", "id.next", "id.range", "id.decode", "id.min", "id.max", "id.info"}
LONGEST_SHOWN = 512
# Redis does not declare that QUIT accepts arguments. Of the others, the usage leaves out details without an effect.
OTHER_ARGUMENTS = {"quit", "client|tracking", "cluster|setslot", "cluster|slot-stats"}


class Declaration(NamedTuple):
    arity: int
    flags: frozenset[str]
    keys: tuple[int, ...]  # first, last, step
    categories: frozenset[str]
    tips: frozenset[str]
    key_specs: list[tuple[frozenset[str], Reply, Reply]]  # flags, begin_search, find_keys


class ArgumentDocument(NamedTuple):
    name: str
    type: str
    token: str
    flags: frozenset[str]
    parts: list["ArgumentDocument"]


def test_every_redis_command_is_decided(redis_port: int) -> None:
    undecided = [name for name in declarations(redis_port) if not is_declared(name) and not is_refused(name)]
    assert not undecided


def test_no_command_is_decided_twice(redis_port: int) -> None:
    assert not [name for name in declarations(redis_port) if is_declared(name) and is_refused(name)]


def test_redis_has_every_refused_command(redis_port: int) -> None:
    known = {name.upper().encode() for name in declarations(redis_port)}
    assert REFUSED.keys() - known == {b"SENTINEL"}  # which only a Sentinel has


def is_declared(name: str) -> bool:
    container, _, subcommand = name.upper().encode().partition(b"|")
    command = COMMANDS.get(container)
    return command is not None and (not subcommand or subcommand in command.subcommands)


def is_refused(name: str) -> bool:
    container = name.upper().partition("|")[0]
    return not {name.upper().encode(), container.encode()}.isdisjoint(REFUSED)


def test_refusals_are_not_retried() -> None:
    for error in REFUSED.values():
        assert error.startswith(b"-ERR respid does not support ")
        assert b"unknown command" not in error
        assert error.count(b"\r\n") == 1
        assert len(error) < LONGEST_SHOWN


def test_every_constant_answer_is_compared() -> None:
    sent = b"".join(stream.sent for stream in STREAMS).upper()
    for command in COMMANDS.values():
        for each in (command, *command.subcommands.values()):
            if CONSTANT in each.flags:
                assert b"\r\n".join(frames(each.name)) in sent, each.name


def frames(name: str) -> list[bytes]:
    return [b"$%d\r\n%s" % (len(word), word.encode()) for word in name.upper().split("|")]


def test_declarations_match_redis(server: RunningServer, redis_port: int) -> None:
    ours, theirs = declarations(server.port), declarations(redis_port)
    assert ours.keys() - theirs.keys() == OWN
    shared = ours.keys() & theirs.keys()
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


def test_types_match_redis_in_resp3(server: RunningServer, redis_port: int) -> None:
    ours, theirs = resp3_types(server.port), resp3_types(redis_port)
    shared = ours.keys() & theirs.keys()
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


def resp3_types(port: int) -> dict[str, list[str]]:
    """The types of the elements that describe a command, of each without subcommands."""
    with RawClient(port) as client:
        client.send(request("HELLO", "3"))
        client.receive_reply()
        client.send(request("COMMAND"))
        commands = parse_reply(client.receive_reply())[0].elements
    described = {text(each.elements[0]): each.elements for each in commands}
    return {name: [each.type for each in fields] for name, fields in described.items() if not fields[-1].elements}


def test_arguments_match_redis(server: RunningServer, redis_port: int) -> None:
    ours, theirs = documents(server.port), documents(redis_port)
    shared = (ours.keys() & theirs.keys()) - OTHER_ARGUMENTS
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


def documents(port: int) -> dict[str, tuple[str, list[ArgumentDocument]]]:
    """The version since which Redis has each command and subcommand, and its arguments, as in COMMAND DOCS."""
    found: dict[str, tuple[str, list[ArgumentDocument]]] = {}
    pending = members(only_reply(port, "COMMAND", "DOCS"))
    while pending:
        name, document = pending.popitem()
        fields = members(document)
        arguments = [argument_document(each) for each in fields["arguments"].elements] if "arguments" in fields else []
        found[name] = (text(fields["since"]) if "since" in fields else "", arguments)
        pending |= members(fields["subcommands"]) if "subcommands" in fields else {}
    return found


def argument_document(reply: Reply) -> ArgumentDocument:
    fields = members(reply)
    parts = [argument_document(each) for each in fields["arguments"].elements] if "arguments" in fields else []
    flags = texts(fields["flags"]) if "flags" in fields else frozenset[str]()
    token = text(fields["token"]) if "token" in fields else ""
    return ArgumentDocument(text(fields["name"]), text(fields["type"]), token, flags, parts)


def members(reply: Reply) -> dict[str, Reply]:
    return {text(name): value for name, value in zip(reply.elements[::2], reply.elements[1::2], strict=True)}


def declarations(port: int) -> dict[str, Declaration]:
    """The declarations of commands and subcommands in COMMAND, by name."""
    found: dict[str, Declaration] = {}
    pending = list(only_reply(port, "COMMAND").elements)
    while pending:
        name, arity, flags, first, last, step, categories, tips, specs, subcommands = pending.pop().elements
        keys = tuple(int(text(number)) for number in (first, last, step))
        key_specs = [key_spec(members(spec)) for spec in specs.elements]
        found[text(name)] = Declaration(int(text(arity)), texts(flags), keys, texts(categories), texts(tips), key_specs)
        pending += subcommands.elements
    return found


def key_spec(spec: dict[str, Reply]) -> tuple[frozenset[str], Reply, Reply]:
    return texts(spec["flags"]), spec["begin_search"], spec["find_keys"]


def only_reply(port: int, *arguments: str) -> Reply:
    with RawClient(port) as client:
        client.send(request(*arguments))
        return parse_reply(client.receive_reply())[0]


def texts(reply: Reply) -> frozenset[str]:
    return frozenset(map(text, reply.elements))


def text(reply: Reply) -> str:
    assert reply.text is not None
    return reply.text.decode()
