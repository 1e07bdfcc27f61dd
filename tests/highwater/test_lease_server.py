"""Servers as pods: the lease store from the outside, against a real API server."""

import itertools
import json
import time
from pathlib import Path

import pytest

from tests.support.byte_streams import request
from tests.support.raw_client import RawClient
from tests.support.running import RunningServer, StartServer, wait_until

pytestmark = pytest.mark.kubernetes
_spaces = itertools.count(time.time_ns() // 1_000_000)
INCR = request("INCR", "orders")


def test_a_pod_goes_on_above_its_predecessor_and_another_release_waits(
    start_server: StartServer, kubeconfig: Path
) -> None:
    space = f"server-{next(_spaces)}"

    def start_pod(name: str, *, wait: bool = True) -> RunningServer:
        options = ["--store", "lease", "--lease-id-space", space]
        variables = {"KUBECONFIG": str(kubeconfig), "POD_NAME": name}
        return start_server(*options, worker_id=None, wait=wait, **variables)

    first = start_pod("respid-3")
    with RawClient(first.port) as client:
        (before,) = client.draw(INCR, 1)
    first.process.kill()
    first.process.wait()
    successor = start_pod("respid-3")
    with RawClient(successor.port) as client:
        (after,) = client.draw(INCR, 1)
    assert after > before
    assert after >> 12 & 1023 == 3

    other = start_pod("release-two-3", wait=False)
    wait_until(lambda: "is held by pod respid-3" in other.log)
    status, body = other.get("/readyz")
    assert status == 503
    assert "is held by pod respid-3" in json.loads(body)["reason"]
    with RawClient(other.port) as client:
        client.send(INCR)
        assert client.receive_reply().startswith(b"-LOADING respid cannot issue IDs: ")
    assert other.log.count("is held by pod") == 1, "said once, although it is tried twice a second"
    assert other.stop() == 0

    assert successor.stop() == 0
    assert start_pod("release-two-3").stop() == 0, "a worker ID that was given up is free at once"
