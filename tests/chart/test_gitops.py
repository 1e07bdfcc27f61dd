"""The chart as Argo CD and Flux apply it: rendered without a cluster, applied twice, compared with what is live."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.custom_definitions import SOURCES, schema_of
from tests.chart.rendering import CASES, CASES_WITHOUT_KEDA, KEDA_API, Manifest, render, render_case, render_with_apis
from tests.support.kubernetes_api_server import running_api_server
from tests.support.needed_tools import need_tool


def test_the_helm_test_is_no_hook_of_argo_cd() -> None:
    annotations = render().one("Pod")["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "test"
    assert annotations["argocd.argoproj.io/hook"] == "Skip"


def test_two_renderings_are_equal() -> None:
    """Nothing is generated: no password, no time, no random name."""
    assert [render_case(case).objects for case in CASES_WITHOUT_KEDA] == [
        render_case(case).objects for case in CASES_WITHOUT_KEDA
    ]


@pytest.mark.kubernetes
def test_both_autoscalers_have_the_name_that_is_given() -> None:
    name = {"hpaName": "other"}
    hpa = render({"autoscaling": name | {"keda": {"enabled": False}}}).one("HorizontalPodAutoscaler")
    scaled = render_with_apis({"autoscaling": name}, KEDA_API).one("ScaledObject")
    assert hpa["metadata"]["name"] == "other"
    assert scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"] == "other"


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_api_server(tmp_path_factory.mktemp("kubernetes")) as server:
        yield server.kubeconfig


def built_in_objects(case: str) -> list[Manifest]:
    rendered = render_case(case).objects
    return [each for each in rendered if each["apiVersion"].rpartition("/")[0] not in SOURCES and each["kind"] != "Pod"]


class Cluster:
    """kubectl with the objects of one case, in a namespace of their own."""

    def __init__(self, kubeconfig: Path, home: Path, case: str, namespace: str = "") -> None:
        self._environment = os.environ | {"KUBECONFIG": str(kubeconfig), "HOME": str(home)}
        self._namespace = f"gitops-{namespace or case}"
        self.objects = built_in_objects(case)
        for each in self.objects:
            each["metadata"]["namespace"] = self._namespace
        self.kubectl("create", "namespace", self._namespace, objects=[])

    def kubectl(self, *arguments: str, objects: list[Manifest] | None = None) -> str:
        given = yaml.safe_dump_all(self.objects if objects is None else objects)
        command = [need_tool("kubectl"), *arguments]
        run = subprocess.run(
            command, input=given, env=self._environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def versions(self) -> dict[str, str]:
        """The version of each object, which changes with every write to it."""
        live = yaml.safe_load(self.kubectl("get", "--filename", "-", "--output", "yaml"))["items"]
        return {f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["resourceVersion"] for each in live}


@pytest.mark.kubernetes
@pytest.mark.parametrize("case", CASES_WITHOUT_KEDA)
def test_a_second_server_side_apply_changes_nothing(kubeconfig: Path, tmp_path: Path, case: str) -> None:
    cluster = Cluster(kubeconfig, tmp_path, case)
    apply = ("apply", "--server-side", "--field-manager", "argocd-controller", "--filename", "-")
    cluster.kubectl(*apply)
    before = cluster.versions()
    cluster.kubectl(*apply)
    assert cluster.versions() == before


@pytest.mark.kubernetes
def test_the_volumes_are_written_as_the_api_server_completes_them(kubeconfig: Path, tmp_path: Path) -> None:
    """Argo CD compares lists as a whole, so any field that is added to a claim would count as a difference."""
    cluster = Cluster(kubeconfig, tmp_path, "file-store", "volumes")
    cluster.kubectl("apply", "--filename", "-")
    live = yaml.safe_load(cluster.kubectl("get", "--filename", "-", "--output", "yaml"))["items"]
    (claim,) = next(each for each in live if each["kind"] == "StatefulSet")["spec"]["volumeClaimTemplates"]
    (rendered,) = render_case("file-store").one("StatefulSet")["spec"]["volumeClaimTemplates"]
    claim.pop("status")
    claim["metadata"].pop("creationTimestamp", None)
    assert claim == rendered


@pytest.mark.kubernetes
def test_the_api_server_changes_no_field_of_the_default_objects(kubeconfig: Path, tmp_path: Path) -> None:
    """As it would change a CPU limit of 1000m to 1, which some tools show as a difference."""
    cluster = Cluster(kubeconfig, tmp_path, "default", "unchanged")
    cluster.kubectl("apply", "--filename", "-")
    live = yaml.safe_load(cluster.kubectl("get", "--filename", "-", "--output", "yaml"))["items"]
    for wanted, found in zip(cluster.objects, live, strict=True):
        assert list(_changed(wanted, found)) == []


def _changed(wanted: Any, found: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields the fields that differ. More fields may have been added."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, each in wanted.items():
            yield from _changed(each, found.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, each in enumerate(wanted):
            yield from _changed(each, found[number], f"{path}[{number}]")
    elif wanted != found:
        yield path, wanted, found


@pytest.mark.kubernetes
@pytest.mark.parametrize("case", CASES)
def test_the_lists_of_custom_objects_are_written_as_the_api_server_completes_them(case: str) -> None:
    custom = [each for each in render_case(case).objects if each["apiVersion"].rpartition("/")[0] in SOURCES]
    for manifest in custom:
        schema = schema_of(manifest["apiVersion"], manifest["kind"])
        assert list(_incomplete_lists(manifest["spec"], schema["properties"]["spec"])) == []


def _incomplete_lists(value: Any, schema: dict[str, Any]) -> Iterator[Any]:
    """Yields the lists that the API server would change by a default."""
    if isinstance(value, list) and value != _completed(value, schema):
        yield value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _incomplete_lists(each, schema.get("properties", {}).get(key, {}))


def _completed(value: Any, schema: dict[str, Any]) -> Any:
    """Returns the value with the defaults of its schema."""
    if isinstance(value, list):
        return [_completed(each, schema.get("items", {})) for each in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    defaults = {key: each["default"] for key, each in properties.items() if "default" in each}
    return {key: _completed(each, properties.get(key, {})) for key, each in (defaults | value).items()}
