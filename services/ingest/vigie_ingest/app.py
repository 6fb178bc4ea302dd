"""Composition root of the gateway: the only place that knows concrete clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from fastapi import FastAPI
from vigie_contracts import topics as contract
from vigie_contracts.tenants import TenantId
from vigie_identity.identity import Identity, identity
from vigie_identity.metrics import IDENTITY_METRICS
from vigie_limits.limiter import Limiter
from vigie_limits.metrics import LIMITS_METRICS
from vigie_limits.plans import series_limits
from vigie_limits.quotas import RateLimits
from vigie_limits.store import RedisCounts
from vigie_limits.usage import UsageMeter
from vigie_runtime import clients, logging, tracing
from vigie_runtime.addresses import Origins
from vigie_runtime.bus import topics
from vigie_runtime.bus.publisher import SamplePublisher
from vigie_runtime.bus.publisher_metrics import PUBLISHER_METRICS
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.clock import Clock, SystemClock
from vigie_runtime.errors import VigieError
from vigie_runtime.lifespan import Lifespan
from vigie_storage import topics as recorded_topics
from vigie_storage.mongo import retryable
from vigie_storage.series.cardinality import Cardinality
from vigie_storage.series.writer import SeriesWriter
from vigie_storage.usage import UsageStore

from vigie_ingest import metrics
from vigie_ingest.budget import Bodies
from vigie_ingest.idempotency import IdempotencyStore, InFlight
from vigie_ingest.intake import Intake, Pipeline
from vigie_ingest.intakes import INTAKES
from vigie_ingest.operations import Readiness, operations_app
from vigie_ingest.reports import ReportWriter
from vigie_ingest.repository import StoredReports
from vigie_ingest.routes import AppState, Dependencies, IntakeRoute, Scope, intake_routes
from vigie_ingest.series.cache import RefusedSeries, SeriesCache
from vigie_ingest.series.registrar import Registrar
from vigie_ingest.series.resolver import SeriesResolver
from vigie_ingest.settings import IngestSettings
from vigie_ingest.writer import SampleWriter

log = logging.get(__name__)

_SOURCE: Final = "/vigie/ingest"
"""Who published a record, among its CloudEvents headers."""


class IngestApp:
    """The ASGI app. Intake requests go straight to their routes, all else to FastAPI."""

    def __init__(self, routes: Sequence[IntakeRoute], rest: FastAPI) -> None:
        intakes = [(route.intake.method, route.intake.path, route) for route in routes]
        self._exact = {(method, path): route for method, path, route in intakes if not path.endswith("/*")}
        below = [(method, path[:-1], route) for method, path, route in intakes if path.endswith("/*")]
        self._below = sorted(below, key=lambda one: -len(one[1]))  # the longest that fits is the one meant
        self._rest = rest
        self.openapi: Callable[[], dict[str, Any]] = rest.openapi
        """The OpenAPI document."""

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (route := self._exact.get((scope["method"], scope["path"]))) is not None:
            await route(scope, receive, send)
        else:
            await (self._found_below(scope) or self._rest)(scope, receive, send)

    def _found_below(self, scope: Scope) -> IntakeRoute | None:
        for method, prefix, route in self._below:
            if scope["type"] == "http" and scope["method"] == method and scope["path"].startswith(prefix):
                return route
        return None


def create_app(settings: IngestSettings) -> IngestApp:
    """The gateway, connected while its ASGI lifespan runs; until then intake requests get 503."""
    state = AppState(
        settings=settings,
        metrics=metrics.metric_set([*PUBLISHER_METRICS, *IDENTITY_METRICS, *LIMITS_METRICS]),
        bodies=Bodies(settings.ingest_max_body_bytes),
        origins=Origins(settings.proxies),
        tracer=tracing.tracer("vigie_ingest") if tracing.enabled() else None,
    )
    readiness = Readiness()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            async with running(state, readiness):
                yield
        except VigieError as e:
            log.error("the gateway cannot run", reason=str(e))
            raise

    return assemble(state, readiness, lifespan)


def assemble(
    state: AppState, readiness: Readiness, lifespan: Any = None, intakes: Sequence[Intake[Any, Any]] = INTAKES
) -> IngestApp:
    """The app around its state; what tests with doubles use too."""
    routes = intake_routes(state, intakes)
    return IngestApp(routes, operations_app(state, readiness, routes, lifespan))


@asynccontextmanager
async def running(state: AppState, readiness: Readiness) -> AsyncIterator[None]:
    """Connect everything in order, serve, and go back in reverse: intake first, then the buffer, then the clients."""
    settings, clock = state.settings, SystemClock()
    async with Lifespan(settings.shutdown_timeout_s) as life:
        redis = clients.redis(settings)
        life.on_down("redis", redis.aclose)
        mongo = clients.mongo(settings)
        life.on_down("mongodb", mongo.close)
        database = clients.database(mongo, settings)
        wanted = [
            replace(contract.SAMPLES, name=settings.samples_topic),
            replace(contract.REPORTS, name=settings.reports_topic),
        ]
        who = await life.enter("identity", identity(settings, database, redis, clock, metrics=state.metrics))
        catalogue = SeriesWriter(database, settings.partitions, series_limits(who.known_tenants))
        with retryable("starting"):
            await life.up(
                "topics", recorded_topics.ensure(settings, topics.specs(settings.partitions, wanted), database)
            )
            await life.up("series catalogue", catalogue.ensure_indexes())
        await life.up("identity", who.prepare(TenantId(settings.default_tenant)))
        await life.up("usage", UsageStore(database, clock).ensure_indexes())
        rates = _rates(state, life, who, RedisCounts(redis), UsageMeter(database, clock, state.metrics))
        publisher = _publisher(state, clock)
        await life.up("publisher", publisher.start())
        life.on_down("publisher", publisher.close)
        records = _record_publisher(state, clock)
        await life.up("report publisher", records.start())
        life.on_down("report publisher", records.close)
        registrar = Registrar(
            catalogue, settings.ingest_catalogue_wait_s, state.metrics.histogram(metrics.CATALOGUE_WAIT).observe
        )
        registrar.start()
        life.on_down("registrar", registrar.close)

        cache = SeriesCache(settings.ingest_known_series)
        cardinality = Cardinality(database, clock)
        life.on_down("cardinality", cardinality.close)
        refused = RefusedSeries(settings.ingest_refusal_memory_s)
        series = SeriesResolver(cache, refused, registrar, clock, cardinality.explain)
        writer = SampleWriter(publisher, InFlight(settings.ingest_catalogue_wait_s))
        state.metrics.gauge(metrics.BUFFERED).set_function(lambda: publisher.held)
        state.metrics.gauge(metrics.KNOWN).set_function(lambda: len(cache))
        state.metrics.gauge(metrics.WAITING).set_function(lambda: registrar.waiting)
        state.metrics.gauge(metrics.BODIES).set_function(lambda: state.bodies.held)
        readiness.kafka = lambda: publisher.ready and records.ready
        readiness.mongodb = lambda: database.command("ping")
        readiness.redis = redis.ping
        reports = ReportWriter(series, writer, records)
        pipeline = Pipeline(series, writer, reports, who.known_tenants, StoredReports(database).among)
        state.dependencies = Dependencies(
            pipeline, IdempotencyStore(redis, clock, state.metrics), who.authenticator, rates, clock
        )
        try:
            yield
        finally:
            state.dependencies = None  # from here on requests get 503; those inside still have their clients


def _record_publisher(state: AppState, clock: Clock) -> RecordPublisher:
    settings = state.settings
    return RecordPublisher(
        lambda: clients.kafka_producer(settings, client_id="vigie-ingest-reports"),
        settings.reports_topic,
        settings.partitions,
        source=_SOURCE,
        clock=clock,
        metrics=state.metrics,
    )


def _rates(state: AppState, life: Lifespan, who: Identity, counts: RedisCounts, meter: UsageMeter) -> RateLimits:
    clock = SystemClock()
    limiter = Limiter(counts, clock, state.metrics)
    life.on_down("limits", limiter.close)
    meter.start()
    life.on_down("usage", meter.close)
    return RateLimits(state.settings, limiter, who.known_tenants, clock, meter)


def _publisher(state: AppState, clock: Clock) -> SamplePublisher:
    settings = state.settings
    return SamplePublisher(
        lambda: clients.kafka_producer(settings, client_id="vigie-ingest"),
        settings.samples_topic,
        settings.partitions,
        source=_SOURCE,
        max_buffered_samples=settings.ingest_max_buffered_samples,
        linger_ms=settings.ingest_linger_ms,
        clock=clock,
        metrics=state.metrics,
    )
