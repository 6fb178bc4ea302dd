"""Composition root of push: the only place that knows concrete clients."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from vigie_contracts.topics import COMMANDS, REPORTS
from vigie_limits.plans import series_limits
from vigie_publishing.metrics import PUBLISHING_METRICS
from vigie_publishing.publishing import publishing, report_publishing
from vigie_runtime import clients
from vigie_runtime.bus import topics
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.clock import Clock
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage import topics as recorded_topics
from vigie_storage.series.writer import SeriesWriter
from vigie_web import access_control
from vigie_web import app as web
from vigie_web.health import Check
from vigie_web.metrics import ACCESS_METRICS, PATH
from vigie_web.operations import operations
from vigie_web.state import AppState

from vigie_push import metrics
from vigie_push.apps.intake import AppIntake
from vigie_push.apps.metrics import APP_METRICS
from vigie_push.channels import registry
from vigie_push.channels.resources import ChannelResources
from vigie_push.hub import Hub
from vigie_push.resources import Resources
from vigie_push.results import ResultIntake
from vigie_push.sessions import Sessions
from vigie_push.settings import PushSettings
from vigie_push.socketio import routes as socketio
from vigie_push.socketio.transport import SocketTransport
from vigie_push.sse import routes as sse
from vigie_push.stats import routes as stats
from vigie_push.websocket import routes as websocket

State = AppState[PushSettings, Resources]
SOCKETS: Final = (websocket.FEATURE, socketio.FEATURE)
FEATURES: Final = (sse.FEATURE, stats.FEATURE, operations(PATH))
"""A transport is a feature: its routes, which open sessions of `Resources.sessions`."""


def create_app(settings: PushSettings, *, clock: Clock | None = None) -> FastAPI:
    """The live feeds, connected while the ASGI lifespan runs; until then they answer 503."""
    measured = MetricSet([*metrics.ALL, *APP_METRICS, *PUBLISHING_METRICS, *ACCESS_METRICS])
    app = web.create_app(
        State(settings, measured, clock),
        [*(SOCKETS if settings.websocket_enabled else ()), *FEATURES],
        connect,
        service="push",
        title="Vigie push",
        version=version("vigie-push"),
        description="What changes, as it changes: WebSocket, Socket.IO and server-sent events. Times are UTC; errors "
        "are RFC 9457 problem details.",
        refused_credentials=metrics.REQUESTS.refused_credentials,
    )
    metrics.REQUESTS.install(app, measured)
    return app


async def connect(state: State, life: Lifespan) -> Resources:
    """Everything in order; the stop goes back in reverse: first who makes work, then who does it, then the clients."""
    settings, clock = state.settings, state.clock
    shared = await access_control.connect(state, life, count_usage=True)
    database, redis = shared.database, shared.redis
    await life.up("topics", recorded_topics.ensure(settings, topics.deployed(settings, (REPORTS, COMMANDS)), database))
    resources = ChannelResources(settings, database, redis, clock, state.metrics)
    life.on_down("summaries", resources.board.close)
    counted = metrics.PushMetrics(state.metrics)
    hub = Hub(registry.channels(resources), clock, counted, settings.push_tenant_topics)
    life.on_down("hub", hub.close)
    for source in registry.sources(resources, hub):
        hub.add_source(source)
        life.run(source.name, source.run(), source.stop)
    sessions = Sessions(settings, shared.access, hub, clock, counted)
    life.run("sessions", sessions.run(), sessions.stop)
    counted.watch(sessions, hub)
    socket_io = SocketTransport(sessions, clock) if settings.websocket_enabled else None
    if socket_io is not None:
        life.on_down("socket.io", socket_io.close)
    app_metrics = await _app_metrics(state, life, shared)
    return Resources(
        access=shared.access,
        checks=(
            Check("mongodb", lambda: database.command("ping")),
            Check("redis", redis.ping, required=False),
        ),
        hub=hub,
        sessions=sessions,
        app_metrics=app_metrics,
        results=await _results(state, life),
        socket_io=socket_io,
    )


async def _results(state: State, life: Lifespan) -> ResultIntake:
    """What takes the results of commands."""
    settings = state.settings
    records = RecordPublisher(
        lambda: clients.kafka_producer(settings, client_id="vigie-push-results"),
        settings.commands_topic,
        settings.partitions,
        source="/vigie/push",
        clock=state.clock,
        metrics=state.metrics,
    )
    await life.up("result publisher", records.start())
    life.on_down("result publisher", records.close)

    async def publish(key: bytes, value: bytes, id_: str) -> None:
        await records.publish(key, value, id_=id_)

    return ResultIntake(publish, state.clock)


async def _app_metrics(state: State, life: Lifespan, shared: access_control.Shared) -> AppIntake:
    """What takes the metrics of apps. Ingest makes the topics, the catalogue and the indexes that this needs."""
    settings, clock, measured = state.settings, state.clock, state.metrics
    catalogue = SeriesWriter(shared.database, settings.partitions, series_limits(shared.identity.known_tenants))
    samples = await publishing(
        life, settings, shared.database, catalogue, service="push", clock=clock, metrics=measured
    )
    reports = await report_publishing(life, settings, samples.named, service="push", clock=clock, metrics=measured)
    intake = AppIntake(reports, shared.access.rates, clock, measured, max_age_ms=settings.report_retention_ms)
    life.on_down("app metrics", intake.close)
    return intake
