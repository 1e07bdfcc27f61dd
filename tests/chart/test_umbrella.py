"""The chart as a dependency of an umbrella chart, once or twice."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, KEDA_API, Manifest, Render, Values, documents, umbrella_chart
from tests.chart.test_schemas import schemas_of_all_versions, validate  # noqa: F401 - a fixture
from tests.support.needed_tools import need_tool

pytestmark = pytest.mark.kubernetes
DOCUMENT = CHART.parent / "docs" / "kubernetes.md"


def _template(chart: Path, values: Values, *options: str) -> list[Manifest]:
    command = [need_tool("helm"), "template", "shop", str(chart), "--values", "-", "--include-crds", *options]
    printed = subprocess.run(command, input=yaml.safe_dump(values), stdout=subprocess.PIPE, text=True, check=True)
    return list(documents(printed.stdout))


@pytest.mark.parametrize("version", ["1.23", "1.34"])
def test_an_umbrella_chart_renders_with_the_options_of_argo_cd(tmp_path: Path, version: str) -> None:
    dependency = {"name": "respid", "version": "0.1.0", "alias": "orders-ids", "condition": "orders-ids.enabled"}
    umbrella = umbrella_chart(tmp_path, [dependency])
    apis = ["--api-versions", KEDA_API, "--api-versions", f"{KEDA_API}/ScaledObject"]
    shared: Values = {"global": {"imageRegistry": "mirror:5000", "storageClass": "fast", "imagePullSecrets": None}}
    own: Values = {"orders-ids": {"enabled": True, "replicaCount": 2, "global": {"team": "orders"}}}
    objects = _template(umbrella, shared | own, "--kube-version", version, *apis)
    validate(Render([each for each in objects if each["kind"] != "ScaledObject"]), version)
    (workers,) = [each for each in objects if each["kind"] == "StatefulSet"]
    assert workers["metadata"]["name"] == "shop-orders-ids"
    (container,) = workers["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("mirror:5000/respid:")
    assert "ScaledObject" in {each["kind"] for each in objects}
    assert _template(umbrella, {"orders-ids": {"enabled": False}}) == []


def _documented() -> tuple[list[Values], Values]:
    """The dependencies and the values in the document."""
    section = DOCUMENT.read_text().partition("## In an umbrella chart\n")[2].partition("\n## ")[0]
    metadata, values = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    return yaml.safe_load(metadata)["dependencies"], yaml.safe_load(values)


def test_two_dependencies_share_no_name_no_pod_and_no_worker_id(tmp_path: Path) -> None:
    """As documented."""
    dependencies, values = _documented()
    objects = _template(umbrella_chart(tmp_path, dependencies), values)
    validate(Render(objects), "1.34")
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(set(names)) == len(names)
    for dependency in dependencies:
        workers = next(each for each in objects if (each["kind"], each["metadata"]["name"]) == _workers(dependency))
        labels = workers["spec"]["template"]["metadata"]["labels"].items()
        services = [
            each for each in objects if each["kind"] == "Service" and each["spec"]["selector"].items() <= labels
        ]
        assert {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in services} == {
            "clients",
            "workers",
            "ready-workers",
        }
        assert len(services) == 3
    spaces = [_id_space(each) for each in objects if each["kind"] == "StatefulSet"]
    assert len(set(spaces)) == len(dependencies)


def _workers(dependency: Values) -> tuple[str, str]:
    return "StatefulSet", f"shop-{dependency['alias']}"


def _id_space(workers: Manifest) -> Any:
    environment = workers["spec"]["template"]["spec"]["containers"][0]["env"]
    return next(each["value"] for each in environment if each["name"] == "RESPID_LEASE_ID_SPACE")
