"""A text in another format than its value has is refused with the value and advice."""

import re
from collections.abc import Iterator
from typing import Any

import helm_python
import pytest
import yaml

from tests.chart.chart_values import documented_values
from tests.chart.rendering import CHART, Values, render
from tests.chart.test_values import nested

FORMATS: list[dict[str, Any]] = yaml.safe_load((CHART / "files" / "formats.yaml").read_text())
PATHS = [path for each in FORMATS for path in each["values"]]
REFUSED = {
    "image.repository": ["registry.example.com/respid:0.1.0", "respid@sha256:0123", "https://example.com/respid", ""],
    "image.registry": ["https://registry.example.com"],
    "global.imageRegistry": ["https://mirror.example.com"],
    "image.digest": ["latest"],
    "nameOverride": ["IDs"],
    "fullnameOverride": ["1ids"],
    "layout": ["41/10", "0/10/12", "41/999999999/12", "41-10-12"],
    "epoch": ["yesterday", ""],
    "startAbove": ["-1", "1e18", "99999999999999999999"],
    "lease.idSpace": ["Orders_1", "", "a" * 43],
    "persistence.size": ["lots"],
    "autoscaling.targetCPUAverageValue": ["70%"],
    "auth.existingSecret": ["Secret!"],
    "tls.existingSecret": ["tls.crt "],
    "tls.crl.existingConfigMap": ["Lists"],
    "autoscaling.hpaName": ["Scaler"],
    "serviceAccount.name": ["the account"],
    "auth.secretKey": ["a/b", ""],
    "tls.crl.key": ["a b"],
    "auth.username": ["an app"],
    "tls.certManager.duration": ["90d"],
    "tls.certManager.renewBefore": ["30"],
    "serviceMonitor.interval": ["15"],
    "serviceMonitor.scrapeTimeout": ["1 s"],
    "podMonitor.interval": [""],
    "podMonitor.scrapeTimeout": ["10"],
    "tls.certManager.clusterDomain": ["Cluster.Local"],
    "tls.clientNames": ["a,b", " "],
    "service.loadBalancerSourceRanges": ["10.0.0.1"],
    "networkPolicy.apiServerAddresses": ["kubernetes.default"],
    "autoscaling.keda.prometheusServerAddress": ["prometheus:9090", ""],
    "autoscaling.keda.threshold": ["0", "five"],
    "prometheusLabels.cluster": ["k8s-cluster"],
    "prometheusLabels.namespace": ["a b"],
    "prometheusLabels.service": ["1"],
    "prometheusLabels.pod": ["pod-name"],
    "prometheusRule.runbookUrl": ["docs/kubernetes.md#alerts"],
    "podDisruptionBudget.minAvailable": ["half", "101%"],
    "podDisruptionBudget.maxUnavailable": ["1"],
}
DEFAULTS = {each.path: each.default for each in documented_values()}


def _keywords(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, each in schema.items():
            yield key
            yield from _keywords(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _keywords(each)


def test_schema_has_no_pattern() -> None:
    """Helm would print the pattern, or each alternative, and no advice."""
    with helm_python.Chart.load(CHART) as chart:
        assert {"pattern", "anyOf"} & set(_keywords(chart.schema)) == set()


def test_each_value_has_one_format() -> None:
    assert sorted(PATHS) == sorted(REFUSED)
    assert set(PATHS) <= set(DEFAULTS)


@pytest.mark.parametrize("path", PATHS)
def test_another_format_is_refused_with_the_value_and_advice(path: str) -> None:
    (format_,) = (each for each in FORMATS if path in each["values"])
    for text in REFUSED[path]:
        with pytest.raises(helm_python.HelmError) as refusal:
            render(nested(path, [text] if isinstance(DEFAULTS[path], list) else text))
        assert f'{path} "{text}" {format_["advice"]}' in str(refusal.value)


@pytest.mark.parametrize("values", FORMATS, ids=lambda each: each["values"][0])
def test_advice_shows_a_format_that_is_accepted(values: dict[str, Any]) -> None:
    shown = re.findall(r"(?:as|or|such as) (\S*[0-9./:]\S*[0-9a-zA-Z%])", values["advice"])
    assert [text for text in shown if not re.search(values["pattern"], text)] == []


@pytest.mark.parametrize("value", [2**53, 7_000_000_000_000_000_000])
def test_a_number_that_helm_rounds_is_no_id(value: int) -> None:
    with pytest.raises(
        helm_python.HelmError, match=r"startAbove .* is a number, which Helm may round: write the ID in"
    ):
        render({"startAbove": value})


@pytest.mark.parametrize("value", [2**53 - 1, "7000000000000000000"])
def test_an_exact_id_is_passed_on(value: object) -> None:
    values: Values = {"startAbove": value}
    assert render(values).environment["RESPID_START_ABOVE"] == str(value)


@pytest.mark.parametrize(
    ("path", "value", "advice"),
    [("layout", "41/10", "is not a layout"), ("startAbove", 2**53, "is a number, which Helm may round")],
)
def test_lint_refuses_it_as_well(path: str, value: object, advice: str) -> None:
    """Although `helm lint` ignores `fail`."""
    report = helm_python.lint(CHART, {path: value})
    assert [advice in each for each in report["errors"]] == [True]
