"""A collector that reads the worker's plain numbers at scrape time. The only file that uses prometheus_client."""

import math
import platform
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from respid import BUILD_DATE, __version__
from respid.commands import COMMANDS
from respid.worker.worker import Worker

_PREFIX = "id_generator_"


class WorkerCollector(Collector):
    """The metrics of one worker."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def collect(self) -> Iterable[Metric]:
        yield from self._ids()
        yield from self._time()
        yield from self._traffic()

    def _ids(self) -> Iterable[Metric]:
        worker, generator, stats = self.worker, self.worker.generator, self.worker.stats
        yield _counter("ids_generated", "IDs issued.", generator.ids_issued)
        yield _counters(
            "sequence_exhausted",
            "Milliseconds in which the sequence ran out while a request waited, by kind of request: single, or bulk"
            " (ID.NEXT COUNT, ID.RANGE and blocks above a sixteenth of the sequence).",
            "request",
            stats.sequence_exhausted,
        )
        yield _counter(
            "exhausted_wait_seconds",
            "Total time that requests spent waiting for an ID.",
            stats.exhausted_wait_ns / 1e9,
        )
        yield _gauge("worker_id", "Worker ID of this worker.", generator.worker_id)
        yield _gauge("current_sequence", "Sequence of the last ID.", generator.sequence)
        yield _gauge("max_sequence_per_ms", "Maximum number of IDs per millisecond.", generator.layout.sequence_size)
        labels = {
            "version": __version__,
            "layout": generator.layout.widths,
            "epoch_ms": str(generator.layout.epoch_ms),
            "fingerprint": generator.layout.fingerprint,
            "worker_id": str(generator.worker_id),
            "worker_id_source": worker.config.worker_id_source,
            "id_space": worker.config.lease_id_space,
            "store": worker.config.store,
            "high_water_mark": {None: "pending", True: "found", False: "none"}[worker.reservation.found_mark],
        }
        build = {"version": __version__, "build_date": BUILD_DATE, "python_version": platform.python_version()}
        yield InfoMetricFamily(_PREFIX + "build", "Version, build date, and the Python that runs it.", build)
        yield InfoMetricFamily(_PREFIX.rstrip("_"), "Build and configuration of the worker.", labels)

    def _time(self) -> Iterable[Metric]:
        worker, generator, stats = self.worker, self.worker.generator, self.worker.stats
        reservation = worker.reservation
        yield _gauge("ready", "1 if an ID can be issued now, otherwise 0.", int(worker.not_ready() is None))
        yield _gauge("clock_lead_seconds", "How far the last ID is ahead of the wall clock.", generator.lead_ms / 1000)
        yield _gauge(
            "max_clock_lead_seconds", "The clock lead beyond which no ID is issued.", generator.lead_limit_ms / 1000
        )
        yield _counters("clock_steps", "Steps of the wall clock, by direction.", "direction", stats.clock_steps)
        yield _gauge(
            "reservation_remaining_seconds",
            "How long IDs can be issued without extending the reservation.",
            reservation.remaining_ms(worker.clock.wall_ms()) / 1000,
        )
        yield _gauge("reservation_seconds", "How long a new reservation lasts.", reservation.span_ms / 1000)
        yield _counter("reservation_failures", "Failed extensions of the reservation.", reservation.extensions_failed)
        yield _gauge(
            "layout_end_timestamp_seconds",
            "When the timestamp bits of the layout run out.",
            generator.layout.end_ms / 1000,
        )
        yield _gauge(
            "tls_certificate_end_timestamp_seconds",
            "When the TLS certificate expires; 0 without TLS.",
            stats.tls_certificate_end_seconds or 0,
        )
        yield _gauge(
            "tls_crl_end_timestamp_seconds",
            "When the first revocation list expires; 0 without revocation lists.",
            stats.tls_crl_end_seconds or 0,
        )
        yield _gauge(
            "event_loop_lag_seconds", "How late the event loop ran its last timer.", stats.event_loop_lag_seconds
        )

    def _traffic(self) -> Iterable[Metric]:
        worker, stats = self.worker, self.worker.stats
        yield _gauge("connections", "Currently connected clients.", len(worker.clients))
        yield _gauge(
            "client_memory_bytes",
            "Memory that clients hold in requests, transactions, unread replies and TLS states.",
            stats.client_memory_bytes,
        )
        # Untyped: in OpenMetrics a counter "connections" would clash with the gauge of that name.
        yield UnknownMetricFamily(
            _PREFIX + "connections_total", "Clients connected since the start.", stats.connections
        )
        yield _counters(
            "connections_rejected", "Rejected connections, by reason.", "reason", stats.connections_rejected
        )
        yield _counters(
            "connections_closed", "Connections closed by the server, by reason.", "reason", stats.connections_closed
        )
        yield _counters(
            "moves",
            "Clients asked to move to another worker (announced), and those of them that did (followed).",
            "event",
            stats.moves,
        )
        yield _counter("auth_failures", "Failed authentications.", stats.auth_failures)
        commands = {command.name: 0 for command in COMMANDS.values()} | stats.commands
        yield _counters("commands", "Commands run, by command.", "command", commands)
        yield HistogramMetricFamily(
            _PREFIX + "batch_duration_seconds",
            "Time from the bytes of a read to its last reply, of a sample of all reads.",
            [
                ("+Inf" if math.isinf(bound) else f"{bound:g}", count)
                for bound, count in stats.batch_durations.cumulative()
            ],
            stats.batch_durations.total_ns / 1e9,
        )
        yield _counters("errors", "Error replies, by error code.", "kind", stats.errors)


def _counter(name: str, documentation: str, value: float) -> Metric:
    return CounterMetricFamily(_PREFIX + name, documentation, value)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, documentation, value)


def _counters(name: str, documentation: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, documentation, labels=[label])
    for label_value, value in values.items():
        family.add_metric([label_value], value)
    return family


class Exposition:
    """The metrics of one worker and its process, in text formats."""

    def __init__(self, worker: Worker) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(WorkerCollector(worker))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self, accept: str) -> tuple[str, bytes]:
        """Content type and body, in the format that the Accept header prefers: OpenMetrics or Prometheus text."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # raised for a version that is not a number
            encode, content_type = choose_encoder("")
        return content_type, encode(self._registry)
