"""Redis's own error texts, so that drivers recognise them. Each is a whole reply or makes one."""

_LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")
_SHOWN_ARGUMENT_BYTES = 128  # Redis shows no more than this of what a client sent


def error(message: str | bytes) -> bytes:
    """An error reply; the message begins with its code, such as ERR or LOADING."""
    if isinstance(message, str):
        message = message.encode()
    return b"-" + message.translate(_LINE_BREAKS) + b"\r\n"


def unknown_command(arguments: list[bytes]) -> bytes:
    shown = b""
    for argument in arguments[1:]:
        if len(shown) >= _SHOWN_ARGUMENT_BYTES:
            break
        shown += b"'" + argument[: _SHOWN_ARGUMENT_BYTES - len(shown)] + b"' "
    name = arguments[0][:_SHOWN_ARGUMENT_BYTES]
    return error(b"ERR unknown command '" + name + b"', with args beginning with: " + shown)


def unknown_subcommand(container: str, subcommand: bytes) -> bytes:
    return error(
        b"ERR unknown subcommand '%s'. Try %s HELP." % (subcommand[:_SHOWN_ARGUMENT_BYTES], container.upper().encode())
    )


def wrong_arity(full_name: str) -> bytes:
    return error(f"ERR wrong number of arguments for '{full_name}' command")


def no_protocol(version: bytes) -> bytes:
    del version  # Redis does not repeat it
    return NO_PROTOCOL


def loading(reason: str) -> bytes:
    """No ID can be issued now: the code that most drivers retry by themselves, and that PHP does not take for an ID."""
    return error(f"LOADING respid cannot issue IDs: {reason}")


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
INVALID_CLIENT_NAME = error("ERR Client names cannot contain spaces, newlines or special characters.")
DATABASE_OUT_OF_RANGE = error("ERR DB index is out of range")
CLUSTER_DISABLED = error("ERR This instance has cluster support disabled")
MAX_CLIENTS = error("ERR max number of clients reached")

NESTED_MULTI = error("ERR MULTI calls can not be nested")
WATCH_INSIDE_MULTI = error("ERR WATCH inside MULTI is not allowed")
NOT_ALLOWED_IN_MULTI = error("ERR Command not allowed inside a transaction")
EXEC_WITHOUT_MULTI = error("ERR EXEC without MULTI")
DISCARD_WITHOUT_MULTI = error("ERR DISCARD without MULTI")
EXEC_ABORTED = error("EXECABORT Transaction discarded because of previous errors.")
