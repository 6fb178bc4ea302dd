"""Composition root of the gateway: the only place that knows concrete clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from vigie_contracts import topics as contract
from vigie_contracts.tenants import TenantId
from vigie_limits.plans import series_limits
from vigie_runtime import clients
from vigie_runtime.bus import topics
from vigie_runtime.bus.publisher import SamplePublisher
from vigie_runtime.bus.publisher_metrics import PUBLISHER_METRICS
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage import topics as recorded_topics
from vigie_storage.mongo import retryable
from vigie_storage.reports.reader import StoredReports
from vigie_storage.series.cardinality import Cardinality
from vigie_storage.series.writer import SeriesWriter
from vigie_storage.usage import UsageStore
from vigie_web import access_control
from vigie_web import app as web
from vigie_web.health import Check
from vigie_web.metrics import ACCESS_METRICS
from vigie_web.operations import operations
from vigie_web.state import AppState

from vigie_ingest import metrics, openapi
from vigie_ingest.frame import Frame, Resources, State
from vigie_ingest.idempotency import IdempotencyStore, InFlight
from vigie_ingest.intake import Intake, Pipeline
from vigie_ingest.intakes import INTAKES
from vigie_ingest.publishers import KeyedPublisher, ReportPublisher
from vigie_ingest.routes import IngestApp, feature, intake_routes
from vigie_ingest.series.cache import RefusedSeries, SeriesCache
from vigie_ingest.series.registrar import Registrar
from vigie_ingest.series.resolver import SeriesResolver
from vigie_ingest.settings import IngestSettings

_SOURCE: Final = "/vigie/ingest"
"""Who published a record, among its CloudEvents headers."""


def create_app(
    settings: IngestSettings, intakes: Sequence[Intake[Any, Any]] = INTAKES, *, clock: Clock | None = None
) -> IngestApp:
    """The gateway, connected while its ASGI lifespan runs; until then intake requests get 503."""
    measured = MetricSet([*metrics.METRICS, *PUBLISHER_METRICS, *ACCESS_METRICS])
    state = AppState[IngestSettings, Resources](settings, measured, clock)
    frame = Frame(state)
    routes = intake_routes(frame, intakes)
    rest = web.create_app(
        state,
        (feature(routes), operations(settings.ingest_metrics_path)),
        connect,
        service="ingest",
        title="Vigie ingest",
        version="1",
        description="Takes metrics and business events. 201 means: acknowledged by Kafka, and will be counted once.",
        refused_credentials=metrics.REFUSED_CREDENTIALS,
    )
    rest.openapi = openapi.with_intakes(rest.openapi, intakes)
    return IngestApp(frame, routes, rest)


async def connect(state: State, life: Lifespan) -> Resources:
    """Everything in order; the stop goes back in reverse: first the buffers, then the clients."""
    settings, clock = state.settings, state.clock
    shared = await access_control.connect(state, life, count_usage=True)
    database, redis, who = shared.database, shared.redis, shared.identity
    catalogue = SeriesWriter(database, settings.partitions, series_limits(who.known_tenants))
    await _prepare(settings, life, database, catalogue)
    await life.up("identity", who.prepare(TenantId(settings.default_tenant)))
    await life.up("usage", UsageStore(database, clock).ensure_indexes())
    publisher, records = await _publishers(state, life)
    series = _series(state, life, catalogue, Cardinality(database, clock))
    keyed = KeyedPublisher(publisher, InFlight(settings.ingest_catalogue_wait_s))
    reports = ReportPublisher(series, keyed, records)
    return Resources(
        access=shared.access,
        checks=(
            Check("kafka", lambda: publisher.ready and records.ready),
            Check("mongodb", lambda: database.command("ping"), required=False),
            Check("redis", redis.ping, required=False),
        ),
        pipeline=Pipeline(series, keyed, reports, who.known_tenants, StoredReports(database)),
        idempotency=IdempotencyStore(redis, clock, state.metrics),
    )


async def _prepare(settings: IngestSettings, life: Lifespan, database: Database, catalogue: SeriesWriter) -> None:
    wanted = [
        replace(contract.SAMPLES, name=settings.samples_topic),
        replace(contract.REPORTS, name=settings.reports_topic),
    ]
    specs = topics.specs(settings.partitions, wanted)
    with retryable("starting"):
        await life.up("topics", recorded_topics.ensure(settings, specs, database))
        await life.up("series catalogue", catalogue.ensure_indexes())


async def _publishers(state: State, life: Lifespan) -> tuple[SamplePublisher, RecordPublisher]:
    settings = state.settings
    samples = SamplePublisher(
        lambda: clients.kafka_producer(settings, client_id="vigie-ingest"),
        settings.samples_topic,
        settings.partitions,
        source=_SOURCE,
        max_buffered_samples=settings.ingest_max_buffered_samples,
        linger_ms=settings.ingest_linger_ms,
        clock=state.clock,
        metrics=state.metrics,
    )
    records = RecordPublisher(
        lambda: clients.kafka_producer(settings, client_id="vigie-ingest-reports"),
        settings.reports_topic,
        settings.partitions,
        source=_SOURCE,
        clock=state.clock,
        metrics=state.metrics,
    )
    for name, publisher in (("publisher", samples), ("report publisher", records)):
        await life.up(name, publisher.start())
        life.on_down(name, publisher.close)
    state.metrics.gauge(metrics.BUFFERED).set_function(lambda: samples.held)
    return samples, records


def _series(state: State, life: Lifespan, catalogue: SeriesWriter, cardinality: Cardinality) -> SeriesResolver:
    settings = state.settings
    waited = state.metrics.histogram(metrics.CATALOGUE_WAIT)
    registrar = Registrar(catalogue, settings.ingest_catalogue_wait_s, waited.observe)
    registrar.start()
    life.on_down("registrar", registrar.close)
    life.on_down("cardinality", cardinality.close)
    known, refused = SeriesCache(settings.ingest_known_series), RefusedSeries(settings.ingest_refusal_memory_s)
    state.metrics.gauge(metrics.KNOWN).set_function(lambda: len(known))
    state.metrics.gauge(metrics.WAITING).set_function(lambda: registrar.waiting)
    return SeriesResolver(known, refused, registrar, state.clock, cardinality.explain)
