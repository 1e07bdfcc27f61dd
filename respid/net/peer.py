"""The two ends of a connection: their addresses, TCP keepalive, and how long the client has been silent."""

import asyncio
import socket
import sys

from respid.net.address import host_port

KEEPALIVE_PROBES = 3  # unanswered ones, a third of the interval apart, after which a client is gone; as in Redis
_LAST_DATA_RECEIVED = slice(52, 56)  # of struct tcp_info, in milliseconds


def describe_peer(transport: asyncio.Transport) -> str:
    """The address of the client, as HOST:PORT or [HOST]:PORT; "unknown:0" when it has already left."""
    return _describe(transport.get_extra_info("peername"))


def describe_local_end(transport: asyncio.Transport) -> str:
    """The address that the client is connected to, in the same form."""
    return _describe(transport.get_extra_info("sockname"))


def _describe(address: object) -> str:
    match address:
        case (str(host), int(port), *_):
            return host_port(host, port)
        case str() | bytes():
            return "unix:0"
    return "unknown:0"


def idle_seconds(connected: socket.socket) -> int:
    """How long the client has sent nothing, in whole seconds; 0 where the system does not tell.

    Linux knows it of TCP sockets, so no request has to read a clock for it.
    """
    if sys.platform != "linux" or connected.family not in (socket.AF_INET, socket.AF_INET6):
        return 0
    # uvloop's own method makes a socket of the class in the module `socket`, which takes three times as long.
    borrowed = socket.SocketType(connected.family, connected.type, connected.proto, connected.fileno())
    try:
        tcp_info = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED.stop)
    finally:
        borrowed.detach()
    return int.from_bytes(tcp_info[_LAST_DATA_RECEIVED], sys.byteorder) // 1000


def keep_alive(connected: socket.socket | None, seconds: int) -> None:
    """Makes the system probe a client that has been silent for so many seconds; 0 turns that off."""
    if not seconds or connected is None or connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // KEEPALIVE_PROBES))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
