"""The Unix socket: the mode of its file, and when the file is replaced or removed."""

import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.byte_streams import request
from tests.support.command_line import run_command_line
from tests.support.needed_tools import need_tool
from tests.support.running import WAIT_SECONDS, StartServer

INCR = request("INCR", "orders")


def draw(path: Path) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(WAIT_SECONDS)
        client.connect(str(path))
        client.sendall(INCR)
        client.shutdown(socket.SHUT_WR)
        return int(client.recv(100)[1:])


@pytest.mark.parametrize(("options", "mode"), [([], 0o600), (["--unix-socket-mode", "660"], 0o660)])
def test_socket_has_mode_and_is_removed(
    start_server: StartServer, tmp_path: Path, options: list[str], mode: int
) -> None:
    path = tmp_path / "respid.sock"
    server = start_server("--unix-socket", str(path), *options)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert draw(path) < server.client().incr("orders") < draw(path)
    assert f" serves RESP on 127.0.0.1:{server.port}, {path} and HTTP on " in server.log
    assert server.stop() == 0
    assert not path.exists()


def test_redis_cli_connects(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "respid.sock"
    start_server("--unix-socket", str(path), "--port", "0")
    command = [need_tool("redis-cli"), "-s", str(path), "CLIENT", "LIST"]
    assert " addr=unix:0 " in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_stale_socket_is_replaced(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "respid.sock"
    killed = start_server("--unix-socket", str(path))
    killed.process.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert path.exists()
    start_server("--unix-socket", str(path))
    assert draw(path)


def test_socket_in_use_is_kept(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "respid.sock"
    start_server("--unix-socket", str(path))
    second = start_server("--unix-socket", str(path), "--worker-id", "2", wait=False)
    assert second.wait() == 1
    advice = "another process listens on it (--unix-socket)"
    assert second.log == f"respid: cannot listen on {path}: Address already in use; {advice}\n"
    assert draw(path)


def test_regular_file_is_kept(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    assert start_server("--unix-socket", str(path), wait=False).wait() == 1
    assert path.read_text() == "mine"


def test_dangling_link_is_refused(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "nothing")
    server = start_server("--unix-socket", str(path), wait=False)
    assert server.wait() == 1
    advice = "choose another path (--unix-socket)"
    assert server.log == f"respid: cannot listen on {path}: Address already in use; {advice}\n"


@pytest.mark.parametrize("directory", ["missing", "x" * 200])
def test_unusable_path_is_one_line(start_server: StartServer, tmp_path: Path, directory: str) -> None:
    server = start_server("--unix-socket", str(tmp_path / directory / "respid.sock"), wait=False)
    assert server.wait() == 1
    (line,) = server.log.splitlines()
    assert line.startswith(f"respid: cannot listen on {tmp_path}/{directory}/respid.sock: ")


@pytest.mark.parametrize("mode", ["8", "999", "0o600", "77777", "rw"])
def test_invalid_mode_is_refused(mode: str) -> None:
    outcome = run_command_line("serve", "--worker-id", "1", "--unix-socket-mode", mode)
    assert outcome.exit_code == 2
    assert f"{mode!r} is not a file mode such as 660." in outcome.stderr


def test_drain_answers_pending_requests(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "respid.sock"
    server = start_server("--unix-socket", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(WAIT_SECONDS)
        client.connect(str(path))
        client.sendall(request("ID.NEXT", "COUNT", "100000"))
        received = bytearray(client.recv(9))
        server.process.send_signal(signal.SIGTERM)
        while data := client.recv(1 << 16):
            received += data
    assert received.count(b"\r\n") == 100_001
    assert server.wait() == 0


def test_socket_of_a_successor_is_kept(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "respid.sock"
    first = start_server("--unix-socket", str(path))
    path.unlink()
    start_server("--unix-socket", str(path), worker_id="2")
    assert first.stop() == 0
    assert draw(path)
