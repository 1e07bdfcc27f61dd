"""Runs the chart's queries and alerts with promtool over samples that a test defines. Starts no server."""

import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import helm_python
import yaml

from tests.chart.rendering import CHART, NAMESPACE, RELEASE, Values, documents, render
from tests.support.needed_tools import need_tool

SERVICE = f"{RELEASE}-respid-headless"
DEFAULT_SPACE = "default"
DEFAULT_FINGERPRINT = "41/10/12@1704067200000"
_PROBE = """
{{- range $name := list "exhausted" "ids" }}
{{ $name }}: {{ include (printf "respid.query.%s" $name) $ | quote }}
{{- end }}
threshold: {{ include "respid.number" .Values.autoscaling.keda.threshold }}
idsThreshold: {{ include "respid.idsPerWorker" . }}
"""


class Queries(NamedTuple):
    """The two queries of the ScaledObject, and the value per pod of each."""

    exhausted: str
    ids: str
    threshold: float
    ids_threshold: float


@functools.cache
def default_queries() -> Queries:
    return queries({})


def queries(values: Values) -> Queries:
    """Renders the named templates of the queries, which needs neither KEDA nor the program helm."""
    with tempfile.TemporaryDirectory() as directory:
        probe = shutil.copytree(CHART, Path(directory) / "respid")
        (probe / "templates" / "probe.yaml").write_text(_PROBE)
        with helm_python.Chart.load(probe) as chart:
            rendered = chart.render(values, name=RELEASE, namespace=NAMESPACE)
    (found,) = documents(rendered["respid/templates/probe.yaml"])
    return Queries(found["exhausted"], found["ids"], found["threshold"], found["idsThreshold"])


def alert_rules(values: Values | None = None) -> dict[str, Any]:
    """Returns the rule groups of the PrometheusRule."""
    groups: dict[str, Any] = render({"prometheusRule": {"enabled": True}} | (values or {})).one("PrometheusRule")[
        "spec"
    ]
    return groups


@dataclass(frozen=True)
class Worker:
    """The samples of one scraped pod, in promtool's notation; by default of a healthy, idle worker."""

    worker_id: int
    namespace: str = NAMESPACE
    service: str = SERVICE
    pod: str = ""
    instance: str = ""
    job: str = "respid"
    id_space: str = DEFAULT_SPACE
    high_water_mark: str = "found"
    fingerprint: str = DEFAULT_FINGERPRINT
    samples: dict[str, str] = field(default_factory=dict)
    length: int = 400  # of the other samples

    def series(self) -> Iterable[dict[str, str]]:
        constant = {
            "up": 1,
            "process_start_time_seconds": 1000,
            "id_generator_ready": 1,
            "id_generator_ids_generated_total": 0,
            'id_generator_sequence_exhausted_total{request="single"}': 0,
            'id_generator_sequence_exhausted_total{request="bulk"}': 0,
            "id_generator_reservation_remaining_seconds": 200,
            "id_generator_reservation_failures_total": 0,
            "id_generator_clock_lead_seconds": 0,
            'id_generator_connections_rejected_total{reason="tls_handshakes"}': 0,
            'id_generator_connections_closed_total{reason="auth_timeout"}': 0,
            'id_generator_connections_closed_total{reason="idle_timeout"}': 0,
            "id_generator_auth_failures_total": 0,
            "id_generator_tls_certificate_end_timestamp_seconds": 0,
            "id_generator_tls_crl_end_timestamp_seconds": 0,
            "id_generator_layout_end_timestamp_seconds": 2 * 365 * 86400,
            f'id_generator_info{{worker_id="{self.worker_id}",id_space="{self.id_space}",'
            f'high_water_mark="{self.high_water_mark}",fingerprint="{self.fingerprint}"}}': 1,
        }
        short = {re.sub(r"^id_generator_|\{.*", "", name): name for name in constant if 'request="bulk"' not in name}
        short["bulk_exhausted_total"] = 'id_generator_sequence_exhausted_total{request="bulk"}'
        short["auth_timeouts_total"] = 'id_generator_connections_closed_total{reason="auth_timeout"}'
        short["idle_timeouts_total"] = 'id_generator_connections_closed_total{reason="idle_timeout"}'
        given = {short[name]: values for name, values in self.samples.items()}
        for name, value in constant.items():
            yield {"series": self._labelled(name), "values": given.get(name, f"{value}x{self.length}")}

    def _labelled(self, name: str) -> str:
        pod = self.pod or f"{RELEASE}-respid-{self.worker_id}"
        labels = {
            "namespace": self.namespace,
            "service": self.service,
            "pod": pod,
            "instance": self.instance or f"{pod}.{self.namespace}:8080",
            "job": self.job,
        }
        metric, _, own = name.partition("{")
        target = ",".join(f'{label}="{value}"' for label, value in labels.items() if value)
        return f"{metric}{{{target},{own or '}'}"


class Expectation(NamedTuple):
    """The samples (labels and value) of a query at a time after the first scrape, such as "5m30s"."""

    query: str
    at: str
    samples: Sequence[tuple[str, float]]

    def as_test(self) -> dict[str, Any]:
        samples = [{"labels": labels, "value": value} for labels, value in self.samples]
        return {"expr": self.query, "eval_time": self.at, "exp_samples": samples}


def expect(
    workers: Iterable[Worker], *expectations: Expectation, interval: str = "15s", rules: dict[str, Any] | None = None
) -> None:
    """Raises AssertionError unless all are met. Rules are evaluated as often as workers are scraped."""
    with tempfile.TemporaryDirectory() as directory:
        rules_path, test_path = Path(directory) / "rules.yaml", Path(directory) / "test.yaml"
        rules_path.write_text(yaml.safe_dump(rules or {"groups": []}))
        test = {
            "interval": interval,
            "input_series": [series for worker in workers for series in worker.series()],
            "promql_expr_test": [expectation.as_test() for expectation in expectations],
        }
        tests = {"rule_files": [str(rules_path)], "evaluation_interval": interval, "tests": [test]}
        test_path.write_text(yaml.safe_dump(tests, sort_keys=False))
        ran = subprocess.run(
            [need_tool("promtool"), "test", "rules", str(test_path)], capture_output=True, text=True, check=False
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
