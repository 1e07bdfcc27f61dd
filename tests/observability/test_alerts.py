"""Each alert fires when it should, and is silent otherwise: the exact set of alerts in each situation."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import Values, render
from tests.observability.promtool import DEFAULT_FINGERPRINT, Expectation, Worker, alert_rules, expect
from tests.support.needed_tools import need_tool

DOCUMENT = Path(__file__).parents[2] / "docs" / "kubernetes.md"
DEFAULT_RULES = alert_rules()
ALERTS = {rule["alert"]: rule for group in DEFAULT_RULES["groups"] for rule in group["rules"]}
YEAR = 365 * 86400
OTHER = "other-respid-headless"
OTHER_LAYOUT = "41/4/8@1704067200000"


def expect_alerts(fired: set[str], workers: list[Worker], *times: str, values: Values | None = None) -> None:
    """Raises AssertionError unless exactly these alerts fire at these times, with the labels that their texts name."""
    rules = DEFAULT_RULES if values is None else alert_rules(values)
    texts = {rule["alert"]: str(rule["annotations"]) for group in rules["groups"] for rule in group["rules"]}
    queries = {
        'count by (alertname) (ALERTS{alertstate="firing"}) > bool 0': [f'{{alertname="{name}"}}' for name in fired]
    }
    for name in fired:
        named = re.findall(r"\$labels\.(\w+)", texts[name])
        present = ",".join(f'{label}!=""' for label in {*named, "severity"})
        queries[f'count(ALERTS{{alertname="{name}",alertstate="firing",{present}}}) > bool 0'] = ["{}"]
    expectations = [
        Expectation(query, at, [(labels, 1) for labels in samples])
        for query, samples in queries.items()
        for at in times
    ]
    expect(workers, *expectations, interval="30s", rules=rules)


def worker(worker_id: int = 0, **samples: str) -> Worker:
    """Returns a healthy worker, except for these samples, which are 30 s apart."""
    return Worker(worker_id, samples=samples)


def well(*worker_ids: int) -> list[Worker]:
    return [Worker(worker_id) for worker_id in worker_ids]


def test_nothing_fires_when_all_is_well() -> None:
    busy = worker(
        0,
        reservation_remaining_seconds=" ".join(["300 270 240 210 180 150"] * 60),
        ids_generated_total="0+90000000x400",
        sequence_exhausted_total="0+1000x400",
    )
    expect_alerts(set(), [busy, *well(1, 2)], "5m", "30m", "2h")


@pytest.mark.parametrize(
    "other",
    [
        Worker(0, service=OTHER, pod="other-respid-0"),
        Worker(0, service=OTHER, pod="other-respid-0", high_water_mark="pending"),
        Worker(0, pod="demo-respid-9"),
    ],
    ids=["of another release", "that waits for the lease", "of this release"],
)
def test_duplicate_worker_id_fires(other: Worker) -> None:
    expect_alerts({"RespidDuplicateWorkerID"}, [*well(0, 1), other], "3m")


@pytest.mark.parametrize(
    "other",
    [
        Worker(5, service=OTHER, pod="other-respid-0"),
        Worker(0, namespace="elsewhere"),
        Worker(0, service=OTHER, pod="other-respid-0", id_space="orders"),
        Worker(0, job="scraped-twice"),
        Worker(0, instance="10.0.0.9:8080", length=3),
    ],
    ids=["by offset", "another namespace", "another ID space", "scraped by two jobs", "the pod before it"],
)
def test_worker_ids_may_repeat_across_id_spaces(other: Worker) -> None:
    gone = {"up": "1x3 stale", "info": "1x3 stale", "ready": "1x3 stale"} if other.length == 3 else {}
    other.samples.update(gone)
    expect_alerts(set(), [*well(0, 1), other], "1m", "2m30s", "10m")


def test_duplicate_ids_of_other_releases_are_ignored() -> None:
    others = [Worker(7, service=OTHER, pod="other-0"), Worker(7, service="third", pod="third-0")]
    expect_alerts(set(), [*well(0, 1), *others], "10m")


@pytest.mark.parametrize(
    "other",
    [Worker(2, fingerprint=OTHER_LAYOUT), Worker(7, service=OTHER, pod="other-respid-7", fingerprint=OTHER_LAYOUT)],
    ids=["of this release", "of another release"],
)
def test_different_layouts_fire(other: Worker) -> None:
    expect_alerts(set(), [*well(0, 1), other], "1m30s")
    expect_alerts({"RespidLayoutsDiffer"}, [*well(0, 1), other], "3m")


@pytest.mark.parametrize(
    "others",
    [
        [Worker(7, namespace="elsewhere", fingerprint=OTHER_LAYOUT)],
        [Worker(7, service=OTHER, pod="other-respid-7", id_space="orders", fingerprint=OTHER_LAYOUT)],
        [
            Worker(number, service=OTHER, pod=f"other-{number}", id_space="orders", fingerprint=fingerprint)
            for number, fingerprint in enumerate((DEFAULT_FINGERPRINT, OTHER_LAYOUT))
        ],
    ],
    ids=["another namespace", "another ID space", "both others'"],
)
def test_layouts_may_differ_across_id_spaces(others: list[Worker]) -> None:
    expect_alerts(set(), [*well(0, 1), *others], "10m")


def test_no_ready_worker_fires() -> None:
    broken = [worker(worker_id, ready="1x10 0x60") for worker_id in range(2)]
    expect_alerts({"RespidUnavailable"}, broken, "7m")
    expect_alerts({"RespidUnavailable", "RespidNotReady"}, broken, "17m")


def test_no_scraped_worker_fires() -> None:
    expect_alerts({"RespidUnavailable"}, [Worker(0, service=OTHER)], "3m")


def test_unready_worker_fires_after_ten_minutes() -> None:
    workers = [worker(0, ready="1x10 0x60"), *well(1)]
    expect_alerts(set(), workers, "14m")
    expect_alerts({"RespidNotReady"}, workers, "16m")


def test_start_and_drain_are_silent() -> None:
    expect_alerts(set(), [worker(0, ready="1x10 0x3 1x60"), worker(1, ready="0x3 1x60")], "8m")


def test_target_down_fires_but_not_a_removed_one() -> None:
    dead = {"info": "1x10 stale", "ready": "1x10 stale"}
    expect_alerts({"RespidTargetDown"}, [worker(0, up="1x10 0x60", **dead), *well(1)], "11m")
    expect_alerts(set(), [worker(0, up="1x10 0x60", **dead), *well(1)], "8m")
    expect_alerts(set(), [worker(0, up="1x10 stale", **dead), *well(1)], "20m")


def test_three_restarts_in_half_an_hour_fire() -> None:
    starts = "1000x10 1300x10 1600x10"
    restarting = worker(0, process_start_time_seconds=starts + " 1900x100")
    expect_alerts({"RespidRestarting"}, [restarting], "20m")
    expect_alerts(set(), [restarting], "55m")
    expect_alerts(set(), [worker(0, process_start_time_seconds=starts + "00")], "20m")


def test_failing_extensions_fire_but_not_one_outage() -> None:
    failing = worker(0, reservation_failures_total="0x5 0+1x200")
    expect_alerts({"RespidReservationFailing"}, [failing, *well(1)], "20m")
    once = worker(0, reservation_failures_total="0x5 40x200")
    expect_alerts(set(), [once, *well(1)], "4m", "8m", "12m", "13m", "20m")
    counted_anew = worker(0, reservation_failures_total="40x5 0x200")
    expect_alerts(set(), [counted_anew, *well(1)], "8m")


def test_reservation_running_out_fires() -> None:
    outage = {"reservation_failures_total": "0x5 0+40x200"}
    running_out = worker(0, reservation_remaining_seconds="180x4 150 120 90 60 30 0x100", **outage)
    expect_alerts(set(), [running_out, *well(1)], "3m")
    expect_alerts({"RespidReservationRunningOut"}, [running_out, *well(1)], "4m", "5m")
    in_a_lead = worker(0, reservation_remaining_seconds="10 5 10 8 6 " * 40, clock_lead_seconds="200x200")
    expect_alerts(set(), [in_a_lead, *well(1)], "10m")


def test_waiting_for_reservation_is_only_unready() -> None:
    waiting = Worker(
        0,
        high_water_mark="pending",
        samples={
            "ready": "0x100",
            "reservation_remaining_seconds": "0x100",
            "reservation_failures_total": "0+60x100",
        },
    )
    expect_alerts({"RespidNotReady", "RespidReservationFailing"}, [waiting, *well(1)], "15m")


def test_reservation_alerts_follow_the_store() -> None:
    values: Values = {"store": "file"}
    failing = {"reservation_failures_total": "0+1x14"}
    expect_alerts(set(), [worker(0, reservation_remaining_seconds="4x100", **failing)], "5m", values=values)
    low = worker(0, reservation_remaining_seconds="3x100", **failing)
    expect_alerts({"RespidReservationRunningOut"}, [low], "5m", values=values)
    assert {rule["alert"] for group in alert_rules({"store": "none"})["groups"] for rule in group["rules"]} == {
        name for name in ALERTS if "Reservation" not in name
    }


def test_long_clock_lead_fires() -> None:
    expect_alerts(set(), [worker(0, clock_lead_seconds="299-30x9 0x100")], "2m")
    expect_alerts({"RespidClockLead"}, [worker(0, clock_lead_seconds="301x100")], "2m")
    expect_alerts(set(), [worker(0, clock_lead_seconds="301x100")], "2m", values={"maxClockLeadSeconds": 700})


def test_unusable_clock_fires_at_once() -> None:
    workers = [worker(0, clock_lead_seconds="0x9 601x100"), *well(1)]
    expect_alerts(set(), workers, "4m30s")
    expect_alerts({"RespidClockUnusable"}, workers, "5m")
    expect_alerts({"RespidClockUnusable", "RespidClockLead"}, workers, "7m")


def test_lasting_saturation_fires() -> None:
    workers = [worker(0, sequence_exhausted_total="0+30000x100"), *well(1)]
    expect_alerts(set(), workers, "14m")
    expect_alerts({"RespidSaturated"}, workers, "20m")
    expect_alerts(set(), [worker(0, sequence_exhausted_total="0+2900x100"), *well(1)], "20m")
    expect_alerts(set(), [worker(0, bulk_exhausted_total="0+30000x100"), *well(1)], "20m")


def test_rejected_clients_fire_and_idle_ones_do_not() -> None:
    for name in ("connections_rejected_total", "auth_timeouts_total"):
        rejecting = worker(0, **{name: "0+1x100"})  # two a minute
        expect_alerts(set(), [rejecting, *well(1)], "4m")
        expect_alerts({"RespidRejectingClients"}, [rejecting, *well(1)], "15m")
    expect_alerts(set(), [worker(0, idle_timeouts_total="0+100x100"), *well(1)], "15m")
    expect_alerts(set(), [worker(0, connections_rejected_total="0x10 3x90"), *well(1)], "10m", "15m")


def test_wrong_passwords_fire_when_they_continue() -> None:
    expect_alerts({"RespidAuthFailures"}, [worker(0, auth_failures_total="0+4x100"), *well(1)], "15m")
    expect_alerts(set(), [worker(0, auth_failures_total="0+2x100"), *well(1)], "15m")


def test_certificate_fires_a_week_before_its_end() -> None:
    week = 7 * 86400
    name = "tls_certificate_end_timestamp_seconds"
    expect_alerts({"RespidCertificateEnds"}, [worker(0, **{name: f"{week}x100"}), *well(1)], "15m")
    expect_alerts(set(), [worker(0, **{name: f"{week + 86400}x100"}), *well(1)], "15m")


def test_revocation_list_fires_an_hour_before_its_end() -> None:
    name = "tls_crl_end_timestamp_seconds"
    expect_alerts({"RespidRevocationListEnds"}, [worker(0, **{name: "3600x100"}), *well(1)], "15m")
    expect_alerts(set(), [worker(0, **{name: "7200x100"}), *well(1)], "15m")


def test_end_of_the_layout_fires_a_year_before() -> None:
    expect_alerts({"RespidLayoutEnds"}, [worker(0, layout_end_timestamp_seconds=f"{YEAR}x100"), *well(1)], "15m")
    expect_alerts(set(), [worker(0, layout_end_timestamp_seconds=f"{YEAR + 86400}x100"), *well(1)], "15m")


def test_other_releases_are_ignored() -> None:
    broken = Worker(
        9,
        service=OTHER,
        pod="other-respid-9",
        samples={
            "up": "0x100",
            "ready": "0x100",
            "clock_lead_seconds": "900x100",
            "layout_end_timestamp_seconds": "5x100",
            "sequence_exhausted_total": "0+30000x100",
        },
    )
    expect_alerts(set(), [*well(0), broken], "20m")


def test_rules_work_without_kubernetes_labels() -> None:
    values: Values = {"prometheusLabels": {"namespace": "", "service": "", "pod": ""}}
    rules = str(alert_rules(values))
    assert not re.search(r"\b(namespace|service|pod)\b *[=,)]", "".join(re.findall(r"'expr': '(.*?)'", rules)))
    assert "$labels.pod" not in rules
    bare = Worker(0, namespace="", service="", samples={"ready": "0x100", "clock_lead_seconds": "601x100"})
    twice = Worker(0, namespace="", service="", instance="10.0.0.9:8080")
    expect_alerts({"RespidClockUnusable", "RespidClockLead"}, [bare, *well(1)], "5m", values=values)
    expect_alerts({"RespidDuplicateWorkerID"}, [twice, *well(0)], "5m", values=values)


@pytest.mark.parametrize("values", [{}, {"store": "file"}, {"store": "none"}, {"prometheusLabels": {"namespace": ""}}])
def test_promtool_accepts_the_rules(values: Values, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(alert_rules(values)))
    checked = subprocess.run(
        [need_tool("promtool"), "check", "rules", "--lint-fatal", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_advice_and_a_runbook(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/kubernetes.md#{name.lower()}"
    assert f"\n### {name}\n" in DOCUMENT.read_text()


def test_runbook_names_only_existing_alerts() -> None:
    assert set(re.findall(r"^### (Respid\w+)$", DOCUMENT.read_text(), re.MULTILINE)) == set(ALERTS)


def test_monitoring_objects_are_optional_and_labelled() -> None:
    assert {"PrometheusRule", "ConfigMap"}.isdisjoint(render().kinds)
    values: Values = {
        "prometheusRule": {"enabled": True, "labels": {"release": "monitoring"}},
        "grafanaDashboard": {"enabled": True, "labels": {"team": "ids"}, "annotations": {"folder": "IDs"}},
    }
    rendered = render(values)
    assert rendered.one("PrometheusRule")["metadata"]["labels"].items() >= {"release": "monitoring"}.items()
    dashboard = rendered.one("ConfigMap")["metadata"]
    assert dashboard["labels"].items() >= {"grafana_dashboard": "1", "team": "ids"}.items()
    assert dashboard["annotations"] == {"folder": "IDs"}
