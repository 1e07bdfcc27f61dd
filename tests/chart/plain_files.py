"""The chart's alerts, dashboard and scrape settings as plain files, for a Prometheus and a Grafana without Kubernetes.

`.venv/bin/python -m tests.chart.plain_files` writes them into packaging/.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.chart.rendering import CHART, Values, render

PACKAGING = CHART.parent / "packaging"
CONFIGURATION = PACKAGING / "prometheus" / "prometheus.yml"
RULES = PACKAGING / "prometheus" / "rules.yml"
DASHBOARD = PACKAGING / "grafana" / "respid.json"
JOB = "respid"
# Static targets have the labels job and instance, and no others.
VALUES: Values = {
    "store": "file",
    "prometheusLabels": {"cluster": "", "namespace": "", "service": "job", "pod": ""},
    "prometheusRule": {"enabled": True, "runbookUrl": "docs/kubernetes.md"},
    "grafanaDashboard": {"enabled": True},
}
HEADING = "# Generated from the Helm chart by `.venv/bin/python -m tests.chart.plain_files`.\n"


def plain_files() -> dict[Path, str]:
    """The files with their content, as the chart has it now."""
    rendered = render(VALUES, release=JOB, namespace="none")
    (dashboard,) = rendered.one("ConfigMap")["data"].values()
    return {
        CONFIGURATION: HEADING + _as_yaml(_configuration()),
        RULES: HEADING + _as_yaml(_rules(rendered.one("PrometheusRule")["spec"])),
        DASHBOARD: json.dumps(json.loads(dashboard), indent=2) + "\n",
    }


def _rules(specification: dict[str, Any]) -> dict[str, Any]:
    """The chart takes the label's value from the name of its Service."""
    (group,) = specification["groups"]
    text = json.dumps(group | {"name": JOB})
    groups: dict[str, Any] = {"groups": [json.loads(text.replace(f"{JOB}-headless", JOB))]}
    return groups


def _configuration() -> dict[str, Any]:
    """The intervals are those of the chart's ServiceMonitor."""
    monitor = yaml.safe_load((CHART / "values.yaml").read_text())["serviceMonitor"]
    job = {
        "job_name": JOB,
        "scrape_interval": monitor["interval"],
        "scrape_timeout": monitor["scrapeTimeout"],
        "file_sd_configs": [{"files": ["targets.yml"]}],
    }
    return {"rule_files": [RULES.name], "scrape_configs": [job]}


class _Dumper(yaml.SafeDumper):
    """Writes a query with its line breaks."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, "|" if "\n" in data else None)


_Dumper.add_representer(str, _Dumper.represent_str)


def _as_yaml(content: dict[str, Any]) -> str:
    return str(yaml.dump(content, Dumper=_Dumper, width=120, sort_keys=False, allow_unicode=True))


if __name__ == "__main__":
    for path, content in plain_files().items():
        path.write_text(content)
