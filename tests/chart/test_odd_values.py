"""Values that are legal but unusual: null, names that look like numbers, random combinations."""

import copy
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import helm_python
import hypothesis
import jsonschema
import pytest
import yaml
from hypothesis import strategies

from respid.cli.serve import serve
from tests.chart.rendering import CHART, KEDA_API, Render, Values, ci_values, render, render_with_apis
from tests.chart.test_schemas import schemas_of_all_versions, validate  # noqa: F401 - a fixture
from tests.chart.test_values import nested

NEWEST = "1.36"
# Kubernetes' own fields: the chart hands them on.
OF_KUBERNETES = ("ecurityContext", "resources", "autoscaling.behavior", "Probe")
LIKE_NUMBERS = ["123", "1e3", "0x1f", "true", "null", "on", "1-2"]
UNLIKE_SERVICES = ["1abc", "my.release", "2024"]  # legal names of releases


def _paths(values: Values, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, each in values.items():
        yield prefix + key, each
        if isinstance(each, dict):
            yield from _paths(each, f"{prefix}{key}.")


def _default_values() -> Values:
    values: Values = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


def _shown(rendered: Render) -> str:
    return json.dumps([rendered.objects, rendered.notes], sort_keys=True)


def test_null_is_refused_or_means_the_default_or_empty() -> None:
    default = _shown(render())
    for path, value in _paths(_default_values()):
        if any(each in path for each in OF_KUBERNETES):
            continue
        try:
            shown = _shown(render(nested(path, None)))
        except helm_python.HelmError as error:
            assert f"missing property '{path.rpartition('.')[2]}'" in str(error), path  # noqa: PT017 - either outcome is right
            continue
        empty = None if value is None else type(value)()
        assert shown == default or shown == _shown(render(nested(path, empty))), path


def test_strings_are_no_booleans_and_no_numbers() -> None:
    """`--set-string` is refused rather than misunderstood: "false" would be true."""
    for path, value in _paths(_default_values()):
        if isinstance(value, bool | int | float) and not any(each in path for each in OF_KUBERNETES):
            with pytest.raises(helm_python.HelmError, match=f"/{path.replace('.', '/')}': got string"):
                render(nested(path, str(value).lower()))


@pytest.mark.parametrize("name", LIKE_NUMBERS)
def test_names_like_numbers_stay_strings(name: str) -> None:
    secrets: Values = {
        "auth": {"existingSecret": name, "secretKey": name},
        "tls": {"enabled": True, "existingSecret": name, "crl": {"existingConfigMap": name, "key": name}},
        "imagePullSecrets": [name],
        "serviceAccount": {"name": name},
        "autoscaling": {"hpaName": name},
        "priorityClassName": name,
        "schedulerName": name,
        "lease": {"idSpace": name},
        "image": {"tag": name},
    }
    secrets["tls"]["authClients"] = "optional"
    for release, values in (("demo", secrets), (f"r-{name}", {"fullnameOverride": "ids"})):
        validate(render(values, namespace=name, release=release), NEWEST)


@pytest.mark.parametrize("tag", [20241126, 1234567, "20241126"])
def test_a_date_is_an_image_tag(tag: object) -> None:
    assert render({"image": {"tag": tag}}).container["image"] == f"localhost/respid:{tag}"


@pytest.mark.parametrize("release", UNLIKE_SERVICES)
def test_a_release_whose_name_no_service_can_have_needs_another(release: str) -> None:
    with pytest.raises(helm_python.HelmError, match=r"the Service would have the name .* set fullnameOverride"):
        render(release=release)
    validate(render({"fullnameOverride": "ids"}, release=release), NEWEST)


@pytest.mark.parametrize("release", ["a" * 53, f"{'a' * 51}--x", f"{'a-' * 26}b", "a"])
def test_names_are_cut_where_a_name_may_end(release: str) -> None:
    rendered = render(ci_values("everything") | {"fullnameOverride": ""}, release=release)
    validate(rendered, NEWEST)
    for manifest in rendered.objects:
        name = manifest["metadata"]["name"]
        assert len(name) <= 63
        assert name[-1] != "-"


@pytest.mark.parametrize(("given", "expected"), [(True, "yes"), (False, "no"), ("optional", "optional")])
def test_yes_and_no_need_no_quotes(given: object, expected: str) -> None:
    rendered = render({"tls": {"enabled": True, "existingSecret": "x", "authClients": given}})
    assert rendered.environment["RESPID_TLS_AUTH_CLIENTS"] == expected
    assert ("RESPID_TLS_CA_CERT_FILE" in rendered.environment) == (expected != "no")


@pytest.mark.parametrize(("given", "expected"), [(1, "1"), (0.5, "0.5"), ("700m", "700m")])
def test_cpu_is_a_number_or_a_quantity(given: object, expected: str) -> None:
    (metric,) = render({"autoscaling": {"targetCPUAverageValue": given}}).one("HorizontalPodAutoscaler")["spec"][
        "metrics"
    ]
    assert metric["containerResource"]["target"]["averageValue"] == expected


# Values of other charts, of which none would have an effect, and the keys that the error must name.
OF_OTHER_CHARTS: dict[str, tuple[Values, set[str]]] = {
    "bitnami redis": (
        {
            "architecture": "replication",
            "replica": {"replicaCount": 3},
            "metrics": {"enabled": True, "serviceMonitor": {"enabled": True}},
            "auth": {"enabled": True, "password": "secret", "existingSecretPasswordKey": "redis-password"},
            "persistence": {"enabled": True},
            "pdb": {"create": True},
            "readinessProbe": {"enabled": True},
            "networkPolicy": {"allowExternal": True},
            "tls": {"certFilename": "tls.crt"},
        },
        {"architecture", "replica", "metrics", "enabled", "password", "pdb", "allowExternal", "certFilename"},
    ),
    "valkey": (
        {
            "dataStorage": {"enabled": True, "requestedSize": "8Gi"},
            "valkeyConfig": "maxmemory 1gb",
            "auth": {"aclUsers": {"default": {"permissions": "~* +@all"}}},
        },
        {"dataStorage", "valkeyConfig", "aclUsers"},
    ),
    "prometheus-community": (
        {
            "serviceMonitor": {"enabled": True, "additionalLabels": {"release": "kps"}, "namespace": "monitoring"},
            "prometheusRule": {"enabled": True, "rules": []},
            "rbac": {"pspEnabled": False},
        },
        {"additionalLabels", "namespace", "rules", "pspEnabled"},
    ),
    "helm create": (
        {
            "serviceAccount": {"create": True, "automount": True},
            "autoscaling": {"targetCPUUtilizationPercentage": 80},
            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
            "ingress": {"enabled": False},
            "volumes": [],
        },
        {"automount", "targetCPUUtilizationPercentage", "httpGet", "ingress", "volumes"},
    ),
}


@pytest.mark.parametrize("chart", OF_OTHER_CHARTS)
def test_values_of_other_charts_are_refused_by_name(chart: str) -> None:
    values, names = OF_OTHER_CHARTS[chart]
    with pytest.raises(helm_python.HelmError) as refusal:
        render(values)
    assert {name for name in names if f"'{name}'" not in str(refusal.value)} == set()


@pytest.mark.kubernetes
@pytest.mark.parametrize("name", ["serverAddress", "threshold", "query", "ignoreNullValues"])
def test_a_trigger_has_each_parameter_once(name: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        render_with_apis({"autoscaling": {"keda": {"triggerMetadata": {name: "1"}}}}, KEDA_API)


# Values for the random combinations where the schema alone does not say which ones make sense.
CHOICES: dict[str, list[Any]] = {
    "auth.existingSecret": ["", "passwords", "123"],
    "auth.secretKey": ["passwords", "1"],
    "epoch": ["2024-01-01T00:00:00Z", "2020-01-01", 1704067200000, "1704067200000"],
    "layout": ["41/10/12", "41/4/8", "42/9/12", "39/16/8"],
    "lease.idSpace": ["default", "orders", "0"],
    "nameOverride": ["", "ids"],
    "fullnameOverride": ["", "true", "a" * 60],
    "networkPolicy.apiServerAddresses": [["10.0.0.1"], ["10.0.0.0/8", "fd00::1"]],
    "persistence.size": ["16Mi", "1Gi"],
    "persistence.storageClass": ["", "-", "fast"],
    "service.ipFamilies": [[], ["IPv6", "IPv4"]],
    "service.loadBalancerSourceRanges": [[], ["10.0.0.0/8"]],
    "tls.certManager.issuerRef": [{}, {"name": "ca", "kind": "Issuer"}],
    "tls.existingSecret": ["", "certificate"],
    "topologySpreadConstraints": [[], None],
}
NUMBERS = (0, 0.5, 1, 2, 16, 60, 1000, 1_000_000)
LEFT_ALONE = (*OF_KUBERNETES, "extraObjects", "global", "autoscaling.keda.queries")


SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def _candidates(path: str, value: Any) -> list[Any]:
    """Values to try at a path, none for what only Kubernetes understands."""
    schema = SCHEMA
    for key in path.split("."):
        schema = schema.get("properties", {}).get(key, {})
    if path in CHOICES:
        return CHOICES[path]
    if isinstance(value, bool):
        return [False, True]
    if isinstance(value, int | float):
        permits = jsonschema.Draft7Validator(schema).is_valid
        return [number for number in NUMBERS if permits(number)]
    return list(schema.get("enum", []))


TRIED = {
    path: candidates
    for path, value in _paths(_default_values())
    if not any(each in path for each in LEFT_ALONE)
    if (candidates := _candidates(path, value))
}
CHANGES = strategies.lists(strategies.sampled_from(sorted(TRIED)), min_size=4, max_size=20, unique=True)


@strategies.composite
def combinations(draw: strategies.DrawFn) -> Values:
    values: Values = {}
    for path in draw(CHANGES):
        *outer, last = path.split(".")
        inner = values
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = draw(strategies.sampled_from(TRIED[path]))
    return values


# A failure has at most twenty values; to find fewer takes minutes.
@hypothesis.settings(
    max_examples=60,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(combinations())
def test_any_combination_is_refused_with_advice_or_valid(values: Values) -> None:
    """What is rendered, Kubernetes and `respid serve` accept."""
    try:
        rendered = render(copy.deepcopy(values))
    except helm_python.HelmError as error:
        message = str(error)
        refused_by_schema = "- at '" in message
        assert refused_by_schema or "execution error at (respid/templates/" in message, message
        assert "<nil>" not in message
        assert "nil pointer" not in message
        return
    validate(rendered, NEWEST)
    assert "no value" not in rendered.notes
    assert "%!" not in rendered.notes
    with pytest.MonkeyPatch.context() as environment:
        for name, value in rendered.environment.items():
            environment.setenv(name, value)
        serve.make_context("serve", []).close()
