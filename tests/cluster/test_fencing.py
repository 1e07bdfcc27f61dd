"""Workers that stand still for a while, and two pods that both believe they are the same worker."""

import time

import pytest

from tests.cluster.container import Container
from tests.cluster.installation import BY_FORCE, NO_WORKERS, SMALL, Client, Namespace, Release, repeated, wait_for

STANDSTILL_SECONDS = 40  # less than the minute after which the liveness probe fails


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
    assert set(thawed.errors) | set(successor.errors) <= NO_WORKERS


def test_worker_that_stands_still_is_not_restarted(release: Release) -> None:
    """As one that gets no CPU. A restart would take all its connections, and more CPU."""
    release.install(SMALL, {"replicaCount": 1})
    release.wait_for_rollout()
    client = Client(release.namespace, release.name)
    worker = Container(release.namespace, "respid-0")
    try:
        worker.freeze()
        time.sleep(STANDSTILL_SECONDS)
    finally:
        worker.let_go()
    answered = client.answered
    wait_for(lambda: client.answered > answered + 100 and release.ready == 1, "it goes on")
    assert release.ends == []
    assert repeated(client.finish()) == 0


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
