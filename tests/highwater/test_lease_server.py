"""Servers as pods: the lease store from the outside, against a real API server."""

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.byte_streams import request
from tests.support.faked_clock import faked_clock
from tests.support.raw_client import RawClient
from tests.support.running import RunningServer, StartServer, wait_until

pytestmark = pytest.mark.kubernetes
_spaces = itertools.count(time.time_ns() // 1_000_000)
INCR = request("INCR", "orders")


StartPod = Callable[..., RunningServer]


@pytest.fixture
def start_pod(start_server: StartServer, kubeconfig: Path) -> StartPod:
    """Starts a server as a pod, by default in an ID space for this test."""
    own_space = f"server-{next(_spaces)}"

    def start(name: str, *options: str, space: str = own_space, wait: bool = True) -> RunningServer:
        variables = {"KUBECONFIG": str(kubeconfig), "POD_NAME": name}
        return start_server(
            "--store", "lease", "--lease-id-space", space, *options, worker_id=None, wait=wait, **variables
        )

    return start


def draw(server: RunningServer, count: int = 1000) -> list[int]:
    with RawClient(server.port) as client:
        return client.draw(INCR * count, count)


def kill(server: RunningServer) -> None:
    server.process.kill()
    server.process.wait()


def test_pod_continues_and_other_release_waits(start_pod: StartPod) -> None:
    kill(start_pod("respid-3"))
    first = start_pod("respid-3")
    before = draw(first)  # at its predecessor's ceiling, minutes ahead of the clock
    kill(first)
    successor = start_pod("respid-3")
    after = draw(successor)
    assert min(after) > max(before)
    assert {identifier >> 12 & 1023 for identifier in after} == {3}

    other = start_pod("release-two-3", wait=False)
    wait_until(lambda: "is held by pod respid-3" in other.log)
    status, body = other.get("/readyz")
    assert status == 503
    assert "is held by pod respid-3" in json.loads(body)["reason"]
    with RawClient(other.port) as client:
        client.send(INCR)
        assert client.receive_reply().startswith(b"-LOADING respid cannot issue IDs: ")
    assert other.log.count("is held by pod") == 1, "logged once, although it is retried twice per second"
    assert other.stop() == 0

    assert successor.stop() == 0
    assert start_pod("release-two-3").stop() == 0, "a worker ID that was given up is free at once"


def test_changed_id_space_never_repeats_ids(start_pod: StartPod) -> None:
    pod = f"moved-{next(_spaces)}-3"
    kill(start_pod(pod))
    successor = start_pod(pod)
    before = draw(successor)  # at its predecessor's ceiling, minutes ahead of the clock
    kill(successor)
    moved = start_pod(pod, space=f"server-{next(_spaces)}")
    assert min(draw(moved)) > max(before)
    assert moved.stop() == 0


def test_second_layout_waits_and_begins_above_first(start_pod: StartPod) -> None:
    other = ("--layout", "41/11/11", "--accept-layout-change")
    first = start_pod("respid-3")
    second = start_pod("respid-4", *other, wait=False)
    wait_until(lambda: "layout 41/10/12@1704067200000 is in use by pod respid-3" in second.log)
    reason = json.loads(second.get("/readyz")[1])["reason"]
    assert "is in use by pod respid-3" in reason
    assert "stop all workers and start them with --accept-layout-change" in reason
    before = draw(first)
    assert first.stop() == 0
    wait_until(lambda: second.get("/readyz")[0] == 200)
    assert min(draw(second)) > max(before)
    back = start_pod("respid-3", wait=False)
    wait_until(lambda: "layout 41/11/11@1704067200000 is in use by pod respid-4" in back.log)
    assert back.stop() == 0
    assert second.stop() == 0


def test_layout_change_begins_above_fast_clock(
    start_pod: StartPod, start_server: StartServer, kubeconfig: Path
) -> None:
    space = f"server-{next(_spaces)}"
    lease = ("--store", "lease", "--lease-id-space", space)
    variables = {"KUBECONFIG": str(kubeconfig), "POD_NAME": "ahead-3"}
    first = start_server(*lease, worker_id=None, **variables, **faked_clock(3600))
    before = draw(first)
    assert first.stop() == 0
    other = ("--layout", "41/11/11", "--accept-layout-change")
    second = start_pod("ahead-4", *other, space=space, wait=False)
    wait_until(lambda: "ahead of the wall clock: no ID is issued" in second.log)
    assert second.stop() == 0
    second = start_pod("ahead-4", *other, "--max-clock-lead", "7200", space=space)
    assert min(draw(second)) > max(before)
    assert second.stop() == 0
