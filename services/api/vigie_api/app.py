"""Composition root of the reads: the only place that knows concrete clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from vigie_identity.identity import identity
from vigie_limits.limiter import Limiter
from vigie_limits.metrics import LIMITS_METRICS
from vigie_limits.rates import Rates
from vigie_limits.store import RedisCounts
from vigie_limits.usage import Usage
from vigie_runtime import clients, logging
from vigie_runtime.clock import Clock, SystemClock
from vigie_runtime.metrics import MetricSet

from vigie_api import access, first_start, metrics, problems
from vigie_api.answers.problem import Problem
from vigie_api.middleware import Measured
from vigie_api.repository.catalogue import FamilyCatalogue
from vigie_api.repository.latest import LatestRepository
from vigie_api.repository.reader import Limits, Reader
from vigie_api.repository.series import SeriesRepository
from vigie_api.repository.telemetry import TelemetryRepository
from vigie_api.repository.windows import WindowsRepository
from vigie_api.routes import dashboard, exposition, health, query, series, telemetry
from vigie_api.routes import metrics as metrics_routes
from vigie_api.routes.context import Desk, Stores
from vigie_api.settings import Settings

log = logging.get(__name__)

_TAGS = [
    {"name": "metrics", "description": "Summaries of systems, applications and the business"},
    {"name": "dashboard", "description": "What a user interface shows"},
    {"name": "query", "description": "Any metric over time"},
    {"name": "series", "description": "What is recorded"},
    {"name": "exposition", "description": "For Prometheus"},
    {"name": "telemetry", "description": "What nodes report, for those who look after the platform"},
    {"name": "health", "description": "For the ones who start, watch and route"},
]


def create_app(settings: Settings, *, clock: Clock | None = None) -> FastAPI:
    """The reads, connected while the ASGI lifespan runs; until then they answer 503."""
    desk = Desk(settings, clock or SystemClock(), MetricSet([*metrics.ALL, *LIMITS_METRICS]))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with _connected(desk):
            yield

    app = FastAPIOffline(
        title="Vigie API",
        version=version("vigie-api"),
        description="Reads: summaries, dashboards, series, queries and the exposition for Prometheus. Times are UTC; "
        "errors are RFC 9457 problem details; a number that is null has no sample behind it.",
        openapi_tags=_TAGS,
        lifespan=lifespan,
        max_body_size=1024 * 1024,  # nothing here reads a body
        telemetry={"operation_spans": False},
    )
    app.state.desk = desk
    for module in (metrics_routes, dashboard, query, series, exposition, telemetry, health):
        app.include_router(module.router)
    access.check_complete(app.routes)
    problems.install(app)
    app.add_middleware(Measured, metrics=desk.metrics)
    _with_problem_schema(app)
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
        who = await stack.enter_async_context(identity(settings, database, redis, clock))
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


def _with_problem_schema(app: FastAPI) -> None:
    """The errors refer to one schema, which no route returns as its model."""
    made = app.openapi

    def openapi() -> dict[str, object]:
        document = made()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {})
            schemas["Problem"] = schema
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
        return document

    app.openapi = openapi
