"""Composition root of the reads: the only place that knows concrete clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from vigie_identity.identity import identity
from vigie_identity.metrics import IDENTITY_METRICS
from vigie_limits.limiter import Limiter
from vigie_limits.metrics import LIMITS_METRICS
from vigie_limits.quotas import RateLimits
from vigie_limits.store import RedisCounts
from vigie_runtime import clients, logging
from vigie_runtime.clock import Clock, SystemClock
from vigie_runtime.metrics import MetricSet
from vigie_storage.latest import LatestReader
from vigie_storage.reader import Limits, SeriesReader
from vigie_storage.reports.reader import NodeReportReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.usage import UsageStore
from vigie_storage.windows.reader import WindowReader
from vigie_web.security import ReferencePages

from vigie_api import access, health, metrics, openapi, problems
from vigie_api.admin import keys, tenants, users
from vigie_api.auth import first_start
from vigie_api.auth import routes as auth
from vigie_api.context import AppState, Stores
from vigie_api.dashboard import routes as dashboard
from vigie_api.dashboard import summaries as metrics_routes
from vigie_api.exposition import routes as exposition
from vigie_api.exposition.catalogue import FamilyCatalogue
from vigie_api.middleware import Bounded, Measured
from vigie_api.node_reports import routes as telemetry
from vigie_api.query import routes as query
from vigie_api.series import routes as series
from vigie_api.settings import Settings

log = logging.get(__name__)

MAX_BODY_BYTES = 64 * 1024

_TAGS = [
    {"name": "metrics", "description": "Summaries of systems, applications and the business"},
    {"name": "dashboard", "description": "What a user interface shows"},
    {"name": "query", "description": "Any metric over time"},
    {"name": "series", "description": "What is recorded"},
    {"name": "exposition", "description": "For Prometheus"},
    {"name": "telemetry", "description": "What nodes report, for those who look after the platform"},
    {"name": "auth", "description": "Logging in, and who one is"},
    {"name": "tenants", "description": "Tenants, their licences, audit log and usage"},
    {"name": "users", "description": "People: of a tenant, and of the platform"},
    {"name": "keys", "description": "API keys of senders and readers"},
    {"name": "health", "description": "For the ones who start, watch and route"},
]


def create_app(settings: Settings, *, clock: Clock | None = None) -> FastAPI:
    """The reads, connected while the ASGI lifespan runs; until then they answer 503."""
    state = AppState(settings, clock or SystemClock(), MetricSet([*metrics.ALL, *IDENTITY_METRICS, *LIMITS_METRICS]))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with _connected(state):
            yield

    app = FastAPIOffline(
        title="Vigie API",
        version=version("vigie-api"),
        description="Reads: summaries, dashboards, series, queries and the exposition for Prometheus; and the "
        "administration of tenants, users and keys. Times are UTC; errors are RFC 9457 problem details; a number that "
        "is null has no sample behind it.",
        openapi_tags=_TAGS,
        lifespan=lifespan,
        telemetry={"operation_spans": False},
    )
    app.state.state = state
    for module in (
        metrics_routes, dashboard, query, series, exposition, telemetry, auth, tenants, users, keys, health,
    ):  # fmt: skip
        app.include_router(module.router)
    access.check_complete(app.routes)
    problems.install(app)
    app.add_middleware(ReferencePages)
    app.add_middleware(Bounded, limit=MAX_BODY_BYTES)
    app.add_middleware(Measured, metrics=state.metrics)
    _with_whole_document(app)
    return app


@asynccontextmanager
async def _connected(state: AppState) -> AsyncIterator[None]:
    settings, clock = state.settings, state.clock
    async with AsyncExitStack() as stack:
        redis = clients.redis(settings)
        stack.push_async_callback(redis.aclose)
        mongo = clients.mongo(settings)
        stack.push_async_callback(mongo.close)
        database = clients.database(mongo, settings)
        catalogue = SeriesCatalogue(database)
        windows = WindowReader(database, clock, settings.samples_topic, concurrent_reads=settings.api_concurrent_reads)
        limits = Limits(settings.api_max_series, settings.api_max_documents, settings.api_preferred_documents)
        exposed = state.metrics.gauge(metrics.EXPOSED)
        who = await stack.enter_async_context(identity(settings, database, redis, clock, metrics=state.metrics))
        await stack.enter_async_context(first_start.beside(who, settings, state.mark_prepared))
        limiter = Limiter(RedisCounts(redis), clock, state.metrics)
        stack.push_async_callback(limiter.close)
        state.stores = Stores(
            authenticator=who.authenticator,
            identity=who,
            rates=RateLimits(settings, limiter, who.known_tenants, clock),
            usage=UsageStore(database, clock),
            series=catalogue,
            families=FamilyCatalogue(catalogue, clock, settings.api_max_exposed_series, exposed.set),
            latest=LatestReader(database, redis),
            telemetry=NodeReportReader(database),
            reader=SeriesReader(catalogue, windows, clock, limits),
            mongodb_ping=lambda: database.command("ping"),
            redis_ping=redis.ping,
        )
        log.info("ready to answer")
        try:
            yield
        finally:
            state.stores = None
            log.info("stopped answering")


def _with_whole_document(app: FastAPI) -> None:
    """What FastAPI describes, and what the table of access adds to it: made once."""
    made = app.openapi

    def document() -> dict[str, object]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.complete(made())
        return app.openapi_schema

    app.openapi = document
