"""The plain files in packaging/, for Prometheus and Grafana without Kubernetes."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.chart.plain_files import CONFIGURATION, DASHBOARD, JOB, RULES, plain_files
from tests.chart.rendering import Values, render
from tests.observability.promtool import Expectation, Worker, expect
from tests.support.needed_tools import need_tool

ADVICE = "run .venv/bin/python -m tests.chart.plain_files"


def test_files_are_current() -> None:
    for path, content in plain_files().items():
        assert path.read_text() == content, ADVICE


def test_promtool_accepts_the_configuration() -> None:
    command = [need_tool("promtool"), "check", "config", str(CONFIGURATION)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "15 rules found" in checked.stdout


def test_rules_use_only_labels_of_static_targets() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]:
        assert not re.search(r"\b(namespace|service|pod|cluster)\b", rule["expr"])
        assert not re.search(r"labels\.(namespace|service|pod|cluster)\b", str(rule["annotations"]))
        assert set(re.findall(r'job="([^"]*)"', rule["expr"])) == {JOB}


def test_alerts_fire_for_static_targets() -> None:
    rules = yaml.safe_load(RULES.read_text())
    workers = [static_worker(1), static_worker(2, ready="0x400")]
    twins = [static_worker(1), static_worker(2), static_worker(2, instance="b:8081")]
    firing = 'count by (alertname, instance) (ALERTS{alertstate="firing"})'
    expect(workers, Expectation(firing, "30m", [('{alertname="RespidNotReady",instance="a:8082"}', 1)]), rules=rules)
    expect(twins, Expectation(firing, "30m", [('{alertname="RespidDuplicateWorkerID"}', 1)]), rules=rules)


def static_worker(worker_id: int, *, instance: str = "", **samples: str) -> Worker:
    return Worker(
        worker_id, namespace="", service="", pod="", instance=instance or f"a:{8080 + worker_id}", samples=samples
    )


def dashboard(labels: Values) -> dict[str, Any]:
    values = {"grafanaDashboard": {"enabled": True}, "prometheusLabels": labels}
    (text,) = render(values).one("ConfigMap")["data"].values()
    content: dict[str, Any] = json.loads(text)
    return content


def variables(content: dict[str, Any]) -> dict[str, str]:
    datasource, *others = content["templating"]["list"]
    assert datasource["name"] == "datasource"
    assert all(each["definition"] == each["query"]["query"] for each in others)
    return {each["name"]: each["definition"] for each in others}


@pytest.mark.parametrize(
    ("labels", "selector", "expected"),
    [
        ({"namespace": "", "service": "", "pod": ""}, "{}", {}),
        ({"service": "job"}, '{namespace=~"$namespace",job=~"$service"}', {"namespace": "namespace", "service": "job"}),
        (
            {"cluster": "region", "clusterName": "x", "namespace": ""},
            '{region=~"$cluster",service=~"$service"}',
            {"cluster": "region", "service": "service"},
        ),
    ],
)
def test_dashboard_has_the_labels_of_the_values(labels: Values, selector: str, expected: dict[str, str]) -> None:
    content = dashboard(labels)
    found = variables(content)
    assert {name: definition.rpartition(", ")[2].rstrip(")") for name, definition in found.items()} == expected
    expressions = [target["expr"] for panel in content["panels"] for target in panel["targets"]]
    assert set(re.findall(r"\{[^{}]*\}", " ".join(expressions))) == {selector}


def test_variables_depend_on_those_above() -> None:
    found = variables(dashboard({"cluster": "region", "clusterName": "x"}))
    assert found == {
        "cluster": "label_values(id_generator_info, region)",
        "namespace": 'label_values(id_generator_info{region=~"$cluster"}, namespace)',
        "service": 'label_values(id_generator_info{region=~"$cluster",namespace=~"$namespace"}, service)',
    }


def test_legends_show_the_instance_without_a_pod() -> None:
    assert "{{pod}}" not in DASHBOARD.read_text()
    assert "{{instance}}" in DASHBOARD.read_text()
    assert "{{instance}}" not in json.dumps(dashboard({}))
