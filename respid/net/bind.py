"""Binds listening sockets, and explains why one cannot be bound."""

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Iterator

BACKLOG = 1024


class StartError(Exception):
    """The server cannot start. The message is one line that says what to do."""


async def listen(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], asyncio.Protocol],
    bind: str,
    port: int,
    prefix: str = "",
    *,
    reuse_port: bool = False,
) -> asyncio.Server:
    """Listens on an address that the options `--{prefix}bind` and `--{prefix}port` set. Raises StartError."""
    with start_errors(f"{bind}:{port}", f"--{prefix}bind", f"--{prefix}port"):
        return await loop.create_server(factory, bind, port, backlog=BACKLOG, reuse_port=reuse_port)


@contextlib.contextmanager
def start_errors(address: str, bind_option: str, port_option: str) -> Iterator[None]:
    """Turns an error into a StartError that names the options to change."""
    try:
        yield
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be encoded
        number = getattr(error, "errno", None)
        advice = f"set {bind_option} to an address of this machine"
        if number in (errno.EADDRINUSE, errno.EACCES):
            advice = f"choose another {port_option}"
        if number == errno.EADDRINUSE:
            advice += ", or stop the process that uses it"
        raise StartError(f"cannot listen on {address}: {_describe(error)}; {advice}") from None


def _describe(error: OSError | UnicodeError) -> str:
    """Returns the reason alone: the event loop's own text repeats the address."""
    if isinstance(error, OSError) and error.errno and error.errno > 0:  # socket.gaierror has negative numbers
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error)
