"""Clients as they come, against a running server: redis-py, redis-cli and redis-benchmark."""

import contextlib
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
from needed_tools import need_tool
from raw_client import are_rising
from running import RunningServer, StartServer

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def locked_server(start_server: StartServer) -> RunningServer:
    return start_server(RESPID_PASSWORD=PASSWORD)


@pytest.fixture(params=["open", "locked"])
def address(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where to connect to, and with which password if there is one."""
    name = {"open": "server", "locked": "locked_server"}[request.param]
    server: RunningServer = request.getfixturevalue(name)
    return {"port": server.port} | ({"password": PASSWORD} if request.param == "locked" else {})


@pytest.fixture(params=[{}, {"protocol": 2}, {"health_check_interval": 1}], ids=["default", "RESP2", "health check"])
def client(request: pytest.FixtureRequest, address: dict[str, Any]) -> Iterator["redis.Redis"]:
    with redis.Redis(**address, **request.param) as client:
        yield client


def test_redis_py_draws_one_by_one_in_blocks_and_in_pipelines(client: "redis.Redis") -> None:
    assert client.ping()
    ids = [client.incr("orders"), client.incrby("orders", 1), client.incr("users")]
    last = client.incrby("orders", 100)
    for transaction in (True, False):
        with client.pipeline(transaction=transaction) as pipeline:
            for _ in range(1_000):
                pipeline.incr("lines")
            ids += pipeline.execute()
    assert are_rising(ids)
    assert ids[2] < last - 99 < last < ids[3]
    assert client.execute_command("ID.NEXT", "AS", "STRING").isdigit()  # type: ignore[no-untyped-call]
    assert client.get("orders") is None


def test_redis_py_draws_from_many_threads_of_one_pool(address: dict[str, Any]) -> None:
    with redis.Redis(**address, max_connections=10) as client, ThreadPoolExecutor(10) as threads:
        ids = list(threads.map(lambda _: client.incr("orders"), range(1_000)))
    assert len(set(ids)) == 1_000


@pytest.mark.parametrize("protocol", [2, 3])
async def test_redis_py_draws_in_an_event_loop(address: dict[str, Any], protocol: int) -> None:
    async with redis.asyncio.Redis(**address, protocol=protocol) as client:
        ids = [await client.incr("orders")]
        for transaction in (True, False):
            async with client.pipeline(transaction=transaction) as pipeline:
                for _ in range(1_000):
                    pipeline.incr("lines")
                ids += await pipeline.execute()
    assert are_rising(ids)


def test_redis_py_goes_on_after_the_server_was_started_again(start_server: StartServer) -> None:
    server = start_server()
    with server.client() as client:
        before = client.incr("orders")
        server.stop()
        with contextlib.suppress(redis.ConnectionError):
            client.incr("orders")
        directory = server.log_path.parent / "state"
        start_server("--state-dir", str(directory), port=server.port)
        assert client.incr("orders") > before


def run(*command: str, sent: str = "", seconds: float = 60) -> str:
    """What a program prints; it must not complain."""
    done = subprocess.run(command, input=sent, capture_output=True, text=True, timeout=seconds, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("options", [[], ["-3"]])
def test_redis_cli_takes_commands_as_arguments_and_from_its_input(server: RunningServer, options: list[str]) -> None:
    redis_cli = [need_tool("redis-cli"), "-p", str(server.port), *options]
    first = int(run(*redis_cli, "INCR", "orders"))
    lines = run(*redis_cli, sent="INCR orders\nINCRBY orders 10\nPING\n").split()
    assert are_rising([first, int(lines[0]), int(lines[1])])
    assert lines[2] == "PONG"
    assert "redis_version" in run(*redis_cli, "INFO", "server")


def test_redis_cli_sends_raw_requests_through_a_pipe(server: RunningServer) -> None:
    sent = "*2\r\n$4\r\nINCR\r\n$1\r\na\r\n" * 1_000
    printed = run(need_tool("redis-cli"), "-p", str(server.port), "--pipe", sent=sent)
    assert "errors: 0, replies: 1000" in printed


def test_redis_cli_measures_latency_and_shows_statistics(server: RunningServer) -> None:
    redis_cli = [need_tool("stdbuf"), "-o0", need_tool("redis-cli"), "-p", str(server.port)]
    latency = run(*redis_cli, "--latency", "-i", "1")
    assert int(latency.split()[3]) > 1
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
def test_redis_benchmark_runs_without_a_complaint(server: RunningServer, options: list[str]) -> None:
    before = server.metric("id_generator_ids_generated_total")
    commands = [] if "-t" in options else ["-t", "incr"]
    printed = run(need_tool("redis-benchmark"), "-p", str(server.port), "-q", *options, *commands)
    assert "requests per second" in printed
    requests = int(options[options.index("-n") + 1])
    assert server.metric("id_generator_ids_generated_total") - before >= requests
