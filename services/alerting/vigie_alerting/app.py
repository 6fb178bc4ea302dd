"""Composition root of alerting: the only place that knows concrete clients."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from functools import partial
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from vigie_contracts.tenants import TenantId
from vigie_contracts.topics import RULES, SAMPLES
from vigie_identity.pages import MAX_PAGE, PageRequest
from vigie_identity.tenants import Status, Tenants
from vigie_limits.plans import series_limits
from vigie_publishing.documents import DocumentPublisher
from vigie_publishing.metrics import PUBLISHING_METRICS
from vigie_publishing.publishing import publishing
from vigie_runtime import clients, logging
from vigie_runtime.bus import topics
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.expressions import Expressions
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage import topics as recorded_topics
from vigie_storage.alerts.live import LiveFeed
from vigie_storage.latest import LatestReader
from vigie_storage.mongo import retryable
from vigie_storage.promql.reader import PromqlReader
from vigie_storage.promql.selection import SelectorReader
from vigie_storage.reader import Limits, SeriesReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.writer import SeriesWriter
from vigie_storage.windows.reader import WindowReader
from vigie_web import access_control
from vigie_web import app as web
from vigie_web.bodies import MAX_FILE_BYTES
from vigie_web.health import Check
from vigie_web.metrics import ACCESS_METRICS, PATH
from vigie_web.operations import operations
from vigie_web.state import AppState

from vigie_alerting import metrics
from vigie_alerting.alerts.desk import Desk
from vigie_alerting.announcer import UNANNOUNCED, Announcer
from vigie_alerting.api.alerts import routes as alerts
from vigie_alerting.api.channels import routes as channels_
from vigie_alerting.api.inhibitions import routes as inhibitions
from vigie_alerting.api.maintenance import routes as maintenance
from vigie_alerting.api.oncall import routes as oncall_
from vigie_alerting.api.preview import routes as preview
from vigie_alerting.api.prometheus import routes as prometheus
from vigie_alerting.api.routing import routes as routing
from vigie_alerting.api.rules import routes as rules
from vigie_alerting.api.silences import routes as silences
from vigie_alerting.api.time_intervals import routes as time_intervals
from vigie_alerting.backtest.backtester import Backtester
from vigie_alerting.channels.channelbook import Channelbook
from vigie_alerting.channels.channels import Channels
from vigie_alerting.engine import start as engine
from vigie_alerting.engine.metrics import ENGINE_METRICS, count_transitions
from vigie_alerting.engine.start import MAX_SERIES, RunningEngine
from vigie_alerting.escalation.start import plan as plan_on_call
from vigie_alerting.escalation.start import start as start_on_call
from vigie_alerting.mutes import Mutes
from vigie_alerting.notifiers.http import Http
from vigie_alerting.notifiers.registry import notifiers
from vigie_alerting.notifiers.resources import Resources as NotifierResources
from vigie_alerting.notifying.metrics import NOTIFYING_METRICS
from vigie_alerting.notifying.muters import muters
from vigie_alerting.notifying.start import Stages
from vigie_alerting.notifying.start import start as start_notifying
from vigie_alerting.resources import Resources, RuleHealth
from vigie_alerting.routing.importing.storing import Imports
from vigie_alerting.routing.routebook import Routebook
from vigie_alerting.rulebook.compiled import CompiledRules
from vigie_alerting.rulebook.rulebook import Rulebook
from vigie_alerting.rulebook.shipping import Shipping
from vigie_alerting.sender.failpoints import from_environment
from vigie_alerting.sender.metrics import SENDER_METRICS
from vigie_alerting.settings import AlertingSettings
from vigie_alerting.snapshots import Watch
from vigie_alerting.stores import Stores

log = logging.get(__name__)

State = AppState[AlertingSettings, Resources]
FEATURES: Final = (
    rules.FEATURE,
    preview.FEATURE,
    channels_.FEATURE,
    routing.FEATURE,
    silences.FEATURE,
    maintenance.FEATURE,
    inhibitions.FEATURE,
    time_intervals.FEATURE,
    alerts.FEATURE,
    oncall_.FEATURE,
    prometheus.FEATURE,
    operations(PATH),
)
"""`/api/alerts/{alert}` after those whose paths begin alike."""
_SOURCE: Final = "/vigie/alerting"
_READS: Final = 4
_KNOWN_SERIES: Final = 100_000
"""Of recording rules, kept in memory: about 0.5 kB each."""
_LIMITS: Final = Limits(MAX_SERIES, 20_000, 5_000)
"""Of one question about the past."""


def create_app(settings: AlertingSettings, *, clock: Clock | None = None) -> FastAPI:
    """Alerting, connected while the ASGI lifespan runs; until then its routes answer 503."""
    measured = MetricSet(
        [
            *metrics.ALL,
            *ACCESS_METRICS,
            *PUBLISHING_METRICS,
            *SENDER_METRICS,
            *NOTIFYING_METRICS,
            *ENGINE_METRICS,
            UNANNOUNCED,
        ]
    )
    app = web.create_app(
        State(settings, measured, clock),
        FEATURES,
        connect,
        service="alerting",
        title="Vigie alerting",
        version=version("vigie-alerting"),
        description="Rules, alerts and the channels through which people are told of them. Times are UTC; errors are "
        "RFC 9457 problem details, those of `/api/v1/` as Prometheus has them.",
        refused_credentials=metrics.REQUESTS.refused_credentials,
        max_body_bytes=MAX_FILE_BYTES,
    )
    metrics.REQUESTS.install(app, measured)
    return app


async def connect(state: State, life: Lifespan) -> Resources:
    """Everything in order; the stop goes back in reverse: first who makes work, then who does it, then the clients."""
    settings, clock = state.settings, state.clock
    shared = await access_control.connect(state, life)
    database, redis, who = shared.database, shared.redis, shared.identity
    stores = Stores.of(settings, database, clock)
    with retryable("starting"):
        wanted = topics.deployed(settings, (SAMPLES, RULES))
        identities = await life.up("topics", recorded_topics.ensure(settings, wanted, database))
        catalogue = SeriesWriter(database, settings.partitions, series_limits(who.known_tenants))
        await life.up("series catalogue", catalogue.ensure_indexes())
    await life.up("identity collections", who.prepare(TenantId(settings.default_tenant)))
    await life.up("collections", stores.prepare(settings))
    if not settings.sealing.key_id:
        log.warning("secrets of channels are stored in the clear: set VIGIE_ENCRYPTION_KEYS")
    http = Http(settings.callable_networks, clock)
    life.on_down("webhooks", http.aclose)
    watch = Watch(stores.configuration.changed_since, clock)
    life.run("configuration", watch.run(), watch.stop)
    patterns = Expressions()
    mutes = Mutes.of(database, stores, who.audit, watch, clock=clock, patterns=patterns)
    live = LiveFeed(redis)
    tools = NotifierResources(settings, http, live.publish, clock, ssl.create_default_context())
    kinds = notifiers(tools)
    channels = Channels(stores.channels, kinds, tools)
    routebook = Routebook(
        database, stores.configuration, stores.channels, audit=who.audit, watch=watch, resources=tools
    )
    announcer = Announcer(live, clock, state.metrics)
    life.run("announcer", announcer.run(), announcer.stop)
    count = partial(count_transitions, state.metrics)
    planned, asked, failpoint = plan_on_call(stores, watch, clock), muters(mutes), from_environment()
    escalations = planned.escalations
    stages = Stages(
        routebook.held, asked, escalations.begin, (escalations.moved,),
        stored=(count, announcer.announce, mutes.inhibited.stored, escalations.stored),
    )  # fmt: skip
    sessions = database.client.start_session(), database.client.start_session()
    for one in sessions:
        life.on_down("a session", one.end_session)
    notifying = start_notifying(
        life, stores, channels, stages, settings=settings, database=database, kinds=kinds, watch=watch,
        session=sessions[0], failpoint=failpoint, clock=clock, metrics=state.metrics,
    )  # fmt: skip
    oncall = start_on_call(
        life, planned, db=database, stores=stores, channels=channels, routes=routebook.held, muters=asked,
        watch=watch, audit=who.audit, sender=notifying.sender.wake, session=sessions[1],
        failpoint=failpoint, clock=clock, metrics=state.metrics,
    )  # fmt: skip

    async def receivers_of(tenant: TenantId, channel: str) -> list[str]:
        return [*await routebook.receivers_of(tenant, channel), *await oncall.book.users_of(tenant, channel)]

    dispatcher = notifying.dispatcher
    records = await _records(state, life)
    publisher = DocumentPublisher(stores.rules.outgoing, records.publish, clock)
    life.run("rules to publish", publisher.run(), publisher.stop)
    rulebook = Rulebook(database, stores.rules, who, clock, publisher.wake)
    shipping = Shipping(stores.rules, rulebook.make_shipped, lambda: _active(who.tenants))
    life.run("shipped rules", shipping.run(), shipping.stop)
    compiled = CompiledRules()
    recordings = await publishing(
        life,
        settings,
        database,
        catalogue,
        service="alerting",
        clock=clock,
        metrics=state.metrics,
        known_series=_KNOWN_SERIES,
    )
    reader = _reader(state, database, LatestReader(database, redis, clock, state.metrics), patterns)
    running = await engine.start(
        life,
        settings,
        database,
        states=stores.states,
        dispatcher=dispatcher,
        reader=reader,
        publish=recordings.named.publish,
        identities=identities,
        clock=clock,
        metrics=state.metrics,
        sessions=sessions,
    )
    return Resources(
        access=shared.access,
        checks=(
            Check("mongodb", lambda: database.command("ping")),
            Check("kafka", lambda: records.ready, required=False),
            Check("rules", lambda: running.ready, required=False),
            Check("redis", redis.ping, required=False),
        ),
        audit=who.audit,
        stores=stores,
        watch=watch,
        mutes=mutes,
        rulebook=rulebook,
        compiled=compiled,
        channels=channels,
        channelbook=Channelbook(
            database, stores.channels, stores.rules, receivers_of, audit=who.audit, resources=tools
        ),
        routebook=routebook,
        imports=Imports(
            routebook, stores.configuration, stores.channels, audit=who.audit, watch=watch, resources=tools
        ),
        dispatcher=dispatcher,
        desk=Desk(stores.states, stores.rules, compiled, dispatcher),
        oncall=oncall,
        notifiers=tools,
        selectors=SelectorReader(SeriesCatalogue(database, patterns), patterns, clock, MAX_SERIES),
        # Without inhibition, whose sources are alerts that fire now.
        backtester=Backtester(reader, routebook.held.of, (mutes.maintained, mutes.silenced, mutes.inactive), clock),
        health=lambda rule_id: health_of(running, rule_id),
    )


def _reader(state: State, database: Database, latest: LatestReader, patterns: Expressions) -> PromqlReader:
    """Of the past: what rules missed while nobody evaluated them."""
    windows = WindowReader(database, state.clock, state.settings.samples_topic, concurrent_reads=_READS)
    series = SeriesReader(SeriesCatalogue(database, patterns), windows, state.clock, _LIMITS)
    return PromqlReader(series, windows, latest, state.clock, patterns)


async def _records(state: State, life: Lifespan) -> RecordPublisher:
    """To the log of rules."""
    settings = state.settings
    records = RecordPublisher(
        lambda: clients.kafka_producer(settings, client_id="vigie-alerting-rules"),
        settings.rules_topic,
        settings.partitions,
        source=_SOURCE,
        clock=state.clock,
        metrics=state.metrics,
    )
    await life.up("rule publisher", records.start())
    life.on_down("rule publisher", records.close)
    return records


def health_of(running: RunningEngine, rule_id: str) -> RuleHealth | None:
    """How the last evaluation of a rule went; None where another process evaluates it."""
    if reason := running.runner.refused.get(rule_id):
        return RuleHealth(0, 0.0, reason)
    rule = running.engine.rules.get(rule_id)
    if rule is None or not rule.evaluated_ms:
        return None
    error = rule.error or running.recorder.problems.get(rule_id, "")
    return RuleHealth(rule.evaluated_ms, rule.took_ms, error, rule.due_ms)


async def _active(tenants: Tenants) -> AsyncIterator[Sequence[TenantId]]:
    cursor: str | None = None
    while True:
        page = await tenants.page(PageRequest(MAX_PAGE, cursor), status=Status.ACTIVE)
        yield [one.id for one in page.items]
        if (cursor := page.cursor) is None:
            return
