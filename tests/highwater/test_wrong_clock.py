"""Servers that start with a wall clock that cannot be right: 1970 without a battery, or centuries ahead."""

import json
import time
from pathlib import Path

import pytest

from tests.support.byte_streams import request
from tests.support.faked_clock import faked_clock, move_clock
from tests.support.raw_client import RawClient
from tests.support.running import StartServer, wait_until

YEAR = 365 * 24 * 3600
INCR = request("INCR", "orders")


@pytest.mark.parametrize("off_seconds", [60 - int(time.time()), 200 * YEAR], ids=["1970", "in 200 years"])
def test_start_with_wrong_clock_waits_until_it_is_set(
    start_server: StartServer, tmp_path: Path, off_seconds: int
) -> None:
    clock_file = tmp_path / "clock"
    server = start_server("--state-dir", str(tmp_path), wait=False, **faked_clock(off_seconds, clock_file))
    wait_until(lambda: "the wall clock shows" in server.log)
    status, body = server.get("/readyz")
    assert status == 503
    assert "the wall clock shows" in json.loads(body)["reason"]
    with RawClient(server.port) as client:
        client.send(INCR)
        assert client.receive_reply().startswith(b"-LOADING respid cannot issue IDs: ")
    assert not list(tmp_path.glob("worker-*.json")), "no mark is stored"
    move_clock(clock_file, 0)
    wait_until(lambda: server.get("/readyz")[0] == 200)
    with RawClient(server.port) as client:
        assert client.draw(INCR, 1)
    assert server.metric("id_generator_clock_lead_seconds") == 0
    assert server.stop() == 0
