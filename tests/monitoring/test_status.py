"""The status as JSON and as text, and the headers of the page."""

import http.client
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from respid.monitoring.history import SAMPLES, History
from respid.monitoring.metrics import Exposition
from respid.monitoring.status import StatusRoutes, describe, render_text
from respid.worker.lifecycle import State
from respid.worker.worker import Worker
from tests.support.command_client import CommandClient
from tests.support.cpu_time import least_seconds
from tests.support.documents import ROOT
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PAGE = ROOT / "respid/monitoring/page.html"
FIELD_ROW = re.compile(r"^\| `([\w.]+)` \| `([\w/]+)` \|", re.MULTILINE)


@pytest.fixture
def history(worker: Worker) -> History:
    return History(lambda: worker.generator.ids_issued, now_seconds=0)


def flatten(status: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """Yields the dotted name of each field. The keys of counters are not fields."""
    for name, value in status.items():
        if prefix == "" and isinstance(value, dict):
            yield from flatten(value, f"{name}.")
        else:
            yield prefix + name


def get(server: RunningServer, path: str, accept: str, method: str = "GET") -> tuple[dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=WAIT_SECONDS)
    connection.request(method, path, headers={"Accept": accept})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    assert response.status == 200
    return dict(response.getheaders()), body


def test_history_keeps_five_minutes() -> None:
    issued = iter(range(0, 10_000, 7))
    history = History(lambda: next(issued), now_seconds=0)
    for second in range(1, SAMPLES + 50):
        history.sample(second)
    assert history.per_second == [7] * 300


def test_status_describes_the_worker(worker: Worker, client: CommandClient, history: History) -> None:
    client.ask("INCRBY orders 200")
    history.sample(2.0)
    status = describe(worker, history)
    assert (status["ready"], status["reason"], status["state"], status["worker_id"]) == (True, None, "serving", 1)
    ids, layout = status["ids"], status["layout"]
    assert isinstance(ids, dict)
    assert (ids["issued"], ids["per_second"], ids["per_second_limit"]) == (200, [100], 4_096_000)
    assert isinstance(layout, dict)
    assert (layout["fingerprint"], layout["end"]) == ("41/10/12@1704067200000", "2093-09-06T15:47:35.552Z")


def test_status_gives_the_reason_when_not_ready(worker: Worker, history: History) -> None:
    worker.lifecycle.enter(State.DRAINING)
    status = describe(worker, history)
    assert (status["ready"], status["reason"], status["state"]) == (False, "the server is draining", "draining")
    assert render_text(status).splitlines()[0].endswith(": not ready: the server is draining")


def test_status_fields_are_documented_with_their_metrics(worker: Worker, history: History) -> None:
    documented = dict(FIELD_ROW.findall((ROOT / "docs/status.md").read_text()))
    assert sorted(flatten(describe(worker, history))) == sorted(documented)
    exposed = Exposition(worker).render("")[1].decode() + "/readyz"
    assert [source for source in documented.values() if source not in exposed] == []


def test_nothing_secret_is_shown(server: RunningServer) -> None:
    with server.client() as client:
        last_id = client.incr("orders")
        address = client.client_info()["addr"]
        issued = server.metric("id_generator_ids_generated_total")
        answers = [get(server, path, accept)[1] for path in ("/", "/status") for accept in ("*/*", BROWSER)]
    for answer in answers:
        assert str(last_id) not in answer
        assert address.rpartition(":")[2] not in re.findall(r"\d+", answer)
    assert server.metric("id_generator_ids_generated_total") == issued


def test_curl_gets_text(server: RunningServer) -> None:
    headers, text = get(server, "/", "*/*")
    assert (headers["Content-Type"], headers["Vary"]) == ("text/plain; charset=utf-8", "Accept")
    assert re.match(r"respid \S+: ready\n\nworker ID      1 \(from --worker-id\)\nlayout         41/10/12@", text)


def test_browser_gets_a_page_that_loads_nothing_else(server: RunningServer) -> None:
    headers, page = get(server, "/", BROWSER)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert page == PAGE.read_text()
    assert re.findall(r"<(?:script|style)[^>]|src=|@import|url\(|innerHTML|https?://(?!www\.w3\.org)", page) == []


@pytest.mark.parametrize("path", ["/", "/status"])
def test_head_has_the_headers_of_get(server: RunningServer, path: str) -> None:
    headers, body = get(server, path, BROWSER, "HEAD")
    whole, _ = get(server, path, BROWSER)
    assert body == ""
    headers.pop("Content-Length")  # the counters of /status grow
    whole.pop("Content-Length")
    assert headers == whole
    assert headers["Cache-Control"] == "no-store"


def test_status_costs_less_than_a_scrape(worker: Worker) -> None:
    history = History(lambda: worker.generator.ids_issued, now_seconds=0)
    for second in range(1, SAMPLES + 1):
        history.sample(second)
    routes, metrics = StatusRoutes(worker, history), Exposition(worker)
    status, scrape = least_seconds(lambda: routes.status(""), lambda: metrics.render(""))
    assert status < scrape


def test_status_is_json_with_a_live_history(server: RunningServer) -> None:
    headers, body = get(server, "/status", BROWSER)
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body)["ids"]["interval_seconds"] == 1


def test_ten_open_pages_take_little_cpu(start_server: StartServer) -> None:
    """Each requests /status once a second. The limit is ten times what was measured."""
    server = start_server(measured=False)
    server.get("/status")
    before_seconds, requests_sent = cpu_seconds(server), 200
    for _ in range(requests_sent):
        assert server.get("/status")[0] == 200
    share = 10 * (cpu_seconds(server) - before_seconds) / requests_sent
    assert share < 0.05


def cpu_seconds(server: RunningServer) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
