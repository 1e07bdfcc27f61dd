"""Error replies, in the texts of Redis, so that drivers recognise them."""

FIRST_BYTE = ord("-")  # of an error, and of no other reply
_LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")
_SHOWN_ARGUMENT_BYTES = 128  # Redis repeats no more of a request


def error(message: str | bytes) -> bytes:
    """Encodes an error reply; the message begins with its code, such as ERR or LOADING."""
    if isinstance(message, str):
        message = message.encode("utf-8", "surrogateescape")
    return b"-" + message.rstrip(b"\r\n").translate(_LINE_BREAKS) + b"\r\n"


def unknown_command(arguments: list[bytes]) -> bytes:
    shown = b""
    for argument in arguments[1:]:
        if len(shown) >= _SHOWN_ARGUMENT_BYTES:
            break
        shown += b"'%s' " % _shown(argument, _SHOWN_ARGUMENT_BYTES - len(shown))
    return error(b"ERR unknown command '%s', with args beginning with: %s" % (_shown(arguments[0]), shown))


def unsupported_option(option: bytes) -> bytes:
    return error(b"ERR Unsupported option " + _shown(option, len(option)))


def _shown(argument: bytes, most: int = _SHOWN_ARGUMENT_BYTES) -> bytes:
    """Returns the part of an argument that Redis repeats: it ends at a NUL byte."""
    return argument[:most].partition(b"\0")[0]


def unknown_subcommand(container: str, subcommand: bytes) -> bytes:
    return error(b"ERR unknown subcommand '%s'. Try %s HELP." % (_shown(subcommand), container.upper().encode()))


def wrong_subcommand_syntax(container: str, subcommand: bytes) -> bytes:
    return error(
        b"ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP."
        % (_shown(subcommand), container.upper().encode())
    )


def wrong_arity(full_name: str) -> bytes:
    return error(f"ERR wrong number of arguments for '{full_name}' command")


def own_syntax(usage: str) -> bytes:
    """A syntax error in a command that Redis does not have, so that only respid can say how it is used."""
    return error(f"ERR syntax error; usage: {usage}")


def own_wrong_arity(full_name: str, usage: str) -> bytes:
    return error(f"ERR wrong number of arguments for '{full_name}' command; usage: {usage}")


def invalid_expiry(command: str) -> bytes:
    return error(f"ERR invalid expire time in '{command}' command")


def exec_aborted_by(error_reply: bytes) -> bytes:
    """Returns the reply to an EXEC that is refused, given the error that any other command would get."""
    reason = error_reply.removeprefix(b"-").removeprefix(b"ERR ").removesuffix(b"\r\n")
    return error(b"EXECABORT Transaction discarded because of: " + reason)


def hello_syntax(option: bytes) -> bytes:
    return error(b"ERR Syntax error in HELLO option '%s'" % option.partition(b"\0")[0])


def loading(reason: str) -> bytes:
    """Means that no ID can be issued now. Most drivers retry on this code, and PHP does not mistake it for an ID."""
    return error(f"LOADING respid cannot issue IDs: {reason}")


def queue_full(most: int) -> bytes:
    """Means that a transaction is too large to queue. Redis uses this code when it lacks memory for a command."""
    return error(
        f"OOM more than {most} commands, or KiB of arguments, queued by MULTI;"
        " use smaller transactions, or raise RESPID_MAX_QUEUED_COMMANDS"
    )


SYNTAX = error("ERR syntax error")
NOT_AN_INTEGER = error("ERR value is not an integer or out of range")
NOT_A_FLOAT = error("ERR value is not a valid float")
NO_PROTOCOL = error("NOPROTO unsupported protocol version")
PROTOCOL_NOT_AN_INTEGER = error("ERR Protocol version is not an integer or out of range")
NOT_AUTHENTICATED = error("NOAUTH Authentication required.")
HELLO_NOT_AUTHENTICATED = error(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass>"
    " option can be used to authenticate the client and select the RESP protocol version at the same time"
)
WRONG_PASSWORD = error("WRONGPASS invalid username-password pair or user is disabled.")
NO_PASSWORD_SET = error(
    "ERR AUTH <password> called without any password configured for the default user."
    " Are you sure your configuration is correct?"
)
NOT_AN_INT = error("ERR value is out of range, value must between -2147483648 and 2147483647")
DATABASE_OUT_OF_RANGE = error("ERR DB index is out of range")
SLOWLOG_COUNT = error("ERR count should be greater than or equal to -1")
CLUSTER_DISABLED = error("ERR This instance has cluster support disabled")
MAX_CLIENTS = error("ERR max number of clients reached")

NESTED_MULTI = error("ERR MULTI calls can not be nested")
WATCH_INSIDE_MULTI = error("ERR WATCH inside MULTI is not allowed")
EXEC_WITHOUT_MULTI = error("ERR EXEC without MULTI")
DISCARD_WITHOUT_MULTI = error("ERR DISCARD without MULTI")
EXEC_ABORTED = error("EXECABORT Transaction discarded because of previous errors.")
