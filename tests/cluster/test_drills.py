"""Faults around the workers: a drain that meets one that is not ready, Prometheus is gone, the API server is slow."""

import json
import time

import pytest

from tests.cluster import api
from tests.cluster.installation import (
    IMAGE,
    RETRYABLE,
    SMALL,
    Client,
    Namespace,
    Release,
    Values,
    repeated,
    run,
    wait_for,
)
from tests.cluster.test_scaling import KEDA, autoscaling
from tests.support.needed_tools import leave_out

NOWHERE = "http://127.0.0.1:1"
STABILIZATION_SECONDS = 15  # of test_scaling's behavior, for scaling down
# Hands on the bytes to and from the API server, and keeps each piece from it for a second.
SLOW_PROXY = """
import asyncio, os

async def hand_on(reader, writer, seconds):
    while data := await reader.read(65536):
        await asyncio.sleep(seconds)
        writer.write(data)
    writer.close()

async def serve(reader, writer):
    address = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    from_server, to_server = await asyncio.open_connection(*address)
    await asyncio.gather(hand_on(reader, to_server, 0), hand_on(from_server, writer, 1))

async def main():
    await (await asyncio.start_server(serve, "127.0.0.1", 6443)).serve_forever()

asyncio.run(main())
"""
# The name is in the certificate of every API server.
BEHIND_THE_PROXY: Values = {
    "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["kubernetes.default.svc"]}],
    "extraEnv": [
        {"name": "KUBERNETES_SERVICE_HOST", "value": "kubernetes.default.svc"},
        {"name": "KUBERNETES_SERVICE_PORT", "value": "6443"},
    ],
    "sidecars": [{"name": "proxy", "image": IMAGE, "command": ["python", "-c", SLOW_PROXY]}],
}


def _evict_when_permitted(namespace: Namespace, pod: str) -> None:
    """Asks again and again, as `kubectl drain` does."""

    def is_permitted() -> bool:
        api.evict(namespace.name, pod)
        return True

    wait_for(is_permitted, f"the budget permits to evict {pod}")


def _uid(namespace: Namespace, pod: str) -> str:
    return str(namespace.get("pod", pod)["metadata"]["uid"])


def _is_budget_observed(namespace: Namespace, name: str, workers: int = 2) -> bool:
    budget = namespace.get("poddisruptionbudget", name)
    status = budget.get("status", {})
    return bool(
        status.get("observedGeneration") == budget["metadata"]["generation"] and status["expectedPods"] == workers
    )


def test_workers_that_are_not_ready_do_not_block_a_drain(namespace: Namespace) -> None:
    first, waiting = Release(namespace, "respid-one"), Release(namespace, "respid-two")
    first.install(SMALL)
    first.wait_for_rollout()
    waiting.install(SMALL)  # the same worker IDs
    wait_for(lambda: "is held by" in namespace.log("respid-two-1"), "the second release waits")
    wait_for(lambda: _is_budget_observed(namespace, "respid-two"), "the budget is in force")
    assert waiting.ready == 0
    evicted = _uid(namespace, "respid-two-0")
    _evict_when_permitted(namespace, "respid-two-0")
    wait_for(lambda: _uid(namespace, "respid-two-0") != evicted, "the pod is replaced")

    policy = {"spec": {"unhealthyPodEvictionPolicy": "IfHealthyBudget"}}
    namespace.kubectl("patch", "poddisruptionbudget", "respid-two", "--type=merge", "--patch", json.dumps(policy))
    wait_for(lambda: _is_budget_observed(namespace, "respid-two"), "the other policy is in force")
    with pytest.raises(AssertionError, match="disruption budget"):
        api.evict(namespace.name, "respid-two-1")


def test_nodes_are_replaced_one_after_another(release: Release) -> None:
    """As far as one node can show it: every pod is evicted, as soon as the budget permits, and starts again."""
    release.install(SMALL, {"replicaCount": 3, "drainDelaySeconds": 5})
    release.wait_for_rollout()
    namespace, client = release.namespace, Client(release.namespace, release.name)
    wait_for(lambda: _is_budget_observed(namespace, release.name, workers=3), "the budget is in force")
    former = {pod: _uid(namespace, pod) for pod in ("respid-0", "respid-1", "respid-2")}
    _evict_when_permitted(namespace, "respid-2")
    with pytest.raises(AssertionError, match="disruption budget"):
        api.evict(namespace.name, "respid-1")
    for pod in ("respid-1", "respid-0"):
        _evict_when_permitted(namespace, pod)
    wait_for(lambda: all(_uid(namespace, pod) != uid for pod, uid in former.items()), "all pods are replaced")
    wait_for(lambda: release.ready == 3, "all pods are ready")
    draws = client.answered
    wait_for(lambda: client.answered > draws + 300, "IDs are drawn from the new pods")
    drawn = client.finish()
    assert repeated(drawn) == 0
    assert set(drawn.errors) <= RETRYABLE, drawn.errors
    assert drawn.longest_pause < 10
    assert drawn.worker_ids == {0, 1, 2}


def test_the_number_of_workers_stays_without_prometheus(release: Release) -> None:
    if "keda.sh/v1alpha1" not in run("kubectl", "api-versions").split():
        leave_out("the cluster has no KEDA")
    three = KEDA | {"threshold": "5", "queries": {"exhausted": "vector(15)"}}
    release.install(SMALL, autoscaling(keda=three, minReplicas=1))
    wait_for(lambda: release.ready == 3, "the query asks for three workers")
    release.upgrade(SMALL, autoscaling(keda=three | {"prometheusServerAddress": NOWHERE}, minReplicas=1))
    events = ("get", "events", "--field-selector", "reason=FailedGetExternalMetric", "-o", "name")
    wait_for(lambda: release.namespace.kubectl(*events).strip(), "the HPA has no value")
    time.sleep(2 * STABILIZATION_SECONDS)
    assert (release.replicas, release.ready) == (3, 3)


def test_a_slow_api_server_delays_no_id(release: Release) -> None:
    release.install(SMALL, BEHIND_THE_PROXY, {"lease": {"idSpace": "default", "reserveSeconds": 20}})
    release.wait_for_rollout()
    failures = _failed_extensions(release)  # while the proxies started
    client = Client(release.namespace, release.name)
    renewals = set()

    def is_renewed_thrice() -> bool:
        renewals.add(release.namespace.get("lease", "respid-default-0")["spec"]["renewTime"])
        return len(renewals) > 3

    wait_for(is_renewed_thrice, "the reservation is extended three times")
    drawn = client.finish()
    assert repeated(drawn) == 0
    assert drawn.errors == {}
    assert drawn.worker_ids == {0, 1}
    assert _failed_extensions(release) == failures


def _failed_extensions(release: Release) -> list[int]:
    names = ("respid-0", "respid-1")
    return [release.namespace.metric(name, "id_generator_reservation_failures_total") for name in names]
