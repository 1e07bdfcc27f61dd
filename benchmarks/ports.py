"""Ports for servers that are about to be started."""

import contextlib
import functools
import itertools
import random
import socket
from collections.abc import Iterator

# Below those of outgoing connections: a crowd that reopens its connections would take one before its server listens.
PORTS = range(10_000, 30_000)
# Each process takes ports of its own: a busy machine may take seconds until a server listens on a port that was free.
SHARE = 500  # more than a process uses within a minute


def free_port() -> int:
    """Returns a port of the loopback interface that nothing listens on, and that no other process gets here."""
    return next(port for port in _candidates() if is_free(port))


def is_free(port: int) -> bool:
    """Whether nothing listens on this port of the loopback interface."""
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return True
    return False


@functools.cache
def _candidates() -> Iterator[int]:
    """The ports of the first share, in random order, that this process can take."""
    firsts = random.sample(PORTS[::SHARE], len(PORTS) // SHARE)
    first = next(first for first in firsts if _take(first))
    return itertools.cycle(range(first + 1, first + SHARE))


def _take(first: int) -> bool:
    """Takes the share that begins with this port, by keeping the port until this process ends."""
    guard = socket.socket()
    try:
        guard.bind(("127.0.0.1", first))
    except OSError:
        guard.close()
        return False
    guard.detach()
    return True
