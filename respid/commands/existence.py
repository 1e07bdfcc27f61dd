"""Commands that depend on whether a key exists. Every key does: INCR works on each."""

from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors

_SET_NOT_DONE = encoder.integer(0)

generic = CommandGroup("generic")
strings = CommandGroup("string")
hashes = CommandGroup("hash")


@generic.command(
    "EXISTS key [key ...]",
    "Returns the number of given keys: every key exists.",
    "readonly fast constant repeats",
)
@generic.command(
    "TOUCH key [key ...]",
    "Returns the number of given keys: every key exists.",
    "readonly fast constant repeats",
    since="3.2.1",
)
def count_keys(_session: Session, arguments: list[bytes]) -> Reply:
    return encoder.integer(len(arguments) - 1)


@hashes.command("HEXISTS key field", "Returns 1: every field exists.", "readonly fast constant repeats", since="2.0.0")
def hexists(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(1)


@generic.command("TYPE key", "Returns string, the type of a counter.", "readonly fast constant repeats")
def type_(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.simple_string("string")


generic.container("OBJECT", "A container for commands about the storage of keys.", since="2.2.3", help_since="6.2.0")


@generic.subcommand(
    "OBJECT ENCODING key",
    "Returns int, the encoding of a counter.",
    "readonly constant",
    since="2.2.3",
)
def object_encoding(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.bulk_string(b"int")


@strings.command("SETNX key value", "Returns 0: every key exists.", "write denyoom fast constant")
@hashes.command(
    "HSETNX key field value", "Returns 0: every field exists.", "write denyoom fast constant", since="2.0.0"
)
def refuse_to_overwrite(_session: Session, _arguments: list[bytes]) -> Reply:
    return _SET_NOT_DONE


@strings.command(
    "MSETNX key value [key value ...]", "Returns 0: every key exists.", "write denyoom constant", since="1.0.1"
)
def msetnx(_session: Session, arguments: list[bytes]) -> Reply:
    return _SET_NOT_DONE if len(arguments) % 2 else errors.wrong_arity("msetnx")
