"""The sockets on which clients of Redis are waited for, and what may go wrong when they are opened. Never reads one."""

import asyncio
import errno
import ipaddress
import logging
from collections.abc import Callable

from respid.config import Config
from respid.protocol import RespListener, RespProtocol

BACKLOG = 1024
_log = logging.getLogger(__name__)


class StartError(Exception):
    """The server cannot start; the message is one line that says what to do."""


class RespListeners:
    """All listeners for clients of Redis."""

    def __init__(self, config: Config, resp: RespListener) -> None:
        self._config = config
        self._resp = resp
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        """Raises StartError."""
        config, loop = self._config, self._resp.loop
        self._servers.append(await listen(loop, lambda: RespProtocol(self._resp), config.bind, config.port))
        if not self._resp.worker.credentials.are_needed:
            self._warn_of_strangers()

    def close(self) -> None:
        """Lets nobody in any more; who is connected stays."""
        for server in self._servers:
            server.close()

    def _warn_of_strangers(self) -> None:
        """Refusing them, as redis-server's protected mode does, would break a first installation in a cluster."""
        for server in self._servers:
            for host, port, *_ in (listening.getsockname() for listening in server.sockets):
                if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
                    _log.warning(
                        "no password: whoever reaches %s port %d can draw IDs; set RESPID_PASSWORD_FILE", host, port
                    )


async def listen(
    loop: asyncio.AbstractEventLoop, factory: Callable[[], asyncio.Protocol], bind: str, port: int, prefix: str = ""
) -> asyncio.Server:
    """Listens where the options `--{prefix}bind` and `--{prefix}port` say. Raises StartError."""
    try:
        return await loop.create_server(factory, bind, port, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:  # the latter of a name that cannot be looked up
        number = getattr(error, "errno", None)
        advice = f"set --{prefix}bind to an address of this machine"
        if number in (errno.EADDRINUSE, errno.EACCES):
            advice = f"choose another --{prefix}port"
        if number == errno.EADDRINUSE:
            advice += ", or stop what uses it"
        reason = getattr(error, "strerror", None) or error
        raise StartError(f"cannot listen on {bind}:{port}: {reason}; {advice}") from None
