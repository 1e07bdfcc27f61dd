"""Ports for servers that are about to be started."""

import contextlib
import itertools
import secrets
import socket
from collections.abc import Iterator

# Below those of outgoing connections: a crowd that reopens its connections would take one before its server listens.
PORTS = range(10_000, 30_000)
_start = secrets.randbelow(len(PORTS))  # so that processes that run at the same time hardly meet
_candidates: Iterator[int] = itertools.cycle([*PORTS[_start:], *PORTS[:_start]])


def free_port() -> int:
    """Returns a port of the loopback interface that nothing listens on."""
    return next(port for port in _candidates if is_free(port))


def is_free(port: int) -> bool:
    """Whether nothing listens on this port of the loopback interface."""
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return True
    return False
