"""The chart's values are documented and in the schema; bad ones are refused with advice."""

import subprocess
from typing import Any

import helm_python
import pytest
import yaml

from tests.chart import chart_values
from tests.chart.rendering import CASES, CHART, Values, ci_values, render
from tests.support.needed_tools import need_tool


def test_every_value_has_a_comment() -> None:
    assert [value.path for value in chart_values.documented_values() if not value.comment] == []


def test_readme_table_is_generated() -> None:
    text = chart_values.README.read_text()
    assert text == chart_values.with_table(text), "run .venv/bin/python -m tests.chart.chart_values"


def test_schema_has_exactly_the_values() -> None:
    with helm_python.Chart.load(CHART) as chart:
        schema, values = chart.schema, chart.values
    assert schema is not None
    assert _keys_of_schema(schema) - {"enabled"} == _keys_of_values(values, schema)


# Objects that are empty by default, or have keys that are Kubernetes'. The schema knows the keys that they may have.
FREE = (
    "autoscaling.keda.authenticationRef.",
    "persistence.retentionPolicy.",
    "tls.certManager.issuerRef.",
    "updateStrategy.",
    "startupProbe.",
    "livenessProbe.",
    "readinessProbe.",
)


def _keys_of_schema(schema: Values, prefix: str = "") -> set[str]:
    keys = set()
    for key, each in schema.get("properties", {}).items():
        keys |= {prefix + key} | _keys_of_schema(each, f"{prefix}{key}.")
    return {key for key in keys if not key.startswith(FREE)}


def _keys_of_values(values: Values, schema: Values, prefix: str = "") -> set[str]:
    keys = set()
    for key, each in values.items():
        keys.add(prefix + key)
        declared = schema["properties"].get(key, {})
        if "properties" in declared:
            keys |= _keys_of_values(each, declared, f"{prefix}{key}.")
    return {key for key in keys if not key.startswith(FREE)}


@pytest.mark.parametrize("case", [None, *CASES])
def test_chart_passes_strict_lint(case: str | None) -> None:
    report = helm_python.lint(CHART, ci_values(case) if case else None, strict=True)
    assert report["errors"] == []
    assert [each for each in report["messages"] if each["severity"] > 1] == []


@pytest.mark.kubernetes
@pytest.mark.parametrize("case", CASES)
def test_the_program_helm_finds_nothing_to_warn_of(case: str) -> None:
    values = str(CHART / "ci" / f"{case}-values.yaml")
    run = subprocess.run([need_tool("helm"), "lint", "--strict", str(CHART), "--values", values], check=False)
    assert run.returncode == 0


def test_artifact_hub_shows_the_image_and_the_license() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (image,) = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert image["image"] == render().container["image"]
    assert (CHART.parent / "LICENSE").read_text().startswith(chart["annotations"]["artifacthub.io/license"])


def nested(path: str, value: Any) -> Values:
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("replicaCout", 3),  # a typo
        ("autoscaling.keda.treshold", 5),
        ("replicaCount", -1),
        ("replicaCount", "three"),
        ("workerIdOffset", -1),
        ("store", "redis"),
        ("lease.reserveSeconds", 0),
        ("persistence.accessModes", ["ReadWriteMany"]),
        ("tls.authClients", "maybe"),
        ("tls.port", 70000),
        ("serviceAccount.tokenExpirationSeconds", 599),
        ("service.type", "ExternalName"),
        ("image.pullPolicy", "Sometimes"),
        ("autoscaling.minReplicas", 0),  # no worker would be left to report exhausted sequences
        ("autoscaling.keda.targetUtilization", 60),
        ("autoscaling.keda.threshold", 0),
        ("autoscaling.targetCPUAverageValue", 0),
        ("epoch", -1),
        ("startAbove", -1),
        ("podDisruptionBudget.minAvailable", -1),
        ("maxConnectionAgeSeconds", -1),
        ("podMonitor.sampleLimit", -1),
        ("service.trafficDistribution", "PreferNear"),
        ("service.ipFamilies", ["IPv5"]),
        ("podDisruptionBudget.unhealthyPodEvictionPolicy", "Never"),
        ("persistence.retentionPolicy", {"whenScaled": "Keep"}),
        ("updateStrategy", {"type": "Recreate"}),
        ("maxArguments", 9),
        ("sidecars", [{"image": "x"}]),
        ("extraEnv", [{"value": "1"}]),
    ],
)
def test_schema_refuses_bad_values(path: str, value: Any) -> None:
    name = path.rpartition(".")[2]
    with pytest.raises(helm_python.HelmError, match=name):
        render(nested(path, value))


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        (
            "autoscaling: {maxReplicas: 1000}\nworkerIdOffset: 25",
            "autoscaling.maxReplicas 1000 + workerIdOffset 25 is more than the 1024 worker IDs of layout 41/10/12: ",
        ),
        ("layout: 41/4/8\nautoscaling: {maxReplicas: 17}", "more than the 16 worker IDs of layout 41/4/8: lower"),
        ("autoscaling: {enabled: false}\nreplicaCount: 1025", "replicaCount 1025 + workerIdOffset 0 is more than"),
        ("autoscaling: {minReplicas: 11}", "minReplicas 11 is greater than autoscaling.maxReplicas 10: lower"),
        ("layout: 42/10/12", "layout 42/10/12 has 64 bits, but an ID has at most 63: use"),
        ("podDisruptionBudget: {minAvailable: 1, maxUnavailable: 1}", "has both minAvailable and maxUnavailable"),
        ("drainDelaySeconds: 20", "terminationGracePeriodSeconds 30 must be greater than drainDelaySeconds 20"),
        ("lease: {reserveSeconds: 301}", "lease.reserveSeconds 301 is more than half of maxClockLeadSeconds 600"),
        ("tls: {enabled: true}", "tls.enabled requires tls.existingSecret"),
        ("tls: {certManager: {enabled: true}}", "tls.certManager.enabled without tls.enabled creates"),
        ("tls: {enabled: true, certManager: {enabled: true}}", "requires tls.certManager.issuerRef: set its name"),
        ("tls: {clientNames: [a]}", "tls.clientNames needs tls.enabled and tls.authClients"),
        ("tls: {enabled: true, existingSecret: x, clientNames: [a], authClients: optional}", "tls.clientNames needs"),
        ("tls: {enabled: true, existingSecret: x, crl: {existingConfigMap: y}}", "tls.crl.existingConfigMap needs"),
        ("maxClientMemoryBytes: 134217729", "is more than half of the memory limit 256Mi"),
        ("tls: {only: true}", "tls.only without tls.enabled leaves no port"),
        (
            "tls: {enabled: true, existingSecret: x, port: 6379}",
            "tls.port and service.port are both 6379: use two",
        ),
        ("networkPolicy: {enabled: true, apiServerPorts: null}", "apiServerPorts is empty, which would allow"),
        ("networkPolicy: {enabled: true}", "set networkPolicy.apiServerAddresses to what kubectl get service"),
        ("service: {type: LoadBalancer}", "service.type LoadBalancer without a password lets anyone who reaches it"),
        (
            "service: {type: NodePort}\ntls: {enabled: true, existingSecret: x, authClients: 'yes'}",
            "service.type NodePort",
        ),
        (
            "serviceMonitor: {enabled: true, scrapeTimeout: 16s}",
            "scrapeTimeout 16s is longer than serviceMonitor.interval 15s",
        ),
        (
            "serviceMonitor: {enabled: true, interval: 31s}",
            "windowSeconds 60 spans fewer than two scrapes at serviceMonitor",
        ),
        (
            "serviceMonitor: {enabled: true}\npodMonitor: {enabled: true}",
            "serviceMonitor.enabled and podMonitor.enabled are both true, so every pod would be scraped twice",
        ),
        (
            "podMonitor: {enabled: true, scrapeTimeout: 16s}",
            "podMonitor.scrapeTimeout 16s is longer than podMonitor.interval 15s",
        ),
        ("prometheusLabels: {cluster: cluster}", "prometheusLabels.clusterName belong together"),
        ("service: {loadBalancerClass: x}", "service.loadBalancerClass needs service.type LoadBalancer, not ClusterIP"),
        (
            "service: {externalTrafficPolicy: Local}",
            "externalTrafficPolicy needs service.type LoadBalancer or NodePort",
        ),
        ("auth: {username: app}", "auth.username app has no password"),
        ("podSecurityContext: {enabled: true}", "podSecurityContext.enabled is a value of other charts"),
        ("securityContext: {enabled: false}", "set securityContext to null for none"),
        ("extraEnv: [{name: RESPID_STORE, value: none}]", "extraEnv contains RESPID_STORE, which the chart sets"),
        (
            'extraEnv: [{name: WORKER_ID, value: "5"}]',
            "extraEnv contains WORKER_ID, which would give all pods the",
        ),
        ('extraEnv: [{name: RESPID_WORKER_ID, value: "5"}]', "remove it; the chart sets it from each pod's index"),
        ("extraEnv: [{name: POD_NAME, value: respid-0}]", "To use other worker IDs, set workerIdOffset"),
    ],
)
def test_conflicting_values_are_refused_with_advice(values: str, advice: str) -> None:
    with pytest.raises(helm_python.HelmError) as refusal:
        render(yaml.safe_load(values))
    assert advice in str(refusal.value)


@pytest.mark.parametrize(
    "values",
    [
        "autoscaling: {maxReplicas: 1000}\nworkerIdOffset: 24",
        "autoscaling: {enabled: false}\nreplicaCount: 1024",
        "autoscaling: {enabled: false}\nreplicaCount: 0",
        "serviceMonitor: {enabled: true, interval: 1m, scrapeTimeout: 60s}\nautoscaling: {keda: {windowSeconds: 120}}",
        "autoscaling: {enabled: false, maxReplicas: 5000}",
        "autoscaling: {keda: {threshold: 2.5}}",
        "epoch: 1735689600000",
        "store: none\nlease: {reserveSeconds: 900}",
        "image: {tag: 1.5}",
    ],
)
def test_values_at_the_bounds_are_accepted(values: str) -> None:
    render(yaml.safe_load(values))
