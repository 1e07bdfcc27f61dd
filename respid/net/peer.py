"""The other end of a connection: its address, and whether it is still there."""

import asyncio
import socket

KEEPALIVE_PROBES = 3  # that are not answered, a third of the time apart, before a client is gone; as Redis does


def describe_peer(transport: asyncio.Transport) -> str:
    """Where the client is, as HOST:PORT; unknown when it has gone already."""
    match transport.get_extra_info("peername"):
        case (host, port, *_):
            return f"{host}:{port}"
        case str() | bytes():
            return "unix:0"
    return "unknown:0"


def keep_alive(connected: socket.socket | None, seconds: int) -> None:
    """Has the system find out that a client is gone, when it has been silent for so long; 0 is never."""
    if not seconds or connected is None or connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // KEEPALIVE_PROBES))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
