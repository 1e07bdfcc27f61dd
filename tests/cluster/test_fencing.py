"""Two pods that both believe they are the same worker."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tests.cluster.installation import BY_FORCE, RETRYABLE, SMALL, Client, Namespace, Release, repeated, wait_for
from tests.support.needed_tools import leave_out


class Container:
    """The main process of a pod's container, where the node is this machine."""

    def __init__(self, namespace: Namespace, pod: str) -> None:
        self.uid = namespace.get("pod", pod)["metadata"]["uid"]
        found = [pid for pid in _pids() if self.uid in _read(pid, "cgroup") and "respid" in _read(pid, "cmdline")]
        if not found:
            leave_out("the cluster's node is another machine: its processes cannot be frozen from here")
        (self._pid,) = found
        # The runtime that would kill the container for the kubelet is frozen too, as on a node that hangs.
        self._shim = int(_read(self._pid, "stat").rsplit(")", 1)[1].split()[1])

    def freeze(self) -> None:
        os.kill(self._shim, signal.SIGSTOP)
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def let_go(self) -> None:
        """Thaws it, so that the kubelet can kill it."""
        for pid in (self._pid, self._shim):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _read(pid: int, name: str) -> str:
    try:
        return (Path("/proc") / str(pid) / name).read_text()
    except OSError:
        return ""


def _stands_still(client: Client) -> bool:
    before = client.answered
    time.sleep(3)
    return client.answered == before


def test_frozen_and_replaced_pod_repeats_no_id(release: Release) -> None:
    namespace = release.namespace
    release.install(SMALL, {"replicaCount": 1, "lease": {"idSpace": "default", "reserveSeconds": 40}})
    release.wait_for_rollout()
    address = namespace.get("pod", "respid-0")["status"]["podIP"]
    old_client = Client(namespace, address, name="old", connections=3)
    old = Container(namespace, "respid-0")
    try:
        old.freeze()
        namespace.kubectl("delete", "pod", "respid-0", *BY_FORCE)
        wait_for(lambda: namespace.get("pod", "respid-0")["metadata"]["uid"] != old.uid, "the pod is replaced")
        wait_for(lambda: release.ready == 1, "the new pod is ready")
        new_client = Client(namespace, "respid", name="new")
        before = old_client.answered
        old.thaw()
        wait_for(lambda: old_client.answered > before, "the old pod goes on with what it had reserved")
        wait_for(lambda: new_client.answered > 300, "the new pod issues IDs at the same time")
        # Its token became invalid with its pod, so it cannot read that it lost its Lease: the ceiling stops it.
        wait_for(lambda: _stands_still(old_client), "the old pod has stopped")
        assert not _stands_still(new_client)
        thawed, successor = old_client.finish(), new_client.finish()
    finally:
        old.let_go()
    assert repeated(thawed, successor) == 0
    assert max(thawed.spans) < min(successor.spans), "all IDs of the old pod lie below those of its successor"
    assert set(thawed.errors) | set(successor.errors) <= RETRYABLE


def test_second_release_waits_until_it_has_an_offset(namespace: Namespace) -> None:
    first, second = Release(namespace, "respid-one"), Release(namespace, "respid-two")
    first.install(SMALL)
    first.wait_for_rollout()
    second.install(SMALL)
    wait_for(lambda: "is held by pod respid-one-0" in namespace.log("respid-two-0"), "the log says why")
    assert "--worker-id-offset" in namespace.log("respid-two-0")
    with pytest.raises(AssertionError, match="is held by pod respid-one-0"):
        namespace.kubectl("exec", "respid-two-0", "--", "respid", "healthcheck")
    assert (first.ready, second.ready) == (2, 0)

    second.uninstall()  # the chart refuses another offset while workers run
    second.install(SMALL, {"workerIdOffset": 2})
    wait_for(lambda: second.ready == 2, "the second release is ready")
    assert first.ready == 2
    clients = [Client(namespace, release.name, name=release.name[7:]) for release in (first, second)]
    wait_for(lambda: all(client.answered > 300 for client in clients), "both issue")
    draws = [client.finish() for client in clients]
    assert repeated(*draws) == 0
    assert [drawn.worker_ids for drawn in draws] == [{0, 1}, {2, 3}]
