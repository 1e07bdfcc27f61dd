"""The metrics that Prometheus reads: names, both formats, and exact values."""

import itertools
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.support.byte_streams import request, requests
from tests.support.needed_tools import need_tool
from tests.support.raw_client import RawClient, exchange
from tests.support.running import RESERVE_SECONDS, RunningServer, StartServer

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
NAMES = [
    *("ids_generated_total", "sequence_exhausted_total", "worker_id", "current_sequence", "max_sequence_per_ms"),
    *("info", "ready", "clock_lead_seconds", "clock_steps_total", "event_loop_lag_seconds"),
    *("reservation_remaining_seconds", "reservation_failures_total", "exhausted_wait_seconds_total"),
    *("layout_end_timestamp_seconds", "connections", "connections_total", "connections_rejected_total"),
    *("commands_total", "errors_total", "moves_total", "build_info"),
]
INCR = request("INCR", "orders")


@pytest.fixture(scope="module")
def counting_server(start_module_server: StartServer) -> Iterator[RunningServer]:
    """A server that only the tests in this file use."""
    server = start_module_server()
    exchange(server.port, requests("BOGUS; INCR orders"))  # so that each counter has a sample
    yield server
    server.stop()


class Change:
    """The changes of a metric's samples since this object was made."""

    def __init__(self, server: RunningServer, name: str) -> None:
        self._server = server
        self._name = name
        self._before = self._read()

    def _read(self) -> dict[str, float]:
        """The samples by the value of their label, which is empty without a label."""
        samples = [
            sample for family in families(self._server) for sample in family.samples if sample.name == self._name
        ]
        return {next(iter(sample.labels.values()), ""): sample.value for sample in samples}

    def read(self) -> dict[str, float]:
        changes = {label: value - self._before.get(label, 0) for label, value in self._read().items()}
        return {label: change for label, change in changes.items() if change}


def test_batch_durations_are_a_histogram(counting_server: RunningServer) -> None:
    (family,) = (each for each in families(counting_server) if each.name == "id_generator_batch_duration_seconds")
    buckets = [sample for sample in family.samples if sample.name.endswith("_bucket")]
    assert (family.type, buckets[-1].labels) == ("histogram", {"le": "+Inf"})
    counts = [sample.value for sample in buckets]
    assert counts == sorted(counts)


@pytest.mark.parametrize("name", NAMES)
def test_metric_exists_with_help(counting_server: RunningServer, name: str) -> None:
    wanted = f"id_generator_{name}"
    (family,) = (each for each in families(counting_server) if wanted in {sample.name for sample in each.samples})
    assert family.documentation.endswith(".")
    # Without its suffix the name is that of a gauge, and two metrics must not share a name.
    untyped = name == "connections_total"
    assert family.type == ("unknown" if untyped else "counter" if name.endswith("_total") else "gauge")


@pytest.mark.parametrize(
    "sample",
    [
        'commands_total{command="id.range"}',
        'errors_total{kind="ERR"}',
        'connections_rejected_total{reason="max_clients"}',
        'clock_steps_total{direction="back"}',
        'clock_steps_total{direction="forward"}',
        'sequence_exhausted_total{request="single"}',
        'sequence_exhausted_total{request="bulk"}',
    ],
)
def test_label_exists(counting_server: RunningServer, sample: str) -> None:
    assert counting_server.metric(f"id_generator_{sample}") >= 0


def test_process_metrics_are_exported(counting_server: RunningServer) -> None:
    text = counting_server.get("/metrics")[1]
    assert "\nprocess_resident_memory_bytes " in text
    assert "\npython_gc_collections_total{" in text


def test_formats_have_equal_samples(counting_server: RunningServer) -> None:
    assert sample_names(families(counting_server)) == sample_names(families(counting_server, OPENMETRICS))


def families(server: RunningServer, accept: str = "*/*") -> list[Metric]:
    parse = parse_openmetrics if accept == OPENMETRICS else parse_text
    return list(parse(server.get("/metrics", accept)[1]))


def sample_names(families: list[Metric]) -> set[tuple[str, str]]:
    return {(sample.name, str(sample.labels)) for family in families for sample in family.samples}


def test_promtool_accepts_metrics(counting_server: RunningServer) -> None:
    check = subprocess.run(
        [need_tool("promtool"), "check", "metrics"],
        input=counting_server.get("/metrics")[1],
        capture_output=True,
        text=True,
        check=False,
    )
    faults = (check.stdout + check.stderr).splitlines()
    assert faults == ["id_generator_max_sequence_per_ms metric names should not contain abbreviated units"]


@pytest.mark.parametrize(
    ("sent", "drawn"),
    [
        ("INCR a", 1),
        ("INCRBY a 1; INCRBY a 100; INCRBY a 4096; HINCRBY a f 7", 4204),
        ("INCRBY a 4097; INCRBY a 0; INCRBY a x; INCRBYFLOAT a 2; INCR", 0),
        ("INCRBYFLOAT a 1; ID.NEXT; ID.NEXT AS STRING", 3),
        ("ID.NEXT COUNT 10000", 10_000),
        ("ID.NEXT COUNT 5000 AS STRING; ID.RANGE 12345", 17_345),
        ("MULTI; INCR a; INCRBY a 10; ID.NEXT COUNT 5000; EXEC", 5_011),
        ("MULTI; INCR a; DISCARD; MULTI; INCR a; BOGUS; EXEC", 0),
        ("CLIENT REPLY OFF; INCR a; INCR a", 2),
        ("GET a; EXISTS a; ID.MIN 2026-01-01; ID.INFO; ID.DECODE 1", 0),
    ],
)
def test_ids_are_counted_exactly(counting_server: RunningServer, sent: str, drawn: int) -> None:
    change = Change(counting_server, "id_generator_ids_generated_total")
    assert exchange(counting_server.port, requests(sent)) or "OFF" in sent
    assert change.read().get("", 0) == drawn


def test_pipelines_are_counted_exactly(counting_server: RunningServer) -> None:
    ids, commands = (Change(counting_server, f"id_generator_{name}_total") for name in ("ids_generated", "commands"))
    with RawClient(counting_server.port) as client:
        client.draw(INCR * 30_000 + request("INCRBY", "a", "1") * 10_000 + request("incr", "a") * 5, 40_005)
    assert ids.read() == {"": 40_005}
    assert commands.read() == {"incr": 30_005, "incrby": 10_000}


@pytest.mark.parametrize(
    ("sent", "commands"),
    [
        ("PING; ping; PING x", {"ping": 3}),
        ("INCR a; incr b; INCR c", {"incr": 3}),
        ("BOGUS; INCR; INCR a b; CLIENT BOGUS", {}),
        ("INCRBY a x", {"incrby": 1}),
        ("CLIENT SETNAME me; client getname", {"client|setname": 1, "client|getname": 1}),
        ("MULTI; INCR a; PING; EXEC", {"multi": 1, "incr": 1, "ping": 1, "exec": 1}),
        ("MULTI; INCR a; DISCARD", {"multi": 1, "discard": 1}),
        ("ID.NEXT COUNT 10; id.range 5", {"id.next": 1, "id.range": 1}),
    ],
)
def test_commands_are_counted(counting_server: RunningServer, sent: str, commands: dict[str, float]) -> None:
    change = Change(counting_server, "id_generator_commands_total")
    exchange(counting_server.port, requests(sent))
    assert change.read() == commands


@pytest.mark.parametrize(
    ("sent", "kinds"),
    [
        (requests("PING; GET a; INCRBY a 5"), {}),
        (requests("BOGUS; INCR; INCRBY a x; CONFIG BOGUS"), {"ERR": 4}),
        (requests("HELLO 4; AUTH nobody x"), {"NOPROTO": 1, "WRONGPASS": 1}),
        (requests("MULTI; BOGUS; EXEC"), {"ERR": 1, "EXECABORT": 1}),
        (requests("MULTI; INCRBY a x; PING; EXEC"), {"ERR": 1}),
        (b"*x\r\n", {"ERR": 1}),
        (requests("ECHO -ERR; ECHO -x"), {}),
    ],
    ids=str,
)
def test_errors_are_counted_by_code(counting_server: RunningServer, sent: bytes, kinds: dict[str, float]) -> None:
    change = Change(counting_server, "id_generator_errors_total")
    exchange(counting_server.port, sent)
    assert change.read() == kinds


@pytest.mark.parametrize(
    ("kind", "sent", "lines"),
    [
        ("bulk", request("ID.NEXT", "COUNT", "100000"), 100_001),
        ("bulk", request("INCRBY", "a", "4096") * 100, 100),
        ("bulk", request("INCRBY", "a", "257") * 500, 500),
        ("single", request("INCRBY", "a", "256") * 500, 500),
    ],
    ids=["ID.NEXT COUNT", "INCRBY 4096", "INCRBY 257", "INCRBY 256"],
)
def test_exhaustion_is_counted_by_kind(counting_server: RunningServer, kind: str, sent: bytes, lines: int) -> None:
    expect_exhausted(counting_server, kind, sent, lines)


def test_exhaustion_by_pipelined_incr_is_single(start_server: StartServer) -> None:
    """Each read has more requests than a millisecond has IDs, also on a machine too slow to draw 4,096 in one."""
    expect_exhausted(start_server("--layout", "41/4/8"), "single", INCR * 50_000, 50_000)


def expect_exhausted(server: RunningServer, kind: str, sent: bytes, lines: int) -> None:
    exhausted = Change(server, "id_generator_sequence_exhausted_total")
    waited = Change(server, "id_generator_exhausted_wait_seconds_total")
    started = time.monotonic()
    with RawClient(server.port) as client:
        client.send(sent)
        client.receive_lines(lines)
    elapsed_seconds = time.monotonic() - started
    (label, milliseconds), *others = exhausted.read().items()
    assert (label, others) == (kind, [])
    assert 1 <= milliseconds <= elapsed_seconds * 1000 + 1
    assert 0 < waited.read()[""] <= elapsed_seconds


def test_gauges_show_current_values(counting_server: RunningServer) -> None:
    with RawClient(counting_server.port) as client:
        (last,) = client.draw(INCR, 1)
        assert counting_server.metric("id_generator_current_sequence") == last & 4095
        assert counting_server.metric("id_generator_connections") == 1
    assert counting_server.metric("id_generator_worker_id") == 1
    assert counting_server.metric("id_generator_max_sequence_per_ms") == 4096
    assert 0 < counting_server.metric("id_generator_reservation_remaining_seconds") <= RESERVE_SECONDS


def test_counters_never_decrease(counting_server: RunningServer) -> None:
    ended = threading.Event()

    def load() -> None:
        with RawClient(counting_server.port) as client:
            while not ended.is_set():
                client.send(requests("INCRBY a 3000; BOGUS; ID.NEXT COUNT 5000") + INCR * 5_000)
                client.receive_lines(2 + 5_001 + 5_000)

    loader = threading.Thread(target=load)
    loader.start()
    try:
        scrapes = [counters(counting_server) for _ in range(30)]
    finally:
        ended.set()
        loader.join()
    for earlier, later in itertools.pairwise(scrapes):
        assert {name for name, value in earlier.items() if later[name] < value} == set()
    assert scrapes[0]["id_generator_ids_generated_total{}"] < scrapes[-1]["id_generator_ids_generated_total{}"]


def counters(server: RunningServer) -> dict[str, float]:
    samples = [
        sample for family in families(server, OPENMETRICS) if family.type == "counter" for sample in family.samples
    ]
    return {f"{sample.name}{sample.labels}": sample.value for sample in samples}
