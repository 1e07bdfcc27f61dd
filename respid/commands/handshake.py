"""HELLO and AUTH: protocol version and authentication."""

from typing import NamedTuple

from respid.commands.names import refuse_name
from respid.commands.session import Reply, Session
from respid.commands.table import ALWAYS, CommandGroup
from respid.resp import encoder, errors
from respid.resp.reader import parse_integer
from respid.worker.credentials import DEFAULT_USER

# The Redis version that respid reports: the newest for which drivers send only commands that need no stored data.
REDIS_VERSION = "7.4.0"

group = CommandGroup("connection")


@group.command("AUTH [username] password", "Authenticates the connection.", f"{ALWAYS} fast no_auth")
def auth(session: Session, arguments: list[bytes]) -> Reply:
    match arguments[1:]:
        case [password]:
            if not session.worker.credentials.are_needed:
                return errors.NO_PASSWORD_SET
            username = DEFAULT_USER.encode()
        case [username, password]:
            pass
        case _:
            return errors.SYNTAX
    return encoder.OK if _authenticate(session, username, password) else errors.WRONG_PASSWORD


def _authenticate(session: Session, username: bytes, password: bytes) -> bool:
    user = session.worker.credentials.find_user(username, password)
    if user is None:
        session.worker.count_auth_failure(session.address)
        return False
    session.authenticated = True
    session.user = user
    return True


@group.command(
    "HELLO [protover [AUTH username password] [SETNAME clientname]]",
    "Sets the protocol version; returns information about the server.",
    f"{ALWAYS} fast no_auth",
    since="6.0.0",
)
def hello(session: Session, arguments: list[bytes]) -> Reply:
    version = session.version
    if len(arguments) > 1:
        number = parse_integer(arguments[1])
        if number is None:
            return errors.PROTOCOL_NOT_AN_INTEGER
        if number not in (2, 3):
            return errors.NO_PROTOCOL
        version = number
    options = _parse_hello_options(arguments[2:])
    if isinstance(options, bytes):
        return options
    if options.credentials is not None and not _authenticate(session, *options.credentials):
        return errors.WRONG_PASSWORD
    if not session.authenticated:
        return errors.HELLO_NOT_AUTHENTICATED
    session.version = version
    if options.name is not None:
        session.name = options.name
    return encoder.encode(
        {
            "server": "redis",
            "version": REDIS_VERSION,
            "proto": version,
            "id": session.identifier,
            "mode": "standalone",
            "role": "master",
            "modules": [],
        },
        version,
    )


class _HelloOptions(NamedTuple):
    credentials: tuple[bytes, bytes] | None
    name: bytes | None


def _parse_hello_options(options: list[bytes]) -> _HelloOptions | bytes:
    """The options of HELLO, or an error reply."""
    credentials: tuple[bytes, bytes] | None = None
    name: bytes | None = None
    while options:
        match options[0].upper(), options[1:]:
            case b"AUTH", [username, password, *rest]:
                credentials = username, password
            case b"SETNAME", [name, *rest]:
                if refusal := refuse_name(b"Client names", name):
                    return refusal
            case _:
                return errors.hello_syntax(options[0])
        options = rest
    return _HelloOptions(credentials, name)
