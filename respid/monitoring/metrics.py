"""A collector that reads the worker's plain numbers when it is scraped: the only file that knows Prometheus."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from respid import __version__
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
            "Milliseconds whose sequence ran out while a request waited, by the kind of request: single, or bulk.",
            "request",
            stats.sequence_exhausted,
        )
        yield _counter(
            "exhausted_wait_seconds",
            "Time that requests have waited for an ID, added up.",
            stats.exhausted_wait_ns / 1e9,
        )
        yield _gauge("worker_id", "The worker ID in every ID.", generator.worker_id)
        yield _gauge("current_sequence", "The sequence of the last ID.", generator.sequence)
        yield _gauge(
            "max_sequence_per_ms", "How many IDs a worker has in a millisecond.", generator.layout.sequence_size
        )
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
        yield InfoMetricFamily(_PREFIX.rstrip("_"), "What the worker is.", labels)

    def _time(self) -> Iterable[Metric]:
        worker, generator, stats = self.worker, self.worker.generator, self.worker.stats
        reservation = worker.reservation
        yield _gauge("ready", "1 while an ID can be issued, else 0.", int(worker.not_ready() is None))
        yield _gauge("clock_lead_seconds", "How far IDs are ahead of the wall clock.", generator.lead_ms / 1000)
        yield _counters("clock_steps", "Steps of the wall clock.", "direction", stats.clock_steps)
        yield _gauge(
            "reservation_remaining_seconds",
            "For how long IDs can be issued without another extension of the reservation.",
            reservation.remaining_ms(worker.clock.wall_ms()) / 1000,
        )
        yield _counter(
            "reservation_failures", "Extensions of the reservation that failed.", reservation.extensions_failed
        )
        yield _gauge(
            "layout_end_timestamp_seconds",
            "When the layout's timestamp bits are used up.",
            generator.layout.end_ms / 1000,
        )
        yield _gauge(
            "event_loop_lag_seconds", "How late the event loop last ran a timer.", stats.event_loop_lag_seconds
        )

    def _traffic(self) -> Iterable[Metric]:
        worker, stats = self.worker, self.worker.stats
        yield _gauge("connections", "Connected clients.", len(worker.clients))
        # Without a type: OpenMetrics has no two metrics of one name, and knows this counter by the gauge's.
        yield UnknownMetricFamily(_PREFIX + "connections_total", "Clients that have connected.", stats.connections)
        yield _counters("connections_rejected", "Connections turned away.", "reason", stats.connections_rejected)
        yield _counters(
            "connections_closed", "Connections that the server has closed.", "reason", stats.connections_closed
        )
        yield _counter("auth_failures", "Wrong passwords or user names that were given.", stats.auth_failures)
        commands = {command.name: 0 for command in COMMANDS.values()} | stats.commands
        yield _counters("commands", "Commands run.", "command", commands)
        yield _counters("errors", "Error replies, by their code.", "kind", stats.errors)


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
    """The metrics of one worker and its process, as text."""

    def __init__(self, worker: Worker) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(WorkerCollector(worker))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self, accept: str) -> tuple[str, bytes]:
        """Content type and body in the format that the Accept header asks for: OpenMetrics, or Prometheus's text."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # it expects versions to be numbers
            encode, content_type = choose_encoder("")
        return content_type, encode(self._registry)
