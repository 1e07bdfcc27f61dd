"""Kubernetes, KEDA and the Prometheus operator accept every field of the rendered objects."""

import functools
import re
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import all_versions, major_minor, schema_contents

from tests.chart import older_schemas
from tests.chart.custom_definitions import SOURCES, schema_of
from tests.chart.rendering import CASES, CASES_WITHOUT_KEDA, CHART, Manifest, Render, render_case

ALL_VERSIONS = [*older_schemas.VERSIONS, *all_versions()]
VERSIONS = list(dict.fromkeys(major_minor(version) for version in ALL_VERSIONS))
PRESERVED = "x-kubernetes-preserve-unknown-fields"


@functools.cache
def read_schema(filename: str, version: str) -> Any:
    return older_schemas.read(filename) if older_schemas.has(version) else schema_contents(filename, version)


def group_of(manifest: Manifest) -> str:
    return str(manifest["apiVersion"]).rpartition("/")[0]


def _closed(schema: Any) -> Any:
    """Returns the schema with unknown fields refused; an API server would drop them."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(closed.get("pattern"), str):  # Go's regular expressions can have flags after the ^
        closed["pattern"] = re.sub(r"^\^(\(\?i\))", r"\1^", closed["pattern"])
    if closed.get("type") == "object" and closed.get("properties") and PRESERVED not in closed:
        closed.setdefault("additionalProperties", False)
    if closed.pop("x-kubernetes-int-or-string", False):
        closed = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    return closed


def validate_custom(manifest: Manifest) -> None:
    """Raises jsonschema.ValidationError."""
    schema = _closed(schema_of(manifest["apiVersion"], manifest["kind"]))
    # The API server, not the definition, declares the fields that every object has.
    body = {key: value for key, value in manifest.items() if key != "metadata"}
    jsonschema.validate(body, schema)


def validate(rendered: Render, version: str) -> None:
    for manifest in rendered.objects:
        if group_of(manifest) not in SOURCES:
            kubernetes_validate.validate(manifest, version, strict=True)


@pytest.fixture(autouse=True)
def schemas_of_all_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the older versions known, and reads each schema once."""
    monkeypatch.setattr(kubernetes_validate.utils, "all_versions", lambda: ALL_VERSIONS)
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", read_schema)


def test_newest_kubernetes_accepts_objects() -> None:
    for case in CASES_WITHOUT_KEDA:
        validate(render_case(case), "1.36")  # the version that the engine in this process claims to be


@pytest.mark.kubernetes
@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_accepts_objects(version: str) -> None:
    for case in CASES:
        validate(render_case(case, f"{version}.0"), version)


@pytest.mark.kubernetes
def test_oldest_kubernetes_has_its_own_schema() -> None:
    """`unhealthyPodEvictionPolicy` came with 1.26."""
    oldest = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    assert oldest == f">={VERSIONS[0]}.0-0"
    newer = render_case("default", "1.37.0")
    with pytest.raises(kubernetes_validate.ValidationError, match="unhealthyPodEvictionPolicy"):
        validate(newer, VERSIONS[0])


@pytest.mark.kubernetes
def test_custom_definitions_accept_objects() -> None:
    custom = [each for case in CASES for each in render_case(case).objects if group_of(each) in SOURCES]
    for manifest in custom:
        validate_custom(manifest)
    assert {each["kind"] for each in custom} >= {
        "Certificate",
        "PodMonitor",
        "PrometheusRule",
        "ScaledObject",
        "ServiceMonitor",
    }


@pytest.mark.kubernetes
def test_custom_definitions_refuse_wrong_objects() -> None:
    scaled = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject"}
    target, triggers = {"name": "x"}, [{"type": "cpu", "metadata": {"value": "1"}}]
    validate_custom(scaled | {"spec": {"scaleTargetRef": target, "triggers": triggers}})
    for wrong in (
        {"triggers": triggers},
        {"scaleTargetRef": target, "triggers": triggers, "minReplicas": 1},
        {"scaleTargetRef": target, "triggers": triggers, "maxReplicaCount": "10"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            validate_custom(scaled | {"spec": wrong})
