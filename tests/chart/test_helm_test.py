"""The program that `helm test` runs, against real servers: each at a loopback address of its own, as pods are."""

import importlib.util
import socket
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from rendering import CHART, render
from running import StartServer, free_port

PROGRAM = CHART / "files" / "draw_from_every_pod.py"
Check = Callable[..., int]


@pytest.fixture
def program() -> ModuleType:
    specification = importlib.util.spec_from_file_location("draw_from_every_pod", PROGRAM)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def check(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Checks the pods ids-0.pods, which is 127.0.0.2, and up; gives what the program exits with."""

    def check_pods(count: int, port: int, offset: int = 0, layout: str = "41/10/12") -> int:
        addresses = {f"ids-{number}.pods": f"127.0.0.{number + 2}" for number in range(count)}
        look_up = socket.getaddrinfo

        def look_up_pod(host: str, *arguments: object, **options: object) -> object:
            if host.endswith(".pods") and host not in addresses:
                raise socket.gaierror
            return look_up(addresses.get(host, host), *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", look_up_pod)
        return int(program.main("ids", "pods", port, offset, layout, tls=False))

    return check_pods


@pytest.fixture(scope="module")
def port(start_server: StartServer) -> int:
    """Where two pods, with the worker IDs 0 and 1, and one whose worker ID is not its index, listen."""
    port = free_port()
    for pod, worker_id in enumerate(("0", "1", "7")):
        start_server("--bind", f"127.0.0.{pod + 2}", port=port, worker_id=worker_id)
    return port


def test_all_is_well_when_every_pod_has_its_worker_id(check: Check, port: int) -> None:
    assert check(2, port) == 0


def test_a_wrong_worker_id_fails(check: Check, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(3, port) == 1
    assert "ids-2.pods: 500 IDs, 0 repeated, worker ID {7}, expected 2" in capsys.readouterr().out


def test_the_offset_belongs_to_the_worker_id(check: Check, port: int) -> None:
    assert check(2, port, offset=1) == 2


def test_a_pod_that_does_not_answer_fails(check: Check, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(4, port) == 2
    assert "ids-3.pods: [Errno 111] Connection refused" in capsys.readouterr().out


def test_no_pod_at_all_fails(check: Check, port: int) -> None:
    assert check(0, port) == 1


def test_an_id_that_was_seen_before_fails(
    check: Check, program: ModuleType, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "draw", lambda *_, **__: [1 << 12, 1 << 12 | 1, 1 << 12])
    assert check(2, port) == 2


def test_the_first_password_of_the_secret_is_given(
    check: Check, program: ModuleType, start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server("--bind", "127.0.0.2", worker_id="0", RESPID_PASSWORD="new secret")
    passwords = tmp_path / "passwords"
    monkeypatch.setattr(program, "AUTH_FILE", passwords)
    passwords.write_bytes(b"new secret\r\nold\n")
    assert check(1, server.port) == 0
    passwords.write_bytes(b"old\nnew secret\n")
    assert check(1, server.port) == 1


def test_the_chart_hands_the_program_over_as_it_is() -> None:
    pod = render({"workerIdOffset": 3}).one("Pod")
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["python", "-c"]
    assert container["args"] == [PROGRAM.read_text()]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment == {
        "NAME": "demo-respid",
        "DOMAIN": "demo-respid-headless.shop.svc",
        "PORT": "6379",
        "TLS": "false",
        "OFFSET": "3",
        "LAYOUT": "41/10/12",
    }
