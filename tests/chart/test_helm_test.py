"""Runs the program of `helm test` against real servers, each on its own loopback address like a pod."""

import asyncio
import importlib.util
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.ports import free_port
from tests.chart.rendering import CHART, render
from tests.support.needed_tools import need_tool
from tests.support.running import StartServer

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
    """Checks the pods ids-0.pods, at 127.0.0.2, and up. Returns the exit code of the program."""

    def check_pods(count: int, port: int, *, offset: int = 0, tls: bool = False) -> int:
        addresses = {f"ids-{number}.pods": f"127.0.0.{number + 2}" for number in range(count)}
        look_up = socket.getaddrinfo

        def look_up_pod(host: str, *arguments: object, **options: object) -> object:
            if host.endswith(".pods") and host not in addresses:
                raise socket.gaierror
            return look_up(addresses.get(host, host), *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", look_up_pod)
        return int(program.main("ids", "pods", port, offset, "41/10/12", tls=tls))

    return check_pods


@pytest.fixture(scope="module")
def port(start_module_server: StartServer) -> int:
    """The port of three pods: two with worker IDs 0 and 1, and one whose worker ID differs from its index."""
    port = free_port()
    for pod, worker_id in enumerate(("0", "1", "7")):
        start_module_server("--bind", f"127.0.0.{pod + 2}", port=port, worker_id=worker_id)
    return port


def test_succeeds_when_every_pod_has_its_worker_id(check: Check, port: int) -> None:
    assert check(2, port) == 0


def test_wrong_worker_id_fails(check: Check, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(3, port) == 1
    assert "ids-2.pods: 500 IDs, 0 repeated, worker ID {7}, expected 2" in capsys.readouterr().out


def test_offset_is_added_to_the_worker_id(check: Check, port: int) -> None:
    assert check(2, port, offset=1) == 2


def test_silent_pod_fails(check: Check, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(4, port) == 2
    assert "ids-3.pods: [Errno 111] Connection refused" in capsys.readouterr().out


def test_no_pods_fails(check: Check, program: ModuleType, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WAIT_SECONDS", 0)
    assert check(0, port) == 1


def test_the_first_pod_may_get_its_address_late(
    check: Check, program: ModuleType, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_address, late = program.has_address, iter([False, False])
    monkeypatch.setattr(program, "has_address", lambda host: next(late, True) and has_address(host))
    assert check(2, port) == 0


def test_repeated_id_fails(check: Check, program: ModuleType, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "draw", lambda *_, **__: [1 << 12, 1 << 12 | 1, 1 << 12])
    assert check(2, port) == 2


def test_first_password_of_the_secret_is_used(
    check: Check, program: ModuleType, start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server("--bind", "127.0.0.2", worker_id="0", RESPID_PASSWORD="new secret")
    passwords = tmp_path / "passwords"
    monkeypatch.setattr(program, "AUTH_FILE", passwords)
    passwords.write_bytes(b"new secret\r\nold\n")
    assert check(1, server.port) == 0
    passwords.write_bytes(b"\n\r\nnew secret\n")
    assert check(1, server.port) == 0
    passwords.write_bytes(b"old\nnew secret\n")
    assert check(1, server.port) == 1


def test_the_password_of_the_environment_is_used(
    check: Check, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server("--bind", "127.0.0.2", worker_id="0", RESPID_PASSWORD="new secret")
    assert check(1, server.port) == 1
    monkeypatch.setenv("RESPID_PASSWORD", "new secret")
    assert check(1, server.port) == 0


def test_the_pod_has_the_password_variable_of_the_workers() -> None:
    password = {"name": "RESPID_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "ids", "key": "password"}}}
    rendered = render({"extraEnv": [{"name": "TZ", "value": "UTC"}, password]})
    (container,) = rendered.one("Pod")["spec"]["containers"]
    assert container["env"][-1] == password
    assert "TZ" not in {each["name"] for each in container["env"]}
    assert "--askpass INCR" in rendered.notes


@pytest.fixture
def tls_files(tmp_path: Path) -> Path:
    """A directory with the files of a Secret for TLS."""
    for name in ("pods", "others"):
        (tmp_path / name).mkdir()
        make = "req -x509 -newkey rsa:2048 -nodes -subj /CN=ids -days 2 -keyout tls.key -out tls.crt"
        subprocess.run([need_tool("openssl"), *make.split()], cwd=tmp_path / name, capture_output=True, check=True)
        shutil.copy(tmp_path / name / "tls.crt", tmp_path / name / "ca.crt")
    return tmp_path


async def test_tls_pod_is_verified_with_the_secrets_ca(
    check: Check, program: ModuleType, port: int, tls_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls_files / "pods" / "ca.crt")
    context.load_cert_chain(tls_files / "pods" / "tls.crt", tls_files / "pods" / "tls.key")
    context.verify_mode = ssl.CERT_REQUIRED

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_pod, to_pod = await asyncio.open_connection("127.0.0.2", port)
        await asyncio.gather(pump(reader, to_pod), pump(from_pod, writer))

    async with await asyncio.start_server(forward, "127.0.0.2", 0, ssl=context) as proxy:
        tls_port = proxy.sockets[0].getsockname()[1]
        for directory, exit_code in (("pods", 0), ("others", 1)):
            monkeypatch.setattr(program, "TLS_FILES", tls_files / directory)
            assert await asyncio.to_thread(check, 1, tls_port, tls=True) == exit_code


def test_chart_contains_the_program_unchanged() -> None:
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
