"""Composition root of the gateway: the only place that knows concrete clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from vigie_contracts import topics as contract
from vigie_contracts.tenants import TenantId
from vigie_limits.plans import series_limits
from vigie_publishing.metrics import PUBLISHING_METRICS
from vigie_publishing.publishing import publishing, report_publishing
from vigie_runtime.bus import topics
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage import topics as recorded_topics
from vigie_storage.mongo import patiently
from vigie_storage.reports.reader import StoredReports
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
from vigie_ingest.idempotency import IdempotencyStore
from vigie_ingest.intake import Intake, Pipeline
from vigie_ingest.intakes import INTAKES
from vigie_ingest.key_places import KeyPlaces
from vigie_ingest.routes import IngestApp, feature, intake_routes
from vigie_ingest.settings import IngestSettings
from vigie_ingest.site_hosts import SiteHosts

_SERVICE: Final = "ingest"


def create_app(
    settings: IngestSettings, intakes: Sequence[Intake[Any, Any]] = INTAKES, *, clock: Clock | None = None
) -> IngestApp:
    """The gateway, connected while its ASGI lifespan runs; until then intake requests get 503."""
    measured = MetricSet([*metrics.METRICS, *PUBLISHING_METRICS, *ACCESS_METRICS])
    state = AppState[IngestSettings, Resources](settings, measured, clock)
    frame = Frame(state)
    routes = intake_routes(frame, intakes)
    rest = web.create_app(
        state,
        (feature(routes), operations(settings.ingest_metrics_path)),
        connect,
        service=_SERVICE,
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
    await life.up("identity", patiently("preparing identity", lambda: who.prepare(TenantId(settings.default_tenant))))
    await life.up("usage", patiently("preparing usage", UsageStore(database, clock).ensure_indexes))
    samples = await publishing(
        life,
        settings,
        database,
        catalogue,
        service=_SERVICE,
        clock=clock,
        metrics=state.metrics,
        max_buffered_samples=settings.ingest_max_buffered_samples,
        linger_ms=settings.ingest_linger_ms,
        known_series=settings.ingest_known_series,
        refusal_memory_s=settings.ingest_refusal_memory_s,
        catalogue_wait_s=settings.ingest_catalogue_wait_s,
    )
    reports = await report_publishing(
        life, settings, samples.named, service=_SERVICE, clock=clock, metrics=state.metrics
    )
    return Resources(
        access=shared.access,
        checks=(
            Check("kafka", lambda: samples.bus.ready and reports.records.ready),
            Check("mongodb", lambda: database.command("ping"), required=False),
            Check("redis", redis.ping, required=False),
        ),
        pipeline=Pipeline(
            samples.series,
            samples.keyed,
            reports,
            who.known_tenants,
            StoredReports(database),
            SiteHosts(database, clock),
            KeyPlaces(database, who.audit, clock),
        ),
        idempotency=IdempotencyStore(redis, clock, state.metrics),
    )


async def _prepare(settings: IngestSettings, life: Lifespan, database: Database, catalogue: SeriesWriter) -> None:
    wanted = [
        replace(contract.SAMPLES, name=settings.samples_topic),
        replace(contract.REPORTS, name=settings.reports_topic),
    ]
    specs = topics.specs(settings.partitions, wanted)
    await life.up("topics", recorded_topics.ensure(settings, specs, database))
    await life.up("series catalogue", patiently("preparing the series catalogue", catalogue.ensure_indexes))
