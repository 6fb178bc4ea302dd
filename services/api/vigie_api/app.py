"""Composition root of the reads: the only place that knows concrete clients."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from vigie_runtime import clients
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.cache import TtlCache
from vigie_runtime.clock import Clock
from vigie_runtime.expressions import Expressions
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage.hosts.agents import HostAgents
from vigie_storage.hosts.configuration import MonitoringConfigs
from vigie_storage.hosts.reports import HostReports
from vigie_storage.hosts.sites import Sites
from vigie_storage.latest import LatestReader
from vigie_storage.promql.reader import PromqlReader
from vigie_storage.reader import Limits, SeriesReader
from vigie_storage.reports.apps import AppReportReader
from vigie_storage.reports.reader import NodeReportReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.labels import LabelCatalogue
from vigie_storage.unfinished import refuse_unfinished
from vigie_storage.usage import UsageStore
from vigie_storage.windows.reader import WindowReader
from vigie_summaries.families.catalogue import FamilyCatalogue
from vigie_summaries.summaries import Summaries
from vigie_web import access_control
from vigie_web import app as web
from vigie_web.concurrency import ConcurrencyLimit
from vigie_web.health import Check
from vigie_web.metrics import ACCESS_METRICS, PATH
from vigie_web.operations import operations
from vigie_web.state import AppState

from vigie_api import metrics
from vigie_api.admin import keys, tenants, users
from vigie_api.apps import routes as apps
from vigie_api.auth import routes as auth
from vigie_api.auth.browser import routes as browser
from vigie_api.auth.first_start import FirstStartTask
from vigie_api.commands import routes as commands
from vigie_api.commands.orders import Orders, Publish
from vigie_api.dashboard import routes as dashboard
from vigie_api.dashboard.summaries import routes as summaries
from vigie_api.exposition import routes as exposition
from vigie_api.hosts import routes as hosts
from vigie_api.monitoring import routes as monitoring
from vigie_api.node_reports import routes as node_reports
from vigie_api.pipeline import routes as pipeline
from vigie_api.pipeline.bus import Bus
from vigie_api.pipeline.state import PipelineState
from vigie_api.promql.http import routes as promql
from vigie_api.query import routes as query
from vigie_api.reference import routes as reference
from vigie_api.resources import Resources
from vigie_api.series import routes as series
from vigie_api.settings import ApiSettings
from vigie_api.sites import routes as sites
from vigie_api.stats import routes as stats

FEATURES: Final = (
    summaries.FEATURE,
    dashboard.FEATURE,
    query.FEATURE,
    promql.FEATURE,
    series.FEATURE,
    exposition.FEATURE,
    node_reports.FEATURE,
    apps.FEATURE,
    commands.FEATURE,
    hosts.FEATURE,
    sites.FEATURE,
    stats.FEATURE,
    monitoring.FEATURE,
    auth.FEATURE,
    browser.FEATURE,
    tenants.FEATURE,
    users.FEATURE,
    keys.FEATURE,
    pipeline.FEATURE,
    reference.FEATURE,
    operations(PATH),
)
COMMAND_S: Final = 3.0
"""So long who gives a command waits for Kafka: it is stored already."""
_KEPT_ANSWERS: Final = 64
"""A chart of as many points as are allowed takes 20 MB; nothing is kept for longer than `api_answer_cache_s`."""
_STATS_S: Final = 5.0
_KEPT_STATS: Final = 200
"""Last reports that are kept at hand, of half a megabyte each at most."""
_WAITING_QUERIES: Final = 96
"""A dashboard asks for all of its panels at once, and waits for them as long as one query may take."""


def create_app(settings: ApiSettings, *, clock: Clock | None = None) -> FastAPI:
    """The reads, connected while the ASGI lifespan runs; until then they answer 503."""
    measured = MetricSet([*metrics.ALL, *ACCESS_METRICS])
    app = web.create_app(
        AppState[ApiSettings, Resources](settings, measured, clock),
        FEATURES,
        connect,
        service="api",
        title="Vigie API",
        version=version("vigie-api"),
        description="Reads: summaries, dashboards, series, queries and the exposition for Prometheus; and the "
        "administration of tenants, users and keys. Times are UTC; errors are RFC 9457 problem details; a number that "
        "is null has no sample behind it.",
        refused_credentials=metrics.REQUESTS.refused_credentials,
    )
    metrics.REQUESTS.install(app, measured)
    return app


async def connect(state: AppState[ApiSettings, Resources], life: Lifespan) -> Resources:
    """The clients, which find their servers by themselves: the api starts without them."""
    settings, clock = state.settings, state.clock
    shared = await access_control.connect(state, life)
    database, redis, who = shared.database, shared.redis, shared.identity
    watched = (Sites(database), HostAgents(database), MonitoringConfigs(database))
    first_start = await life.enter(
        "first start", FirstStartTask(who, settings, [one.ensure_indexes for one in watched]).running()
    )
    patterns = Expressions()
    catalogue = SeriesCatalogue(database, patterns)
    windows = WindowReader(database, clock, settings.samples_topic, concurrent_reads=settings.api_concurrent_reads)
    limits = Limits(settings.api_max_series, settings.api_max_documents, settings.api_preferred_documents)
    reader = SeriesReader(catalogue, windows, clock, limits)
    latest = LatestReader(database, redis, clock, state.metrics)
    samples = PromqlReader(reader, windows, latest, clock, patterns)
    exposed = state.metrics.gauge(metrics.EXPOSED)
    usage = UsageStore(database, clock)
    pipeline_state = PipelineState(Bus(settings), database, usage, clock)
    life.on_down("pipeline", pipeline_state.close)
    families = FamilyCatalogue(catalogue, clock, settings.api_max_exposed_series, exposed.set)
    return Resources(
        access=shared.access,
        checks=(
            Check("mongodb", lambda: database.command("ping")),
            Check("whole", lambda: refuse_unfinished(database)),  # of a restore that is not done: half of the past
            Check("start", lambda: first_start.done),
            Check("redis", redis.ping, required=False),
        ),
        identity=who,
        first_start=first_start,
        usage=usage,
        pipeline=pipeline_state,
        series=catalogue,
        summaries=Summaries(reader, catalogue, families, latest, clock, settings.api_stale_after_s),
        families=families,
        latest=latest,
        node_reports=NodeReportReader(database),
        app_reports=AppReportReader(database),
        database=database,
        sites=watched[0],
        host_agents=watched[1],
        monitoring=watched[2],
        host_reports=HostReports(database),
        stats=TtlCache[Any](clock, _STATS_S, _KEPT_STATS),
        orders=Orders(database, who.audit, _commands(settings, life, clock)),
        reader=reader,
        samples=samples.of,
        selectors=samples.selectors,
        labels=LabelCatalogue(database),
        expressions=Expressions(settings.api_promql_timeout_s, settings.api_promql_concurrent),
        queries=ConcurrencyLimit(settings.api_promql_concurrent, "queries", _WAITING_QUERIES),
        answers=TtlCache[BaseModel](clock, settings.api_answer_cache_s, _KEPT_ANSWERS),
        scrapes=ConcurrencyLimit(settings.api_concurrent_scrapes, "answers of /metrics"),
        report_pages=ConcurrencyLimit(settings.api_concurrent_reads, "pages of reports"),
    )


def _commands(settings: ApiSettings, life: Lifespan, clock: Clock) -> Publish:
    """Commands onto their log. Kafka is connected to with the first one: all else here does without."""
    records = RecordPublisher(
        lambda: clients.kafka_producer(settings, client_id="vigie-api-commands"),
        settings.commands_topic,
        settings.partitions,
        source="/vigie/api",
        delivery_timeout_s=COMMAND_S,
        clock=clock,
    )
    life.on_down("command publisher", records.close)
    started: list[bool] = []

    async def publish(key: bytes, value: bytes, id_: str) -> None:
        if not started:
            started.append(True)
            await records.start()
        await records.publish(key, value, id_=id_)

    return publish
