"""The addresses that the server listens on: several, all of them, IPv4 and IPv6."""

import errno
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ports import free_port
from respid.net.bind import StartError, bind
from tests.support.command_line import run_command_line
from tests.support.network_namespace import DUAL_STACK, IPV4_ONLY, IPV6_ONLY, run_in_network

ALL_IPV4, ALL_IPV6 = "0.0.0.0", "::"


def reach(families: str, bound: str, directory: Path) -> Any:
    return json.loads(run_in_network(families, "tests.net.reachability_program", str(directory / "log"), bound))


@pytest.mark.parametrize(
    ("families", "bound", "reached"),
    [
        (DUAL_STACK, "*", ["127.0.0.1", "::1"]),
        (DUAL_STACK, "127.0.0.1,[::1]", ["127.0.0.1", "::1"]),
        (IPV4_ONLY, "*", ["127.0.0.1"]),
        (IPV6_ONLY, "*", ["::1"]),
    ],
)
def test_clients_of_each_family_are_served(families: str, bound: str, reached: list[str], tmp_path: Path) -> None:
    seen = reach(families, bound, tmp_path)
    assert {host for host, address in seen["resp"].items() if address == shown(host)} == set(reached), seen
    assert {host for host, status in seen["http"].items() if status == "200"} == set(reached), seen
    assert seen["healthcheck"] == "ready"
    resp, http = (", ".join(f"{address}:{port}" for address in bound.split(",")) for port in (6379, 8080))
    assert f" serves RESP on {resp} and HTTP on {http}: " in seen["log"]


def shown(host: str) -> str:
    """The host as CLIENT INFO shows it."""
    return f"addr=[{host}]" if ":" in host else f"addr={host}"


def test_missing_address_is_an_error(tmp_path: Path) -> None:
    seen = reach(IPV4_ONLY, "::1", tmp_path)
    assert "cannot listen on [::1]:6379: Cannot assign requested address; set --bind to an address of " in seen["log"]


@pytest.fixture
def _no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without IPv6."""

    def create_server(address: tuple[str, int], **options: Any) -> socket.socket:
        if options.get("family") == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "planted")
        return real(address, **options)

    real = socket.create_server
    monkeypatch.setattr(socket, "create_server", create_server)


@pytest.fixture
def port() -> int:
    return free_port()


def bound_addresses(*addresses: str, port: int) -> list[str]:
    sockets = bind(addresses, port, "--bind", "--port")
    try:
        return [each.getsockname()[0] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@pytest.mark.parametrize(
    ("addresses", "bound"),
    [
        (["*"], [ALL_IPV4, ALL_IPV6]),
        ([ALL_IPV6], [ALL_IPV6]),
        (["127.0.0.1", "127.0.0.1", "::1"], ["127.0.0.1", "::1"]),
        (["0:0:0:0:0:0:0:1", "::1"], ["::1"]),
        (["*", "127.0.0.1", "::1", "localhost", "*"], [ALL_IPV4, ALL_IPV6]),
        (["::1", "127.0.0.1", ALL_IPV4, "127.0.0.2"], [ALL_IPV4, "::1"]),
        ([ALL_IPV6, "*"], [ALL_IPV6, ALL_IPV4]),
    ],
)
def test_each_address_has_a_socket(addresses: list[str], bound: list[str], port: int) -> None:
    assert bound_addresses(*addresses, port=port) == bound


@pytest.mark.usefixtures("_no_ipv6")
def test_name_is_satisfied_with_an_address_that_is_bound(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: bytes, port: int, **_options: Any) -> list[Any]:
        hosts = ["::1", "127.0.0.1"] if host == b"both" else [host.decode()]
        return [(socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, port)) for each in hosts]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert bound_addresses("127.0.0.1", "both", port=port) == ["127.0.0.1"]
    assert bound_addresses("both", "*", port=port) == [ALL_IPV4]
    for explicit in ("::1", "::"):
        with pytest.raises(StartError, match=rf"^cannot listen on \[{explicit}\]:\d+: Address family not supported"):
            bound_addresses("*", explicit, port=port)


@pytest.mark.usefixtures("_no_ipv6")
def test_all_addresses_are_those_of_the_kernel(port: int) -> None:
    assert bound_addresses("*", port=port) == [ALL_IPV4]
    with pytest.raises(StartError, match=r"^cannot listen on \[::1\]:\d+: Address family not supported by protocol; "):
        bound_addresses("127.0.0.1", "::1", port=port)
    with socket.create_server(("127.0.0.1", port)):  # the error has closed the first socket
        pass


def test_name_with_an_address_of_another_machine_is_an_error(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only a missing family: clients would be sent to an address that nothing listens on."""

    def resolve(host: bytes, port: int, **_options: Any) -> list[Any]:
        hosts = ("127.0.0.1", "203.0.113.1") if host == b"two-machines" else (host.decode(),)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for others in ([], ["127.0.0.1"], [ALL_IPV4]):
        with pytest.raises(StartError, match=r"^cannot listen on two-machines:\d+: Cannot assign requested address; "):
            bound_addresses(*others, "two-machines", port=port)
    with socket.create_server(("127.0.0.1", port)):  # the error has closed the first socket
        pass


def test_port_in_use_for_one_family_is_an_error(port: int) -> None:
    with socket.create_server((ALL_IPV6, port), family=socket.AF_INET6):
        with pytest.raises(StartError, match=rf"^cannot listen on \*:{port}: Address already in use; choose another "):
            bound_addresses("*", port=port)
        assert bound_addresses(ALL_IPV4, port=port) == [ALL_IPV4]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("*", ("*",)),
        ("127.0.0.1 ::1", ("127.0.0.1", "::1")),
        ("10.0.0.5, [fd00::1]", ("10.0.0.5", "fd00::1")),
        ("[fe80::1%eth0],localhost", ("fe80::1%eth0", "localhost")),
    ],
)
def test_option_takes_several(text: str, addresses: tuple[str, ...]) -> None:
    arguments = ("--worker-id", "1", "--bind", text, "--http-bind", text)
    config = run_command_line(*arguments).config
    assert config is not None
    assert (config.bind, config.http_bind) == (addresses, addresses)
    config = run_command_line("--worker-id", "1", variables={"RESPID_BIND": text, "RESPID_HTTP_BIND": text}).config
    assert config is not None
    assert (config.bind, config.http_bind) == (addresses, addresses)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" , ", "names no address; use * for all"),
        ("localhost:6379", "'localhost:6379' is not an address; the port is an option of its own"),
        ("[::1]:6379", "'[::1]:6379' is not an address; the port is an option of its own"),
        ("[localhost]", "'[localhost]' is not an address"),
    ],
)
def test_option_refuses_other_text_than_addresses(text: str, reason: str) -> None:
    outcome = run_command_line("--worker-id", "1", "--bind", text)
    assert outcome.exit_code == 2
    assert "RESPID_BIND" in outcome.error_line
    assert reason in outcome.error_line
