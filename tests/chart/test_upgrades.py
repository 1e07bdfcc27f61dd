"""Upgrades of a release that is installed, where the chart looks at what is live: Helm against a real API server.

There is no KEDA here, nor anything else that acts: the tests do to the objects what those would do.
"""

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightkube
import pytest
import yaml
from lightkube.codecs import from_dict
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import StatefulSet
from lightkube.resources.autoscaling_v2 import HorizontalPodAutoscaler
from lightkube.resources.core_v1 import Namespace

from tests.chart.custom_definitions import definitions
from tests.chart.rendering import CHART, Values
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
        patch.delenv("KUBECONFIG", raising=False)  # a cluster with a KEDA that acts would be in the way
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
    except ApiError:
        return False
    return True


class Installation:
    """A release in a namespace of its own."""

    def __init__(self, kubeconfig: Path, home: Path, *, server_side: bool) -> None:
        self.namespace = next(_namespaces)
        self.client = _client(kubeconfig, self.namespace)
        self._environment = os.environ | {"KUBECONFIG": str(kubeconfig), "HOME": str(home)}
        self.server_side = server_side
        self.client.create(Namespace(metadata=ObjectMeta(name=self.namespace)))

    def install(self, values: Values) -> str:
        """What Helm prints."""
        flag = f"--server-side={str(self.server_side).lower()}"
        return self._helm("install", "ids", str(CHART), flag, "--values", "-", values=values)

    def upgrade(self, values: Values, *flags: str) -> str:
        return self._helm("upgrade", "ids", str(CHART), "--values", "-", *flags, values=values)

    def roll_back(self, revision: int) -> None:
        self._helm("rollback", "ids", str(revision))

    def _helm(self, *arguments: str, values: Values | None = None) -> str:
        command = [need_tool("helm"), "--namespace", self.namespace, *arguments]
        run = subprocess.run(
            command,
            input=yaml.safe_dump(values or {}),
            env=self._environment,
            stdout=subprocess.PIPE,
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
        """Makes the ScaledObject's HPA, and copies Helm's labels and annotations as KEDA does. Gives its name."""
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
        """Deletes the HPAs of ScaledObjects that are gone."""
        owners = {each.metadata.uid for each in self.client.list(ScaledObject) if each.metadata}
        for hpa in self.client.list(HorizontalPodAutoscaler):
            assert hpa.metadata is not None
            if any(owner.uid not in owners for owner in hpa.metadata.ownerReferences or ()):
                self.client.delete(HorizontalPodAutoscaler, str(hpa.metadata.name))


@pytest.fixture(params=[True, False], ids=["server-side", "client-side"])
def installation(
    kubeconfig_with_keda_api: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Installation]:
    """Nothing yet; to be installed as Helm 4 does, and as Helm 3 did."""
    installation = Installation(kubeconfig_with_keda_api, tmp_path, server_side=request.param)
    with installation.client:
        yield installation


def test_upgrades_and_rollbacks_leave_the_number_of_workers_to_the_autoscaler(installation: Installation) -> None:
    installation.install(HPA)
    assert installation.workers == 1
    installation.scale(5)
    installation.upgrade(HPA | {"drainDelaySeconds": 3})
    assert installation.workers == 5
    installation.scale(7)
    installation.roll_back(1)
    assert installation.workers == 7


def test_enabling_an_autoscaler_goes_on_with_the_live_number_of_workers(installation: Installation) -> None:
    installation.install(FIXED | {"replicaCount": 4})
    assert installation.workers == 4
    installation.scale(6)
    installation.upgrade(HPA)
    assert installation.workers == 6
    installation.scale(8)
    installation.upgrade(HPA | {"drainDelaySeconds": 3})
    assert installation.workers == 8


def test_an_upgrade_to_another_layout_needs_all_workers_stopped(installation: Installation) -> None:
    installation.install(HPA)
    for other in ({"layout": "41/11/11"}, {"epoch": "2025-01-01T00:00:00Z"}):
        with pytest.raises(subprocess.CalledProcessError):
            installation.upgrade(HPA | other)
    installation.scale(0)
    installation.upgrade(HPA | {"layout": "41/11/11"})
    assert installation.workers == 0


def test_disabling_the_autoscaler_sets_the_number_of_workers(installation: Installation) -> None:
    installation.install(HPA)
    installation.scale(5)
    installation.upgrade(FIXED)
    assert installation.workers == 3


def test_a_number_that_another_has_changed_is_set_by_force_on_the_servers_side(installation: Installation) -> None:
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


def test_from_hpa_to_keda_and_back_there_is_always_an_autoscaler(installation: Installation) -> None:
    installation.install(HPA)
    installation.scale(5)
    for own, kedas in ((NAME, NAME), (SECOND_NAME, SECOND_NAME), (NAME, NAME)):
        installation.upgrade(HPA)
        installation.act_as_garbage_collector()
        assert installation.hpa_names() == [own]

        installation.upgrade(HPA | {"drainDelaySeconds": 3})
        assert installation.hpa_names() == [own]

        # KEDA accepts a ScaledObject beside an HPA only of the name that it gives.
        printed = installation.upgrade(KEDA)
        assert "set by KEDA" in printed
        assert installation.act_as_keda() == kedas

        installation.upgrade(KEDA | {"drainDelaySeconds": 3})
        assert installation.scaled_object().spec["advanced"]["horizontalPodAutoscalerConfig"]["name"] == kedas
        assert installation.hpa_names() == [kedas]
        assert installation.workers == 5


def test_the_notes_name_the_queries_to_try(installation: Installation) -> None:
    printed = installation.install(KEDA)
    for trigger in installation.scaled_object().spec["triggers"][:2]:
        assert trigger["metadata"]["query"] in printed
    assert "because the cluster has KEDA" in printed
    assert "serviceMonitor.enabled is false" in printed
