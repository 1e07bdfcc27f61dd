"""Binds listening sockets, and explains why one cannot be bound."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from functools import partial

from respid.net.address import ALL, ALL_IPV4, ALL_IPV6, host_port

BACKLOG = 1024
# Errors of a machine that has no IPv4 or no IPv6: disabled in the kernel, or on the loopback interface only.
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
_ALL = (ALL_IPV4, ALL_IPV6)
_Resolved = tuple[socket.AddressFamily, tuple[str, int]]


class StartError(Exception):
    """The server cannot start. The message is one line that says what to do."""


async def listen(
    loop: asyncio.AbstractEventLoop, factory: Callable[[], asyncio.Protocol], sockets: list[socket.socket]
) -> list[asyncio.Server]:
    return [await loop.create_server(factory, sock=each, backlog=BACKLOG) for each in sockets]


def bind(
    addresses: tuple[str, ...], port: int, bind_option: str, port_option: str, *, reuse_port: bool = False
) -> list[socket.socket]:
    """Returns listening sockets for all these addresses. Raises StartError, which names the options to change.

    IPv4 and IPv6 have a socket each, so that IPv4 clients have IPv4 addresses. `*`, or a host name with addresses of
    both, is satisfied with one of them where the machine lacks the other. Two names of one address share a socket,
    and an address shares the socket of all addresses of its family.
    With `reuse_port`, several processes can listen on the port.
    """
    explain = partial(_start_errors, bind_option=bind_option, port_option=port_option)
    targets: list[tuple[str, list[_Resolved]]] = []
    for address in addresses:
        with explain(host_port(address, port)):
            targets.append((host_port(address, port), _resolve(address, port)))
    targets.sort(key=lambda target: not any(sockname[0] in _ALL for _, sockname in target[1]))
    sockets: list[socket.socket] = []
    bound: set[_Resolved] = set()
    try:
        for name, found in targets:
            with explain(name):
                unbound, covered = [each for each in found if each not in bound], _covered(sockets)
                new = [each for each in unbound if each[0] not in covered]
                _need([each for each in unbound if each[0] in covered])
                served = {each[0] for each in found if each not in new}
                opened = _bind(new, served, reuse_port=reuse_port)
                bound.update(each for each in new if each[0] in _families(opened))
                sockets += opened
    except StartError:
        _close(sockets)
        raise
    return sockets


def _covered(sockets: list[socket.socket]) -> set[socket.AddressFamily]:
    """The families of which all addresses have a socket already."""
    return {each.family for each in sockets if each.getsockname()[0] in _ALL}


def _families(sockets: list[socket.socket]) -> set[socket.AddressFamily]:
    return {each.family for each in sockets}


def _bind(found: list[_Resolved], served: set[socket.AddressFamily], *, reuse_port: bool) -> list[socket.socket]:
    """Binds the addresses of one name, which has sockets already in the families `served`. Raises OSError."""
    sockets: list[socket.socket] = []
    missing: dict[socket.AddressFamily, OSError] = {}
    try:
        for family, address in found:
            try:
                sockets.append(socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=reuse_port))
            except OSError as error:
                if error.errno not in _NO_SUCH_FAMILY:
                    raise
                missing.setdefault(family, error)
        present = served | _families(sockets)
        for family, lack in missing.items():
            if not present or family in present:  # the machine does not lack the family
                raise lack
    except OSError:
        _close(sockets)
        raise
    return sockets


def _need(addresses: list[_Resolved]) -> None:
    """Raises OSError unless the machine has these addresses, which share the socket of all."""
    for family, address in addresses:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address[0], 0, *address[2:]))


def _resolve(address: str, port: int) -> list[_Resolved]:
    """Raises OSError, UnicodeError."""
    hosts = [ALL_IPV4, ALL_IPV6] if address == ALL else [address]
    # The codec of names that are not ASCII takes 3 ms to import.
    encoded = [host.encode() if host.isascii() else host for host in hosts]
    found = [each for host in encoded for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    return list(dict.fromkeys((family, resolved) for family, _, _, _, resolved in found))  # type: ignore[misc]


def _close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


@contextlib.contextmanager
def _start_errors(address: str, bind_option: str, port_option: str) -> Iterator[None]:
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
        raise StartError(f"cannot listen on {address}: {_reason(error)}; {advice}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno and error.errno > 0:  # a resolver's errors have negative numbers
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error)
