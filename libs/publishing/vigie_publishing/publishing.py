"""What a service connects to publish named samples: series, buffers and clients, started and stopped in order."""

from __future__ import annotations

from dataclasses import dataclass

from vigie_runtime import clients
from vigie_runtime.bus.publisher import SamplePublisher
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_runtime.settings import ReportsSettings, SamplesSettings
from vigie_storage.series.cardinality import Cardinality
from vigie_storage.series.writer import SeriesWriter

from vigie_publishing import metrics as measured
from vigie_publishing.in_flight import InFlight
from vigie_publishing.publishers import KeyedPublisher, NamedPublisher, ReportPublisher
from vigie_publishing.series.cache import RefusedSeries, SeriesCache
from vigie_publishing.series.registrar import Registrar
from vigie_publishing.series.resolver import SeriesResolver


@dataclass(frozen=True, slots=True)
class Publishing:
    """Everything at hand, connected or connecting: `bus` tells whether Kafka takes samples now."""

    series: SeriesResolver
    keyed: KeyedPublisher
    named: NamedPublisher
    bus: SamplePublisher


async def publishing(
    life: Lifespan,
    settings: SamplesSettings,
    database: Database,
    catalogue: SeriesWriter,
    *,
    service: str,
    clock: Clock,
    metrics: MetricSet,
    max_buffered_samples: int = 200_000,
    linger_ms: float = 4.0,
    known_series: int = 20_000,
    refusal_memory_s: float = 10.0,
    catalogue_wait_s: float = 5.0,
) -> Publishing:
    """Start all that samples need on their way. The topics and the catalogue's indexes are there already; `service` is
    who publishes, `ingest` for example, and `metrics` declares PUBLISHING_METRICS."""
    bus = SamplePublisher(
        lambda: clients.kafka_producer(settings, client_id=f"vigie-{service}"),
        settings.samples_topic,
        settings.partitions,
        source=_source(service),
        max_buffered_samples=max_buffered_samples,
        linger_ms=linger_ms,
        clock=clock,
        metrics=metrics,
    )
    await life.up("publisher", bus.start())
    life.on_down("publisher", bus.close)
    registrar = Registrar(catalogue, catalogue_wait_s, metrics.histogram(measured.CATALOGUE_WAIT).observe)
    registrar.start()
    life.on_down("registrar", registrar.close)
    cardinality = Cardinality(database, clock)
    life.on_down("cardinality", cardinality.close)
    known, refused = SeriesCache(known_series), RefusedSeries(refusal_memory_s)
    metrics.gauge(measured.BUFFERED).set_function(lambda: bus.held)
    metrics.gauge(measured.KNOWN).set_function(lambda: len(known))
    metrics.gauge(measured.WAITING).set_function(lambda: registrar.waiting)
    series = SeriesResolver(known, refused, registrar, clock, cardinality.explain)
    keyed = KeyedPublisher(bus, InFlight(catalogue_wait_s))
    return Publishing(series, keyed, NamedPublisher(series, keyed), bus)


async def report_publishing(
    life: Lifespan,
    settings: ReportsSettings,
    samples: NamedPublisher,
    *,
    service: str,
    clock: Clock,
    metrics: MetricSet,
) -> ReportPublisher:
    """Start what reports need beside their samples; the arguments as those of `publishing`."""
    records = RecordPublisher(
        lambda: clients.kafka_producer(settings, client_id=f"vigie-{service}-reports"),
        settings.reports_topic,
        settings.partitions,
        source=_source(service),
        clock=clock,
        metrics=metrics,
    )
    await life.up("report publisher", records.start())
    life.on_down("report publisher", records.close)
    return ReportPublisher(samples, records)


def _source(service: str) -> str:
    """Who published a record, among its CloudEvents headers."""
    return f"/vigie/{service}"
