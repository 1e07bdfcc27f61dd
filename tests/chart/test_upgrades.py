"""Upgrades an installed release, with Helm against a real API server, because the chart looks at live objects.

No controllers run, and no KEDA: the tests make their changes to the objects.
"""

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import lightkube
import pytest
import yaml
from lightkube.codecs import from_dict
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import StatefulSet
from lightkube.resources.autoscaling_v2 import HorizontalPodAutoscaler
from lightkube.resources.core_v1 import Namespace, Service
from lightkube.resources.networking_v1 import NetworkPolicy

from tests.chart.custom_definitions import definitions
from tests.chart.rendering import CHART, Values, umbrella_chart
from tests.support.kubernetes_api_server import running_api_server
from tests.support.needed_tools import need_tool
from tests.support.running import wait_until

pytestmark = pytest.mark.kubernetes
ScaledObject = create_namespaced_resource("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
NAME, SECOND_NAME = "ids-respid", "ids-respid-hpa"  # of the workers and the HPA; of the HPA after one of KEDA's
HPA: Values = {"autoscaling": {"keda": {"enabled": False}}}
KEDA: Values = {"autoscaling": {"keda": {"enabled": True}}}
FIXED: Values = {"autoscaling": {"enabled": False}}
_namespaces = (f"chart-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def kubeconfig_with_keda_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("KUBECONFIG", raising=False)  # a KEDA that runs in a cluster would interfere
        with running_api_server(tmp_path_factory.mktemp("kubernetes")) as server:
            with _client(server.kubeconfig) as client:
                for definition in definitions("keda.sh"):
                    if definition["spec"]["names"]["kind"] == "ScaledObject":
                        client.create(from_dict(definition))
                wait_until(lambda: _answers(lambda: list(client.list(ScaledObject))))
            yield server.kubeconfig


def _client(kubeconfig: Path, namespace: str = "default") -> "lightkube.Client":
    configuration = lightkube.KubeConfig.from_file(str(kubeconfig)).get()
    return lightkube.Client(config=configuration, namespace=namespace)


def _answers(request: Any) -> bool:
    try:
        request()
    except (ApiError, httpx2.HTTPStatusError):  # the latter if the answer is text, as for what is not served yet
        return False
    return True


class Installation:
    """A release in a namespace of its own."""

    def __init__(self, kubeconfig: Path, home: Path, *, server_side: bool) -> None:
        self.namespace = next(_namespaces)
        self.client = _client(kubeconfig, self.namespace)
        self._environment = os.environ | {"KUBECONFIG": str(kubeconfig), "HOME": str(home)}
        self.server_side = server_side
        self.chart = CHART
        self.client.create(Namespace(metadata=ObjectMeta(name=self.namespace)))

    def install(self, values: Values) -> str:
        """Returns the output of Helm."""
        flag = f"--server-side={str(self.server_side).lower()}"
        return self._helm("install", "ids", str(self.chart), flag, "--values", "-", values=values)

    def upgrade(self, values: Values, *flags: str) -> str:
        return self._helm("upgrade", "ids", str(self.chart), "--values", "-", *flags, values=values)

    def roll_back(self, revision: int) -> None:
        self._helm("rollback", "ids", str(revision))

    def _helm(self, *arguments: str, values: Values | None = None) -> str:
        command = [need_tool("helm"), "--namespace", self.namespace, *arguments]
        run = subprocess.run(
            command,
            input=yaml.safe_dump(values or {}),
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return run.stdout

    @property
    def workers(self) -> int | None:
        specification = self.client.get(StatefulSet, NAME).spec
        assert specification is not None
        return specification.replicas

    def scale(self, workers: int) -> None:
        """As an autoscaler does."""
        scale = self.client.get(StatefulSet.Scale, NAME)
        assert scale.spec is not None
        scale.spec.replicas = workers
        self.client.replace(scale, NAME, field_manager="kube-controller-manager")

    def hpa_names(self) -> list[str]:
        return sorted(str(each.metadata and each.metadata.name) for each in self.client.list(HorizontalPodAutoscaler))

    def scaled_object(self) -> Any:
        (found,) = self.client.list(ScaledObject)
        return found

    def act_as_keda(self) -> str:
        """Creates the HPA of the ScaledObject, with Helm's labels and annotations, as KEDA does. Returns its name."""
        scaled = self.scaled_object()
        name: str = scaled.spec["advanced"]["horizontalPodAutoscalerConfig"]["name"]
        owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": NAME, "uid": scaled.metadata.uid}
        hpa = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "spec": {
                "maxReplicas": 10,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": NAME},
            },
        }
        metadata = {"name": name, "labels": scaled.metadata.labels, "annotations": scaled.metadata.annotations}
        self.client.create(from_dict(hpa | {"metadata": metadata | {"ownerReferences": [owner]}}))
        return name

    def act_as_garbage_collector(self) -> None:
        """Deletes the HPAs of deleted ScaledObjects."""
        owners = {each.metadata.uid for each in self.client.list(ScaledObject) if each.metadata}
        for hpa in self.client.list(HorizontalPodAutoscaler):
            assert hpa.metadata is not None
            if any(owner.uid not in owners for owner in hpa.metadata.ownerReferences or ()):
                self.client.delete(HorizontalPodAutoscaler, str(hpa.metadata.name))


@pytest.fixture(params=[True, False], ids=["server-side", "client-side"])
def installation(
    kubeconfig_with_keda_api: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Installation]:
    """Not installed yet; server-side as in Helm 4, or client-side as in Helm 3."""
    installation = Installation(kubeconfig_with_keda_api, tmp_path, server_side=request.param)
    with installation.client:
        yield installation


def test_upgrade_keeps_replicas_of_autoscaler(installation: Installation) -> None:
    installation.install(HPA)
    assert installation.workers == 1
    installation.scale(5)
    installation.upgrade(HPA | {"drainDelaySeconds": 3})
    assert installation.workers == 5
    installation.scale(7)
    installation.roll_back(1)
    assert installation.workers == 7


@pytest.mark.parametrize(
    ("values", "command"),
    [
        (HPA, f"scale statefulset {NAME} --replicas 2\n"),
        (KEDA, f"annotate scaledobject {NAME} autoscaling.keda.sh/paused-replicas-\n"),
    ],
    ids=["HPA", "KEDA"],
)
def test_the_notes_say_how_to_start_stopped_workers(installation: Installation, values: Values, command: str) -> None:
    assert "does not start them" not in installation.install(values)
    installation.scale(0)
    printed = installation.upgrade(values)
    assert installation.workers == 0
    assert f"kubectl -n {installation.namespace} {command}" in printed


def test_enabling_an_autoscaler_keeps_the_live_number(installation: Installation) -> None:
    installation.install(FIXED | {"replicaCount": 4})
    assert installation.workers == 4
    installation.scale(6)
    installation.upgrade(HPA)
    assert installation.workers == 6
    installation.scale(8)
    installation.upgrade(HPA | {"drainDelaySeconds": 3})
    assert installation.workers == 8


@pytest.mark.parametrize(
    "change",
    [
        {"layout": "41/11/11"},
        {"epoch": "2025-01-01T00:00:00Z"},
        {"workerIdOffset": 2},
        {"lease": {"idSpace": "orders"}},
        {"store": "none"},
    ],
)
def test_refuses_id_settings_change_while_running(installation: Installation, change: Values) -> None:
    installation.install(HPA)
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        installation.upgrade(HPA | change)
    assert "stop all workers first (see docs/transitions.md)" in refusal.value.stderr
    installation.scale(0)
    installation.upgrade(HPA | change)
    assert installation.workers == 0


@pytest.mark.parametrize("change", [{"nameOverride": "orders"}, {"fullnameOverride": "ids-orders"}])
def test_refuses_another_name_while_running(installation: Installation, change: Values) -> None:
    """Helm deletes the former StatefulSet together with the Role by which its workers give up their worker IDs."""
    installation.install(HPA)
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        installation.upgrade(HPA | change)
    assert f"the workers of StatefulSet {NAME} run, and this upgrade renames it to ids-orders" in refusal.value.stderr
    installation.scale(0)
    installation.upgrade(HPA | change)
    assert [str(each.metadata and each.metadata.name) for each in installation.client.list(StatefulSet)] == [
        "ids-orders"
    ]


def test_a_dependency_can_be_added_beside_one_that_runs(installation: Installation, tmp_path: Path) -> None:
    """Also if its alias is the beginning of the other's."""
    dependencies: list[Values] = [
        {"name": "respid", "version": "0.1.0", "alias": alias, "condition": f"{alias}.enabled"}
        for alias in ("orders", "orders-2")
    ]
    installation.chart = umbrella_chart(tmp_path, dependencies)
    installation.install({"orders": {"enabled": False}, "orders-2": HPA})
    installation.upgrade({"orders": HPA, "orders-2": HPA})
    installed = [str(each.metadata and each.metadata.name) for each in installation.client.list(StatefulSet)]
    assert sorted(installed) == ["ids-orders", "ids-orders-2"]


@pytest.mark.parametrize("change", [{"workerIdOffset": 0}, {"layout": "41/11/11"}, {"store": "lease"}])
def test_volumes_keep_their_worker_ids(installation: Installation, change: Values) -> None:
    """Neither by an upgrade nor by a rollback, whether workers run or not."""
    before: Values = FIXED | {"store": "file", "workerIdOffset": 2, "replicaCount": 5}
    installation.install(before)
    for _ in range(2):
        with pytest.raises(subprocess.CalledProcessError) as refusal:
            installation.upgrade(before | change)
        installation.scale(0)
    assert f"kubectl -n {installation.namespace} delete statefulset {NAME} (its volumes stay)" in refusal.value.stderr

    installation.client.delete(StatefulSet, NAME)
    wait_until(lambda: not list(installation.client.list(StatefulSet)))
    installation.upgrade(before | change)
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        installation.roll_back(1)
    assert "updates to statefulset spec for fields other than" in refusal.value.stderr


def test_disabling_the_autoscaler_sets_replicas(installation: Installation) -> None:
    installation.install(HPA)
    installation.scale(5)
    installation.upgrade(FIXED)
    assert installation.workers == 3


def test_server_side_conflict_needs_force(installation: Installation) -> None:
    installation.install(FIXED)
    installation.scale(5)
    if installation.server_side:
        with pytest.raises(subprocess.CalledProcessError):
            installation.upgrade(FIXED)
        assert installation.workers == 5
        installation.upgrade(FIXED, "--force-conflicts")
    else:
        installation.upgrade(FIXED | {"replicaCount": 4})
    assert installation.workers == (3 if installation.server_side else 4)


def test_hpa_to_keda_and_back_always_has_an_autoscaler(installation: Installation) -> None:
    installation.install(HPA)
    installation.scale(5)
    for own, kedas in ((NAME, NAME), (SECOND_NAME, SECOND_NAME), (NAME, NAME)):
        installation.upgrade(HPA)
        installation.act_as_garbage_collector()
        assert installation.hpa_names() == [own]

        installation.upgrade(HPA | {"drainDelaySeconds": 3})
        assert installation.hpa_names() == [own]

        # KEDA accepts a ScaledObject beside an existing HPA only if it names that HPA.
        printed = installation.upgrade(KEDA)
        assert "set by KEDA" in printed
        assert installation.act_as_keda() == kedas

        installation.upgrade(KEDA | {"drainDelaySeconds": 3})
        assert installation.scaled_object().spec["advanced"]["horizontalPodAutoscalerConfig"]["name"] == kedas
        assert installation.hpa_names() == [kedas]
        assert installation.workers == 5


def test_notes_contain_the_queries(installation: Installation) -> None:
    printed = installation.install(KEDA)
    for trigger in installation.scaled_object().spec["triggers"][:2]:
        assert trigger["metadata"]["query"] in printed
    assert "because the cluster has KEDA" in printed
    assert "serviceMonitor.enabled is false" in printed
    assert "local:9090/api/v1/query?query=1" in printed
    assert "The address has no port" not in printed


def test_the_network_policy_looks_up_the_api_server(installation: Installation) -> None:
    installation.install(HPA | {"networkPolicy": {"enabled": True}})
    policy = installation.client.get(NetworkPolicy, NAME).to_dict()["spec"]
    service = installation.client.get(Service, "kubernetes", namespace="default").to_dict()["spec"]
    blocks = [each["ipBlock"]["cidr"] for each in policy["egress"][0]["to"]]
    assert f"{service['clusterIP']}/32" in blocks
    assert "0.0.0.0/0" not in blocks
    assert {each["port"] for each in policy["egress"][0]["ports"]} >= {443, 6443}


def test_the_notes_mention_a_missing_port(installation: Installation) -> None:
    keda = {"enabled": True, "prometheusServerAddress": "http://prometheus.monitoring.svc"}
    assert "The address has no port, so port 80 is used" in installation.install({"autoscaling": {"keda": keda}})
