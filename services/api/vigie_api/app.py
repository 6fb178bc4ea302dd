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
from vigie_limits.rates import Rates
from vigie_limits.store import RedisCounts
from vigie_limits.usage import Usage
from vigie_runtime import clients, logging
from vigie_runtime.clock import Clock, SystemClock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.security import ReferencePages

from vigie_api import access, first_start, metrics, openapi, problems
from vigie_api.middleware import Bounded, Measured
from vigie_api.repository.catalogue import FamilyCatalogue
from vigie_api.repository.latest import LatestRepository
from vigie_api.repository.reader import Limits, Reader
from vigie_api.repository.series import SeriesRepository
from vigie_api.repository.telemetry import TelemetryRepository
from vigie_api.repository.windows import WindowsRepository
from vigie_api.routes import auth, dashboard, exposition, health, keys, query, series, telemetry, tenants, users
from vigie_api.routes import metrics as metrics_routes
from vigie_api.routes.context import Desk, Stores
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
    desk = Desk(settings, clock or SystemClock(), MetricSet([*metrics.ALL, *IDENTITY_METRICS, *LIMITS_METRICS]))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with _connected(desk):
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
    app.state.desk = desk
    for module in (
        metrics_routes, dashboard, query, series, exposition, telemetry, auth, tenants, users, keys, health,
    ):  # fmt: skip
        app.include_router(module.router)
    access.check_complete(app.routes)
    problems.install(app)
    app.add_middleware(ReferencePages)
    app.add_middleware(Bounded, limit=MAX_BODY_BYTES)
    app.add_middleware(Measured, metrics=desk.metrics)
    _with_whole_document(app)
    return app


@asynccontextmanager
async def _connected(desk: Desk) -> AsyncIterator[None]:
    settings, clock = desk.settings, desk.clock
    async with AsyncExitStack() as stack:
        redis = clients.redis(settings)
        stack.push_async_callback(redis.aclose)
        mongo = clients.mongo(settings)
        stack.push_async_callback(mongo.close)
        database = clients.database(mongo, settings)
        catalogue = SeriesRepository(database)
        windows = WindowsRepository(
            database, clock, settings.samples_topic, concurrent_reads=settings.api_concurrent_reads
        )
        limits = Limits(settings.api_max_series, settings.api_max_documents, settings.api_preferred_documents)
        exposed = desk.metrics.gauge(metrics.EXPOSED)
        who = await stack.enter_async_context(identity(settings, database, redis, clock, metrics=desk.metrics))
        await stack.enter_async_context(first_start.beside(who, settings, desk.mark_prepared))
        limiter = Limiter(RedisCounts(redis), clock, desk.metrics)
        stack.push_async_callback(limiter.close)
        desk.stores = Stores(
            authenticator=who.authenticator,
            identity=who,
            rates=Rates(settings, limiter, who.known_tenants, clock),
            usage=Usage(database, clock),
            series=catalogue,
            families=FamilyCatalogue(catalogue, clock, settings.api_max_exposed_series, exposed.set),
            latest=LatestRepository(database, redis),
            telemetry=TelemetryRepository(database),
            reader=Reader(catalogue, windows, clock, limits),
            mongodb_ping=lambda: database.command("ping"),
            redis_ping=redis.ping,
        )
        log.info("ready to answer")
        try:
            yield
        finally:
            desk.stores = None
            log.info("stopped answering")


def _with_whole_document(app: FastAPI) -> None:
    """What FastAPI describes, and what the table of access adds to it: made once."""
    made = app.openapi

    def document() -> dict[str, object]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.complete(made())
        return app.openapi_schema

    app.openapi = document
