"""The autoscalers at work, with a real Prometheus and KEDA. The windows are short, so that minutes are enough."""

import os
import threading
import time
from typing import Self

import pytest
from installation import SMALL, Client, Release, run, wait_for
from needed_tools import leave_out

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
# A worker of this layout has 16,000 IDs a second, so that a client in Python asks for more than one has.
SMALL_SEQUENCE = {"layout": "41/10/4"}


def autoscaling(**others: object) -> dict[str, object]:
    return {"autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 4, "behavior": BEHAVIOR, **others}}


@pytest.fixture(scope="module", autouse=True)
def keda() -> None:
    if "keda.sh/v1alpha1" not in run("kubectl", "api-versions").split():
        leave_out("the cluster has no KEDA")


def test_keda_adds_workers_while_sequences_run_out_and_takes_them_away_after(release: Release) -> None:
    release.install(SMALL, SMALL_SEQUENCE, autoscaling(keda=KEDA))
    wait_for(lambda: release.ready == 2, "the least number is ready")
    client = Client(release.namespace, release.name, connections=12, pause=0, singles=400, keeps=False)
    with Replicas(release) as replicas:
        wait_for(lambda: release.ready == 4, "as many as permitted are ready", 120)
        assert replicas.seen == [2, 3, 4], "one by one"
        client.finish()
        wait_for(lambda: release.replicas == 2, "it falls after the load", 150)
        assert replicas.seen[:3] == [2, 3, 4]
        assert replicas.seen == sorted(replicas.seen[:3]) + sorted(replicas.seen[3:], reverse=True), "no flapping"


def test_requests_that_fill_the_cpu_add_workers_though_no_sequence_runs_out(release: Release) -> None:
    values = autoscaling(keda=KEDA, targetCPUAverageValue="40m", minReplicas=1, maxReplicas=2)
    release.install(SMALL, values)
    wait_for(lambda: release.ready == 1, "a worker is ready")
    client = Client(release.namespace, release.name, connections=8, pause=0, singles=1, keeps=False)
    wait_for(lambda: release.ready == 2, "another one is ready", 120)
    assert 'id_generator_sequence_exhausted_total{request="single"} 0.0' in release.namespace.metrics(
        f"{release.name}-0"
    )
    client.finish()


def test_from_hpa_to_keda_and_back_the_number_of_workers_does_not_dip(release: Release) -> None:
    # Four workers, which an autoscaler would keep for 5 minutes though two are enough.
    release.install(SMALL, autoscaling(keda={"enabled": False}, behavior={}, minReplicas=4))
    wait_for(lambda: release.namespace.get("hpa", "respid")["status"].get("currentReplicas") == 4, "the HPA works")
    wait_for(lambda: release.ready == 4, "four workers are ready")
    # It keeps the greatest number that it computed of late, and computes none before there are metrics.
    wait_for(lambda: release.namespace.get("hpa", "respid")["status"].get("currentMetrics"), "there are metrics", 90)
    time.sleep(15)
    with Replicas(release) as replicas:
        for values in (autoscaling(keda=KEDA, behavior={}), autoscaling(keda={"enabled": False}, behavior={})):
            release.upgrade(SMALL, values)
            wait_for(lambda: _hpas(release) == 1, "there is one HPA")
            time.sleep(20)  # two looks of the autoscaler at least
    assert replicas.seen == [4], release.namespace.kubectl("get", "events,hpa", "-o", "wide")


def _hpas(release: Release) -> int:
    return len(release.namespace.kubectl("get", "hpa", "-o", "name").split())


class Replicas:
    """The numbers of workers that a release was set to, each change once, in order."""

    def __init__(self, release: Release) -> None:
        self.seen: list[int] = []
        self._release = release
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for(lambda: self.seen, "a first look")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.3):
            replicas = self._release.replicas
            if not self.seen or self.seen[-1] != replicas:
                self.seen.append(replicas)
