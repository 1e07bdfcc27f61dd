"""`respid healthcheck`."""

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks.ports import free_port
from tests.support.command_line import run_command_line
from tests.support.running import WAIT_SECONDS, RunningServer

PATIENT = ("--timeout", str(WAIT_SECONDS))


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("bind", ["127.0.0.1", "0.0.0.0", "*", "::1,127.0.0.1"])
def test_succeeds_if_ready(server: RunningServer, bind: str) -> None:
    outcome = run_command_line("healthcheck", "--http-bind", bind, "--http-port", str(server.http_port), *PATIENT)
    assert outcome == (0, "ready\n", "", None)


@pytest.mark.parametrize("bind", ["a..b", "a b"])
def test_fails_for_an_invalid_address(bind: str) -> None:
    outcome = run_command_line("healthcheck", "--http-bind", bind)
    assert outcome.exit_code == 1
    assert outcome.error_line.startswith("respid: no answer from ")


def test_fails_if_nothing_listens() -> None:
    port = free_port()
    outcome = run_command_line("healthcheck", variables={"RESPID_HTTP_PORT": str(port)})
    assert outcome.exit_code == 1
    assert outcome.error_line == (
        f"respid: no answer from 127.0.0.1:{port}: Connection refused;"
        " if the server has another --http-port, set RESPID_HTTP_PORT"
    )


def test_names_the_option_at_the_redis_port(server: RunningServer) -> None:
    outcome = run_command_line("healthcheck", "--http-port", str(server.port), *PATIENT)
    assert outcome.exit_code == 1
    assert outcome.error_line.startswith(f"respid: no HTTP at 127.0.0.1:{server.port}: set --http-port")


def test_names_no_option_if_the_server_hangs_up() -> None:
    """As one that is just ending does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_hang_up, args=[listener])
        thread.start()
        outcome = run_command_line("healthcheck", "--http-port", str(listener.getsockname()[1]), *PATIENT)
        thread.join()
    assert outcome.exit_code == 1
    assert outcome.error_line.startswith("respid: no answer from ")


def _hang_up(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1024)


def test_fails_after_the_timeout(silent_port: int) -> None:
    outcome = run_command_line("healthcheck", "--http-port", str(silent_port), "--timeout", "0.05")
    assert outcome.exit_code == 1
    assert outcome.error_line.endswith(": timed out")


class _NotReady(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.end_headers()
        self.wfile.write(b'{"status": "not ready", "reason": "the first reservation is being taken"}\n')

    def log_message(self, *_arguments: object) -> None:
        pass


def test_prints_why_the_server_is_not_ready() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _NotReady) as listener:
        thread = threading.Thread(target=listener.handle_request)
        thread.start()
        outcome = run_command_line("healthcheck", "--http-port", str(listener.server_port), *PATIENT)
        thread.join()
    assert outcome.exit_code == 1
    assert outcome.error_line.startswith("respid: not ready: ")
    assert "the first reservation is being taken" in outcome.error_line


@pytest.mark.parametrize(
    ("timeout", "reason"), [("nan", "--timeout"), ("1e300", "'1e300' is not a number of seconds up to")]
)
def test_refuses_an_invalid_timeout(timeout: str, reason: str) -> None:
    outcome = run_command_line("healthcheck", "--timeout", timeout)
    assert outcome.exit_code == 2
    assert reason in outcome.error_line
