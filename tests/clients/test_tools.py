"""Redis's own tools, an exporter and a load balancer work with a running server."""

import contextlib
import os
import pty
import re
import select
import subprocess
import termios
import time
import urllib.request
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.support.needed_tools import need_tool
from tests.support.raw_client import RawClient, are_rising
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, running_program, wait_until

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def locked_server(start_module_server: StartServer) -> RunningServer:
    return start_module_server(RESPID_PASSWORD=PASSWORD)


def run(*command: str, sent: str = "", seconds: float = WAIT_SECONDS) -> str:
    """Runs a program and returns its output. Raises AssertionError if it writes to stderr."""
    done = subprocess.run(command, input=sent, capture_output=True, text=True, timeout=seconds, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("options", [[], ["-3"]])
def test_redis_cli_sends_arguments_and_input(server: RunningServer, options: list[str]) -> None:
    redis_cli = [need_tool("redis-cli"), "-p", str(server.port), *options]
    first = int(run(*redis_cli, "INCR", "orders"))
    lines = run(*redis_cli, sent="INCR orders\nINCRBY orders 10\nPING\n").split()
    assert are_rising([first, int(lines[0]), int(lines[1])])
    assert lines[2] == "PONG"
    assert "redis_version" in run(*redis_cli, "INFO", "server")


@pytest.mark.parametrize("options", [[], ["-3"]])
def test_redis_cli_authenticates(locked_server: RunningServer, options: list[str]) -> None:
    redis_cli = [need_tool("redis-cli"), "-p", str(locked_server.port), *options]
    assert int(run(*redis_cli, "--no-auth-warning", "-a", PASSWORD, "INCR", "orders")) > 1 << 53


@pytest.mark.parametrize("options", [[], ["-3"]])
def test_redis_cli_works_at_a_terminal(server: RunningServer, options: list[str]) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))  # otherwise redis-cli asks the terminal
    command = [need_tool("redis-cli"), "-p", str(server.port), *options]
    environment = os.environ | {"TERM": "xterm", "HOME": "/nonexistent"}
    cli = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True)
    os.close(theirs)
    try:
        receive_until(ours, "> ")
        for line, answer in [
            ("INCR orders", r"\n\(integer\) \d{18}\r"),
            ("incrby orders 100", r"\n\(integer\) \d{18}\r"),
            ("ID.NEXT AS STRING", r'\n"\d{18}"\r'),
            ("help ID.NEXT", "Returns the next ID, or an array of n"),
            ("MULTI", r"\nOK\r.*\(TX\)"),
            ("INCR orders", r"\nQUEUED\r"),
            ("EXEC", r"\n1\) \(integer\) \d{18}\r"),
            ("NOSUCH", r"\n\(error\) ERR unknown command"),
        ]:
            os.write(ours, line.encode() + b"\r")
            receive_until(ours, answer + ".*> ")  # it discards what is typed before its prompt
        os.write(ours, b"quit\r")
        assert cli.wait(WAIT_SECONDS) == 0
    finally:
        cli.kill()
        cli.wait()
        os.close(ours)


def receive_until(terminal: int, pattern: str) -> None:
    """Reads the output of the program until the pattern matches."""
    shown = ""
    while not re.search(pattern, shown, re.DOTALL):
        ready, _, _ = select.select([terminal], [], [], WAIT_SECONDS)
        assert ready, f"no {pattern!r} in {shown!r}"
        shown += os.read(terminal, 1 << 16).decode()


def test_redis_cli_pipes_raw_requests(server: RunningServer) -> None:
    sent = "*2\r\n$4\r\nINCR\r\n$1\r\na\r\n" * 1_000
    printed = run(need_tool("redis-cli"), "-p", str(server.port), "--pipe", sent=sent)
    assert "errors: 0, replies: 1000" in printed


def test_redis_cli_shows_latency_and_statistics(server: RunningServer) -> None:
    redis_cli = [need_tool("stdbuf"), "-o0", need_tool("redis-cli"), "-p", str(server.port)]
    latency = run(*redis_cli, "--latency", "-i", "1")
    assert int(latency.split()[3]) >= 1
    with subprocess.Popen([*redis_cli, "--stat", "-i", "0.1"], stdout=subprocess.PIPE, text=True) as statistics:
        assert statistics.stdout is not None
        lines = [statistics.stdout.readline() for _ in range(3)]
        statistics.kill()
    assert "clients" in lines[1]
    assert lines[2].split()[3] == "0", "blocked clients"


@pytest.mark.parametrize(
    "options",
    [
        ["-P", "1", "-n", "5000"],
        ["-P", "16", "-n", "50000"],
        ["-P", "500", "-n", "200000"],
        ["-P", "16", "-n", "50000", "-r", "1000000"],
        ["-P", "500", "-n", "200000", "-r", "1000000"],
        ["-P", "1", "-n", "2000", "-t", "ping,incr"],
        ["-3", "-n", "2000"],
    ],
    ids=" ".join,
)
def test_redis_benchmark_runs(server: RunningServer, options: list[str]) -> None:
    before = server.metric("id_generator_ids_generated_total")
    commands = [] if "-t" in options else ["-t", "incr"]
    printed = run(need_tool("redis-benchmark"), "-p", str(server.port), "-q", *options, *commands)
    assert "requests per second" in printed
    requests = int(options[options.index("-n") + 1])
    assert server.metric("id_generator_ids_generated_total") - before >= requests


def test_redis_benchmark_authenticates(locked_server: RunningServer) -> None:
    printed = run(
        need_tool("redis-benchmark"), "-p", str(locked_server.port), "-a", PASSWORD, "-q", "-n", "2000", "-t", "incr"
    )
    assert "requests per second" in printed


def get(url: str) -> str:
    """Returns the body, or an empty text if nobody answers."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=WAIT_SECONDS) as response:
        body: bytes = response.read()
        return body.decode()
    return ""


def test_redis_exporter_reports_up(locked_server: RunningServer, tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "log"
    command = [need_tool("prometheus-redis-exporter"), "-web.listen-address", f"127.0.0.1:{port}"]
    command += ["-redis.addr", f"redis://127.0.0.1:{locked_server.port}", "-redis.password", PASSWORD]
    with running_program(*command, log=log):
        wait_until(lambda: "redis_up" in get(f"http://127.0.0.1:{port}/metrics"))
        exposed = get(f"http://127.0.0.1:{port}/metrics")
    samples = dict(line.rsplit(" ", 1) for line in exposed.splitlines() if not line.startswith("#"))
    assert samples["redis_up"] == "1"
    assert float(samples["redis_connected_clients"]) >= 1
    assert float(samples["redis_uptime_in_seconds"]) >= 0
    assert "level=error" not in log.read_text()


HAPROXY = """
global
  maxconn 100
defaults
  mode tcp
  timeout connect 300s
  timeout check 300s
  timeout client 300s
  timeout server 300s
frontend ids
  bind 127.0.0.1:{front}
  default_backend {backend}
backend simple
  option redis-check
  server respid 127.0.0.1:{port} check inter 100ms
backend scripted
  option tcp-check
  tcp-check send PING\\r\\n
  tcp-check expect string +PONG
  tcp-check send info\\ replication\\r\\n
  tcp-check expect string role:master
  tcp-check send QUIT\\r\\n
  tcp-check expect string +OK
  server respid 127.0.0.1:{port} check inter 100ms
frontend statistics
  mode http
  bind 127.0.0.1:{statistics}
  stats enable
  stats uri /
"""


@pytest.mark.parametrize("backend", ["simple", "scripted"])
def test_haproxy_checks_and_forwards(server: RunningServer, tmp_path: Path, backend: str) -> None:
    haproxy, front, statistics = need_tool("haproxy"), free_port(), free_port()
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(HAPROXY.format(front=front, statistics=statistics, port=server.port, backend=backend))
    with running_program(haproxy, "-db", "-f", str(configuration), log=tmp_path / "log"):
        wait_until(lambda: check_of(backend, statistics).startswith("L7OK"))
        with RawClient(front) as client:
            (drawn,) = client.draw(b"INCR orders\r\n", 1)
        time.sleep(0.5)  # time for more checks
        wait_until(lambda: check_of(backend, statistics).startswith("L7OK"))
    assert drawn > 1 << 53
    assert "reset" not in server.log, "a check that ends with a reset must not be logged"


def check_of(backend: str, port: int) -> str:
    """Returns the result of the last check of the backend's server."""
    head, *rows = get(f"http://127.0.0.1:{port}/;csv").splitlines() or [""]
    names = head.removeprefix("# ").split(",")
    for row in rows:
        fields = dict(zip(names, row.split(","), strict=False))
        if (fields["pxname"], fields["svname"]) == (backend, "respid"):
            return fields["check_status"].removeprefix("* ")
    return ""
