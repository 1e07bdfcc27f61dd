"""Addresses as text: HOST:PORT, and those that stand for all of this machine. Never opens a socket."""

from collections.abc import Iterable

ALL = "*"
ALL_IPV4 = "0.0.0.0"  # noqa: S104 - a name, not a socket
ALL_IPV6 = "::"
_LOCAL = {ALL: ["127.0.0.1", "::1"], ALL_IPV4: ["127.0.0.1"], ALL_IPV6: ["::1"]}


def host_port(host: str, port: int) -> str:
    """HOST:PORT, with an IPv6 address in brackets, as Redis writes it.

    >>> host_port("::1", 6379)
    '[::1]:6379'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_ports(hosts: Iterable[str], port: int) -> str:
    """Each of the hosts with the port, for a message."""
    return ", ".join(host_port(host, port) for host in hosts)


def local_addresses(bind: Iterable[str]) -> list[str]:
    """The addresses at which a listener on these can be reached from this machine, the most likely one first.

    >>> local_addresses(["10.0.0.5", "*"])
    ['10.0.0.5', '127.0.0.1', '::1']
    """
    return [address for bound in bind for address in _LOCAL.get(bound, [bound])]


def is_all(bind: Iterable[str]) -> bool:
    """Whether the loopback addresses are among those of a listener on these."""
    return any(address in _LOCAL for address in bind)
