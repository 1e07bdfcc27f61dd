"""A real Prometheus scrapes real workers: every metric, label and value in the chart's queries exists.

An alert's query returns nothing when all is well, and also when a name in it is misspelt. So each of its selectors is
queried alone, and must have samples.
"""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest
import yaml

from benchmarks.ports import free_port
from tests.chart.rendering import CHART, NAMESPACE, render
from tests.observability.promtool import SERVICE, alert_rules, queries
from tests.support.byte_streams import request, requests
from tests.support.needed_tools import need_tool
from tests.support.raw_client import RawClient, exchange
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, running_program, wait_until

DASHBOARD = json.loads((CHART / "dashboards" / "respid.json").read_text())
PANELS = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
ALERTS = [pytest.param(rule["expr"], id=rule["alert"]) for group in alert_rules()["groups"] for rule in group["rules"]]
TRIGGERS = [pytest.param(query, id=name) for name, query in queries({})._asdict().items() if isinstance(query, str)]
VARIABLES = [pytest.param(each["definition"], id=each["name"]) for each in DASHBOARD["templating"]["list"][1:]]
SELECTOR = re.compile(r"\b([a-z_]+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(!?[=~]~?)"([^"]*)"')

Samples = list[dict[str, Any]]


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that scrapes each second."""

    port: int

    def read(self, path: str, **parameters: str) -> Any:
        """Returns the data of a response. Raises AssertionError with the message for a query that is refused."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=WAIT_SECONDS) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.SERVICE_UNAVAILABLE:  # it is starting
                raise
            raise AssertionError(error.read().decode()) from None

    def query(self, query: str) -> Samples:
        samples: Samples = self.read("query", query=query)["result"]
        return samples

    def counts(self, seconds: int) -> bool:
        """Whether it has scraped both workers for this many seconds."""
        try:
            found = self.query(f"count_over_time(id_generator_info[{seconds}s]) > {seconds - 1}")
        except OSError:  # it is starting
            return False
        return len(found) == 2


@pytest.fixture(scope="module")
def prometheus(
    start_module_server: StartServer, loading_server: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """It scrapes a worker whose counters all have samples, and one that waits for its API server."""
    directory = tmp_path_factory.mktemp("prometheus")
    busy = start_module_server(worker_id="0")
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(directory / "rules.yaml")],
        "scrape_configs": [
            {
                "job_name": "respid",
                "static_configs": [
                    {
                        "targets": [f"127.0.0.1:{server.http_port}"],
                        "labels": {"namespace": NAMESPACE, "service": SERVICE, "pod": f"demo-respid-{number}"},
                    }
                    for number, server in enumerate((busy, loading_server))
                ],
            }
        ],
    }
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    (directory / "rules.yaml").write_text(yaml.safe_dump(alert_rules()))
    port = free_port()
    command = [need_tool("prometheus"), f"--config.file={directory / 'prometheus.yaml'}"]
    command += [f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with running_program(*command, log=directory / "log"):
        found = Prometheus(port)
        wait_until(lambda: found.counts(3))
        _use(busy.port)
        wait_until(lambda: found.query('increase(id_generator_sequence_exhausted_total{request="single"}[1m]) > 0'))
        yield found


def _use(port: int) -> None:
    """Gives every counter with labels a sample: commands, errors and exhausted milliseconds."""
    exchange(port, requests("BOGUS; INCR orders; ID.NEXT COUNT 20000"))
    with RawClient(port) as client:
        client.draw(request("INCRBY", "orders", "256") * 500, 500)  # however slow the server is


@pytest.mark.parametrize("expression", [*ALERTS, *PANELS, *TRIGGERS])
def test_every_selector_has_samples(prometheus: Prometheus, expression: str) -> None:
    expression = _with_variables(expression)
    prometheus.query(expression)  # raises if it is not understood
    selectors = list(SELECTOR.finditer(expression))
    assert selectors
    for selector in selectors:
        samples = prometheus.query(selector[0])
        assert samples, f"{selector[0]} has no sample"
        for label, operator, value in MATCHER.findall(selector[2]):
            assert all(label in sample["metric"] for sample in samples), f"{selector[1]} has no label {label}"
            if operator.startswith("!"):
                assert prometheus.query(f'{selector[1]}{{{label}="{value}"}}'), (
                    f'no {selector[1]} has {label} "{value}"'
                )


@pytest.mark.parametrize("expression", [*ALERTS, *PANELS, *TRIGGERS])
def test_every_selector_is_found(expression: str) -> None:
    assert len(SELECTOR.findall(expression)) == len(re.findall(r"\b(?:id_generator|process)_|\bup\b", expression))


@pytest.mark.parametrize("expression", [*ALERTS, *PANELS, *TRIGGERS])
def test_grouping_labels_exist(prometheus: Prometheus, expression: str) -> None:
    selectors = [selector[0] for selector in SELECTOR.finditer(_with_variables(expression))]
    labels = set().union(*(sample["metric"] for selector in selectors for sample in prometheus.query(selector)))
    for grouping in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert set(re.split(r", *", grouping)) <= labels


@pytest.mark.parametrize("expression", PANELS)
def test_every_panel_has_data(prometheus: Prometheus, expression: str) -> None:
    assert prometheus.query(_with_variables(expression))


@pytest.mark.parametrize("expression", TRIGGERS)
def test_each_trigger_has_one_value(prometheus: Prometheus, expression: str) -> None:
    (sample,) = prometheus.query(expression)
    assert sample["metric"] == {}
    assert float(sample["value"][1]) >= 0


def test_first_trigger_sees_real_exhaustion(prometheus: Prometheus) -> None:
    asked = queries({"autoscaling": {"keda": {"threshold": "0.01"}}})
    assert float(prometheus.query(asked.exhausted)[0]["value"][1]) == pytest.approx(0.01 * 3)


@pytest.mark.parametrize("definition", VARIABLES)
def test_dashboard_variables_have_the_right_values(prometheus: Prometheus, definition: str) -> None:
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", definition)
    assert match
    values = {sample["metric"][match[2]] for sample in prometheus.query(_with_variables(match[1]))}
    assert values == {{"namespace": NAMESPACE, "service": SERVICE}[match[2]]}


def test_legends_use_existing_labels(prometheus: Prometheus) -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            for sample in prometheus.query(_with_variables(target["expr"])):
                assert named <= set(sample["metric"]), panel["title"]


def test_rules_load_and_their_texts_render(prometheus: Prometheus) -> None:
    def alerts() -> list[dict[str, Any]]:
        return [alert for alert in prometheus.read("alerts")["alerts"] if alert["labels"]["alertname"] in expected]

    expected = {
        "RespidNotReady",
        "RespidReservationFailing",
    }  # of the waiting worker, pending for now
    wait_until(lambda: {alert["labels"]["alertname"] for alert in alerts()} == expected)
    for alert in alerts():
        assert alert["labels"]["pod"] == "demo-respid-1"
        assert "demo-respid-1" in alert["annotations"]["summary"]
        assert "<" not in "".join(alert["annotations"].values())
    (group,) = prometheus.read("rules")["groups"]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}


def test_configmap_holds_the_dashboard() -> None:
    data = render({"grafanaDashboard": {"enabled": True}}).one("ConfigMap")["data"]
    assert {name: json.loads(text) for name, text in data.items()} == {"respid.json": DASHBOARD}


def test_panels_do_not_overlap() -> None:
    places = [
        (column, row)
        for panel in DASHBOARD["panels"]
        for column in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for row in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))
    assert max(column for column, _ in places) < 24  # Grafana's columns
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))


def _with_variables(expression: str) -> str:
    """Returns the expression as Grafana sends it."""
    variables = {"$namespace": NAMESPACE, "$service": SERVICE, "$__rate_interval": "1m"}
    for name, value in variables.items():
        expression = expression.replace(name, value)
    return expression
