"""The other end of a connection: its address, and TCP keepalive."""

import asyncio
import socket

KEEPALIVE_PROBES = 3  # unanswered ones, a third of the interval apart, after which a client is gone; as in Redis


def describe_peer(transport: asyncio.Transport) -> str:
    """The address of the client, as HOST:PORT; "unknown:0" when it has already left."""
    match transport.get_extra_info("peername"):
        case (host, port, *_):
            return f"{host}:{port}"
        case str() | bytes():
            return "unix:0"
    return "unknown:0"


def keep_alive(connected: socket.socket | None, seconds: int) -> None:
    """Makes the system probe a client that has been silent for so many seconds; 0 turns that off."""
    if not seconds or connected is None or connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // KEEPALIVE_PROBES))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
