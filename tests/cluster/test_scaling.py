"""Runs the autoscalers with a real Prometheus and KEDA. The windows are short, so that minutes are enough."""

import json
import os
import threading
import time
from typing import Self

import pytest

from tests.cluster import api
from tests.cluster.installation import SMALL, Client, Release, run, wait_for
from tests.support.needed_tools import leave_out

PROMETHEUS = os.environ.get("RESPID_TEST_PROMETHEUS", "http://prometheus-k8s.monitoring.svc.cluster.local")
BEHAVIOR = {
    "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 10}]},
    "scaleDown": {"stabilizationWindowSeconds": 15, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 10}]},
}
KEDA = {
    "enabled": True,
    "prometheusServerAddress": PROMETHEUS,
    "windowSeconds": 20,
    "pollingInterval": 5,
}
# A worker of this layout has 16,000 IDs per second, fewer than a client in Python can draw.
SMALL_SEQUENCE = {"layout": "41/10/4"}


def autoscaling(**others: object) -> dict[str, object]:
    return {"autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 4, "behavior": BEHAVIOR, **others}}


@pytest.fixture(scope="module", autouse=True)
def keda() -> None:
    if "keda.sh/v1alpha1" not in run("kubectl", "api-versions").split():
        leave_out("the cluster has no KEDA")


def test_keda_scales_up_and_down(release: Release) -> None:
    # With a target of 100 %, the trigger for IDs never adds a worker: it only keeps those that exhaustion added.
    release.install(SMALL, SMALL_SEQUENCE, autoscaling(keda=KEDA | {"targetUtilization": 1}))
    wait_for(lambda: release.ready == 2, "the least number is ready")
    client = Client(release.namespace, release.name, connections=12, pause=0, singles=400, keeps=False)
    with Replicas(release) as replicas:
        wait_for(lambda: release.ready == 4, "as many as permitted are ready")
        assert replicas.seen == [2, 3, 4], "one by one"
        time.sleep(25)  # longer than the stabilization window for scaling down
        assert replicas.seen == [2, 3, 4], "held while the load needs them"
        client.finish()
        wait_for(lambda: release.replicas == 2, "it falls after the load")
        assert replicas.seen[:3] == [2, 3, 4]
        assert replicas.seen == sorted(replicas.seen[:3]) + sorted(replicas.seen[3:], reverse=True), "no flapping"


@pytest.mark.parametrize(("layout", "cpu"), [(SMALL_SEQUENCE, "700m"), ({}, "40m")], ids=["IDs per second", "CPU time"])
def test_one_trigger_adds_a_worker(release: Release, layout: dict[str, object], cpu: str) -> None:
    keda = KEDA | {
        "queries": {"exhausted": "vector(0)"},
        "targetUtilization": 0.1,
    }  # so that a client in Python draws enough IDs
    release.install(SMALL, layout, autoscaling(keda=keda, targetCPUAverageValue=cpu, minReplicas=1, maxReplicas=2))
    wait_for(lambda: release.ready == 1, "a worker is ready")
    client = Client(release.namespace, release.name, connections=8, pause=0, singles=1, keeps=False)
    wait_for(lambda: release.ready == 2, "another one is ready")
    client.finish()


def test_hpa_to_keda_and_back_keeps_the_number(release: Release) -> None:
    # The target is so low that the load always requests more than the maximum.
    hpa, keda = (autoscaling(keda=each, targetCPUAverageValue="10m") for each in (KEDA | {"enabled": False}, KEDA))
    release.install(SMALL, hpa)
    client = Client(release.namespace, release.name, connections=12, pause=0.005, keeps=False)
    wait_for(lambda: release.ready == 4, "the HPA has as many as permitted")
    with Replicas(release) as replicas:
        for values in (keda, hpa):
            release.upgrade(SMALL, values)
            wait_for(lambda: _looks(release) == [4], "one HPA looks, and asks for all")
            time.sleep(25)  # longer than the stabilization window for scaling down
            assert _looks(release) == [4]
    assert replicas.seen == [4], release.namespace.kubectl("get", "events,hpa", "-o", "wide")
    client.finish()


def _looks(release: Release) -> list[int]:
    """Returns the number of workers that each HPA requests; 0 if it has no measurements."""
    hpas = json.loads(api.read(release.namespace.name, "hpa"))["items"]
    return [int(each["status"]["desiredReplicas"]) if each["status"].get("currentMetrics") else 0 for each in hpas]


class Replicas:
    """Records each change of a release's number of workers."""

    def __init__(self, release: Release) -> None:
        self.seen: list[int] = []
        self._release = release
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._record, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for(lambda: self.seen, "a first look")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _record(self) -> None:
        for change in api.changes(self._release.namespace.name, "statefulset", self._release.name, self._over):
            replicas = int(change["spec"]["replicas"])
            if self.seen[-1:] != [replicas]:
                self.seen.append(replicas)
