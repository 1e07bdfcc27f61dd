"""A whole server: from the outside, and its signals and defects."""

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from benchmarks.ports import free_port
from respid.highwater.stores import StoreError
from respid.highwater.stores.choice import make_store
from respid.ids.layout import Layout
from respid.server import SIGNAL_REPEAT_SECONDS, Server, log_loop_error, report_task_error
from respid.worker.config import Config
from tests.support.byte_streams import request
from tests.support.environment import clean_environment
from tests.support.needed_tools import need_strace
from tests.support.raw_client import RawClient
from tests.support.running import RunningServer, StartServer, wait_until

DEFECT_IN_PROTOCOL = """
from respid.cli.main import main
from respid.net.protocol import RespProtocol
def fail(self, data):
    raise KeyError("planted")
RespProtocol.data_received = fail
main()
"""


def config(**settings: object) -> Config:
    return Config(worker_id=1, worker_id_source="test", store="none", **settings)  # type: ignore[arg-type]


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(record)["event"] for record in caplog.records]


def test_incr_returns_rising_ids(server: RunningServer) -> None:
    with server.client() as client:
        first, second = client.incr("orders"), client.incr("invoices")
    assert 0 < first < second
    assert Layout().decompose(second).worker_id == 1


def test_idle_server_makes_few_system_calls(start_server: StartServer, tmp_path: Path) -> None:
    """A wake-up waits for events twice. Most are of the keeper, which then looks at the mark.

    A few come together once a second, so it looks at several seconds.
    """
    trace = tmp_path / "trace"
    strace = (need_strace(), "-D", "-f", "-ttt", "-qq", "-o", str(trace))
    server = start_server("--state-dir", str(tmp_path / "state"), prefix=strace)
    begun = trace.stat().st_size

    def lines_of_loop() -> list[str]:
        lines = trace.read_bytes()[begun:].decode().splitlines()[1:-1]  # the first and the last may be cut off
        return [line for line in lines if line.startswith(f"{server.process.pid} ")]

    wait_until(lambda: sum(map(is_wait, lines_of_loop())) > 120)
    assert server.stop() == 0
    lines = lines_of_loop()
    waits = [number for number, line in enumerate(lines) if is_wait(line)][20:120]  # before, it imports the metrics
    seconds = float(lines[waits[-1]].split()[1]) - float(lines[waits[0]].split()[1])
    assert len(waits) / seconds < 30
    assert waits[-1] - waits[0] < 4 * len(waits)


def is_wait(line: str) -> bool:
    return re.search(r"epoll_p?wait2?\(", line) is not None


def test_file_store_requires_directory() -> None:
    with pytest.raises(StoreError, match="--state-dir"):
        make_store(Config(worker_id=1, worker_id_source="test"))


@pytest.mark.parametrize("repeated", [signal.SIGTERM, signal.SIGINT])
def test_only_a_later_signal_stops_at_once(repeated: signal.Signals, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = Server(config())
    with mock.patch.object(time, "monotonic") as monotonic, mock.patch.object(os, "_exit") as end:
        monotonic.return_value = 100.0
        server._handle_stop_signal(signal.SIGTERM)
        monotonic.return_value += SIGNAL_REPEAT_SECONDS
        server._handle_stop_signal(repeated)
        assert (events(caplog), end.mock_calls) == (["draining"], [])
        monotonic.return_value += 0.001
        server._handle_stop_signal(repeated)
    assert events(caplog) == ["draining", "stop_forced"]
    end.assert_called_once_with(128 + repeated)


def test_signal_after_failure_counts_as_first(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = Server(config())
    server._stop.set()  # as by the keeper's task when it ends
    with mock.patch.object(os, "_exit") as end:
        server._handle_stop_signal(signal.SIGTERM)
    assert (events(caplog), end.mock_calls) == (["draining"], [])


async def test_signal_during_start_stops_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = Server(config(port=free_port(), http_port=free_port()))
    server._handle_stop_signal(signal.SIGINT)
    await server.run()
    assert events(caplog) == ["draining", "stopped"]


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (KeyError("planted"), "internal_error"),
        (OSError(24, "Too many open files"), "event_loop_error"),
        (None, "event_loop_error"),
    ],
)
async def test_logs_errors_of_the_event_loop(
    error: Exception | None, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    log_loop_error(loop, {"message": "Exception in callback", "exception": error})
    (record,) = caplog.records
    assert (record.levelname, vars(record)["event"]) == ("ERROR", event)
    assert "Exception in callback" in record.getMessage()
    assert not error or (record.exc_info and record.exc_info[1] is error)


async def test_logs_the_error_of_a_background_task_once(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise KeyError("planted")

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_loop_error)
    failing, cancelled = loop.create_task(fail()), loop.create_task(asyncio.sleep(60))
    for task in (failing, cancelled):
        task.add_done_callback(report_task_error)
    cancelled.cancel()
    await asyncio.wait([failing, cancelled])
    await asyncio.sleep(0)
    assert events(caplog) == ["internal_error"]
    del failing, task  # a task whose exception nobody has seen logs it when it is deleted
    assert events(caplog) == ["internal_error"]


async def test_timeout_error_of_keeper_is_failure() -> None:
    async def fail() -> None:
        raise TimeoutError("planted")

    keeping = asyncio.get_running_loop().create_task(fail())
    with pytest.raises(TimeoutError, match="planted"):
        await Server(config())._end_keeping(keeping)


def test_connection_error_closes_only_that_one(tmp_path: Path) -> None:
    port, http_port, log_path = free_port(), free_port(), tmp_path / "log"
    arguments = ["serve", "--worker-id", "1", "--store", "none", "--log-format", "json"]
    arguments += ["--port", str(port), "--http-port", str(http_port)]
    command = [sys.executable, "-c", DEFECT_IN_PROTOCOL, *arguments]
    with log_path.open("w") as log:
        process = subprocess.Popen(command, stderr=log, text=True, env=clean_environment())
    server = RunningServer(process, port, http_port, log_path)
    wait_until(lambda: '"started"' in server.log)
    with RawClient(port) as client:
        client.send(request("PING"))
        assert client.receive_to_end() == b""
    assert server.get("/readyz")[0] == 200
    assert server.stop() == 0
    failures = [line for line in map(json.loads, server.log.splitlines()) if "exception" in line]
    assert [line["event"] for line in failures] == ["internal_error"]
    assert "in fail" in failures[0]["exception"]
