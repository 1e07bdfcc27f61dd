"""The number of pods that the ScaledObject's queries request: as in KEDA, the value now / threshold, rounded up."""

import pytest

from tests.chart.rendering import KEDA_API, Values, render_with_apis
from tests.observability.promtool import Expectation, Queries, Worker, default_queries, expect, queries

CAPACITY = 4_096_000  # IDs a second, of the default layout
SCRAPE_SECONDS = 15
AT = "10m5s"  # between two scrapes, as most evaluations are


def counting(per_second: float, *, start: float = 0, scrapes: int = 80, interval: float = SCRAPE_SECONDS) -> str:
    return f"{start}+{per_second * interval}x{scrapes}"


def working(
    worker_id: int, *, exhausted_a_minute: float = 0, ids_a_second: float = 0, interval: float = SCRAPE_SECONDS
) -> Worker:
    return Worker(
        worker_id,
        samples={
            "sequence_exhausted_total": counting(exhausted_a_minute / 60, interval=interval),
            "ids_generated_total": counting(ids_a_second, interval=interval),
        },
    )


def saturated(worker_id: int) -> Worker:
    return working(worker_id, exhausted_a_minute=60_000, ids_a_second=CAPACITY)


def idle(*worker_ids: int) -> list[Worker]:
    return [working(worker_id) for worker_id in worker_ids]


def expect_pods(
    pods: int | None,
    workers: list[Worker],
    *,
    at: str = AT,
    using: Queries | None = None,
    interval: int = SCRAPE_SECONDS,
) -> None:
    """Raises AssertionError unless the first trigger requests this many pods, or has no value for None."""
    using = using or default_queries()
    samples = [] if pods is None else [("{}", using.threshold * pods)]
    expect(workers, Expectation(using.exhausted, at, samples), interval=f"{interval}s")


def expect_pods_for_ids(pods: int | None, workers: list[Worker], *, at: str = AT, using: Queries | None = None) -> None:
    """Does the same for the second trigger."""
    using = using or default_queries()
    query = f"ceil({using.ids} / {using.ids_threshold})"
    expect(workers, Expectation(query, at, [] if pods is None else [("{}", pods)]))


def test_six_exhaustions_a_minute_add_a_pod() -> None:
    expect_pods(4, [working(0, exhausted_a_minute=6), *idle(1, 2)])
    expect_pods(4, [working(worker_id, exhausted_a_minute=2) for worker_id in range(3)])


def test_five_exhaustions_a_minute_add_none() -> None:
    expect_pods(0, [working(0, exhausted_a_minute=5), *idle(1, 2)])


def test_one_saturated_worker_adds_one_pod() -> None:
    expect_pods(4, [saturated(0), *idle(1, 2)])


def test_three_saturated_workers_add_pods() -> None:
    workers = [saturated(worker_id) for worker_id in range(3)]
    expect_pods(4, workers)
    expect_pods_for_ids(5, workers)


def test_bulk_request_adds_no_pod() -> None:
    once = {"bulk_exhausted_total": "0x38 1000x40", "ids_generated_total": "0x38 4096000x40"}
    workers = [Worker(0, samples=once), *idle(1, 2)]
    for at in ("9m50s", AT, "10m20s"):
        expect_pods(0, workers, at=at)
        expect_pods_for_ids(1, workers, at=at)


def test_uneven_connections_add_a_bounded_number() -> None:
    expect_pods(4, [saturated(0), *idle(1, 2, 3)])  # 1.7 pods, so 2
    expect_pods(4, [saturated(0), *idle(*range(1, 8))])
    expect_pods(10, [*(saturated(worker_id) for worker_id in range(3)), *idle(*range(3, 11))])


def test_short_bursts_add_a_bounded_number() -> None:
    bursts = working(0, exhausted_a_minute=600, ids_a_second=50_000)
    expect_pods(4, [bursts, *idle(1, 2)])
    expect_pods(4, [bursts, *idle(*range(1, 6))])
    more = queries({"autoscaling": {"minReplicas": 3}})
    expect_pods(6, [bursts, *idle(*range(1, 5))], using=more)
    expect_pods(6, [bursts, *idle(*range(1, 9))], using=more)


@pytest.mark.parametrize(
    ("pods", "asked"), [(1, 2), (3, 4), (9, 10), (10, 12), (11, 13), (19, 21), (20, 23), (30, 34), (100, 111)]
)
def test_request_exceeds_the_hpas_tolerance(pods: int, asked: int) -> None:
    assert asked / pods > 1.1  # an HPA tolerates values up to this
    assert (asked - 1) / pods <= 1.1  # and one less would be tolerated
    expect_pods(asked, [saturated(worker_id) for worker_id in range(pods)])


def test_no_scrape_gives_no_value() -> None:
    other_service = Worker(0, service="other")
    expect_pods(None, [other_service])
    expect_pods_for_ids(None, [other_service])
    scraped_once = Worker(0, samples=dict.fromkeys(("sequence_exhausted_total", "ids_generated_total"), "_x40 0 _x40"))
    expect_pods(None, [scraped_once])
    expect_pods_for_ids(None, [scraped_once])


def vanishing(worker_id: int, *, scrapes: int) -> Worker:
    ended = f"x{scrapes} stale"
    return Worker(
        worker_id,
        samples={
            "sequence_exhausted_total": "0+1.5" + ended,
            "bulk_exhausted_total": "0" + ended,
            "ids_generated_total": "0+0" + ended,
            "info": "1" + ended,
        },
    )


def test_no_pods_give_no_value() -> None:
    gone = [vanishing(worker_id, scrapes=39) for worker_id in range(3)]
    expect_pods(None, gone)
    expect_pods_for_ids(None, gone, at="11m")


def test_vanished_pod_is_not_counted() -> None:
    expect_pods(4, [working(0, exhausted_a_minute=6), *idle(1, 2), vanishing(3, scrapes=20)])


def test_new_pod_counts_from_its_first_scrape() -> None:
    absent = "_x40 "
    new = Worker(
        3,
        samples={
            "sequence_exhausted_total": absent + "0x40",
            "bulk_exhausted_total": absent + "0x40",
            "ids_generated_total": absent + "0x40",
            "info": absent + "1x40",
        },
    )
    workers = [*(saturated(worker_id) for worker_id in range(3)), new]
    expect_pods(4, workers, at="9m50s")
    expect_pods(5, workers, at="10m20s")


def test_replaced_pod_counts_once() -> None:
    new = Worker(2, instance="10.0.0.9:8080")
    expect_pods(4, [working(0, exhausted_a_minute=6), *idle(1, 2), new])


def test_restart_neither_causes_nor_hides_exhaustion() -> None:
    restarted = Worker(0, samples={"sequence_exhausted_total": "100000x38 0x40"})
    expect_pods(0, [restarted, *idle(1, 2)])
    still_busy = Worker(0, samples={"sequence_exhausted_total": "100000+6x38 0+6x40"})
    expect_pods(4, [still_busy, *idle(1, 2)])


def test_pods_are_kept_while_the_load_needs_them() -> None:
    """Five pods share ten million IDs a second, which exhausts none of them; after 10 minutes a tenth is left."""
    load = counting(2_000_000, scrapes=40) + " " + counting(200_000, start=2_000_000 * 600 + 3_000_000, scrapes=40)
    workers = [Worker(worker_id, samples={"ids_generated_total": load}) for worker_id in range(5)]
    for at in ("2m", "5m5s", "9m55s"):
        expect_pods(0, workers, at=at)
        expect_pods_for_ids(5, workers, at=at)
    for at in ("11m30s", "15m"):
        expect_pods(0, workers, at=at)
        expect_pods_for_ids(1, workers, at=at)


def test_other_releases_do_not_count() -> None:
    busy = {"sequence_exhausted_total": counting(1000), "ids_generated_total": counting(CAPACITY)}
    others = [Worker(7, service="other-respid-headless", samples=busy), Worker(8, namespace="other", samples=busy)]
    expect_pods(0, [*idle(0, 1, 2), *others])
    expect_pods_for_ids(0, [*idle(0, 1, 2), *others])


@pytest.mark.parametrize(
    ("interval", "window", "has_value"),
    [(5, 60, True), (15, 60, True), (30, 60, True), (60, 60, False), (60, 120, True), (60, 240, True)],
)
def test_window_must_hold_two_scrapes(interval: int, window: int, has_value: bool) -> None:  # noqa: FBT001
    using = queries({"autoscaling": {"keda": {"windowSeconds": window}}})
    for a_minute, pods in ((6, 4), (4, 0)):
        busy = working(0, exhausted_a_minute=a_minute, ids_a_second=CAPACITY, interval=interval)
        expect_pods(
            pods if has_value else None,
            [busy, Worker(1), Worker(2)],
            at=f"{20 * interval + 1}s",
            using=using,
            interval=interval,
        )


def test_threshold_and_layout_come_from_the_values() -> None:
    using = queries({"layout": "41/4/8", "autoscaling": {"keda": {"threshold": "2.5"}}})
    assert using.ids_threshold == 0.6 * 256 * 1000
    expect_pods(4, [working(0, exhausted_a_minute=3), *idle(1, 2)], using=using)
    expect_pods(0, [working(0, exhausted_a_minute=2), *idle(1, 2)], using=using)
    expect_pods_for_ids(2, [working(0, ids_a_second=256_000)], using=using)


@pytest.mark.parametrize(
    ("labels", "namespace", "service"),
    [
        ({"namespace": "namespace", "service": ""}, "shop", "whatever"),
        ({"namespace": "", "service": "service"}, "", "demo-respid-headless"),
        ({"namespace": "", "service": ""}, "", ""),
    ],
)
def test_queries_work_without_kubernetes_labels(labels: dict[str, str], namespace: str, service: str) -> None:
    using = queries({"prometheusLabels": labels})
    samples = {"sequence_exhausted_total": counting(0.1), "ids_generated_total": counting(CAPACITY)}
    workers = [Worker(0, namespace=namespace, service=service, samples=samples)]
    expect_pods(2, workers, using=using)
    expect_pods_for_ids(2, workers, using=using)


@pytest.mark.kubernetes
@pytest.mark.parametrize("values", [{}, {"layout": "41/4/8", "autoscaling": {"minReplicas": 3, "maxReplicas": 12}}])
def test_scaledobject_has_these_queries(values: Values) -> None:
    triggers = render_with_apis(values, KEDA_API).one("ScaledObject")["spec"]["triggers"]
    asked = [trigger["metadata"] for trigger in triggers if trigger["type"] == "prometheus"]
    expected = queries(values)
    assert [each["query"] for each in asked] == [expected.exhausted, expected.ids]
    assert [float(each["threshold"]) for each in asked] == [expected.threshold, expected.ids_threshold]
