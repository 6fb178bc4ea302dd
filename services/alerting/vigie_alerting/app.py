"""Composition root of alerting: the only place that knows concrete clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from vigie_contracts.tenants import TenantId
from vigie_contracts.topics import RULES, SAMPLES
from vigie_identity.audit import Audit
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
from vigie_storage.alerts.configuration import Kind
from vigie_storage.latest import LatestReader
from vigie_storage.mongo import patiently
from vigie_storage.promql.reader import PromqlReader
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

from vigie_alerting import metrics, telling
from vigie_alerting.alerts.desk import Desk
from vigie_alerting.announcer import UNANNOUNCED
from vigie_alerting.api.alertmanager import routes as alertmanager
from vigie_alerting.api.alertmanager import silences as alertmanager_silences
from vigie_alerting.api.alerts import routes as alerts
from vigie_alerting.api.channels import routes as channels_
from vigie_alerting.api.history import routes as history
from vigie_alerting.api.inhibitions import routes as inhibitions
from vigie_alerting.api.maintenance import routes as maintenance
from vigie_alerting.api.oncall import routes as oncall_
from vigie_alerting.api.preview import routes as preview
from vigie_alerting.api.prometheus import routes as prometheus
from vigie_alerting.api.routing import routes as routing
from vigie_alerting.api.rules import routes as rules
from vigie_alerting.api.silences import routes as silences
from vigie_alerting.api.slack import routes as slack
from vigie_alerting.api.slos import routes as slos
from vigie_alerting.api.supervision import routes as supervision
from vigie_alerting.api.time_intervals import routes as time_intervals
from vigie_alerting.backtest.backtester import Backtester
from vigie_alerting.canary import CANARY_METRICS
from vigie_alerting.configbook import Configbook
from vigie_alerting.engine import start as engine
from vigie_alerting.engine.metrics import ENGINE_METRICS
from vigie_alerting.engine.start import MAX_SERIES, RunningEngine
from vigie_alerting.external.ending import Ending
from vigie_alerting.external.intake import Intake
from vigie_alerting.external.metrics import EXTERNAL_METRICS
from vigie_alerting.notifying.metrics import NOTIFYING_METRICS
from vigie_alerting.resources import Resources, RuleHealth
from vigie_alerting.rulebook.compiled import CompiledRules
from vigie_alerting.rulebook.rulebook import Rulebook
from vigie_alerting.rulebook.shipping import Shipping
from vigie_alerting.rules.shipped import of_installation
from vigie_alerting.sender.metrics import SENDER_METRICS
from vigie_alerting.settings import AlertingSettings
from vigie_alerting.slack.interactions import Interactions
from vigie_alerting.slack.people import People
from vigie_alerting.slack.presses import Presses, Tools
from vigie_alerting.slack.replays import Replays
from vigie_alerting.slack.web_api import WebApi
from vigie_alerting.slos import model
from vigie_alerting.slos.slobook import Slobook
from vigie_alerting.snapshots import Watch
from vigie_alerting.stores import Stores
from vigie_alerting.supervision.follower import SupervisionFollower

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
    supervision.FEATURE,
    history.FEATURE,
    slack.FEATURE,
    oncall_.FEATURE,
    prometheus.FEATURE,
    alertmanager.FEATURE,
    alertmanager_silences.FEATURE,
    slos.FEATURE,
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
            *EXTERNAL_METRICS,
            *CANARY_METRICS,
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
        "RFC 9457 problem details, those of `/api/v1/` as Prometheus has them, those of `/api/v2/` as "
        "Alertmanager has them.",
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
    wanted = topics.deployed(settings, (SAMPLES, RULES))
    identities = await life.up("topics", recorded_topics.ensure(settings, wanted, database))
    catalogue = SeriesWriter(database, settings.partitions, series_limits(who.known_tenants))
    await life.up("series catalogue", patiently("preparing the series catalogue", catalogue.ensure_indexes))
    tenant = TenantId(settings.default_tenant)
    await life.up("identity collections", patiently("preparing identity", lambda: who.prepare(tenant)))
    await life.up("collections", patiently("preparing the collections", lambda: stores.prepare(settings)))
    if not settings.sealing.key_id:
        log.warning("secrets of channels are stored in the clear: set VIGIE_ENCRYPTION_KEYS")
    patterns = Expressions()
    told = telling.start(state, life, shared, stores, patterns)
    dispatcher, mutes = told.dispatcher, told.mutes
    # Without inhibition, whose sources are alerts that fire now.
    of_the_past = [one.of_the_past for one in (mutes.maintained, mutes.silenced, mutes.inactive)]
    ending = Ending(stores.states, dispatcher, clock)
    life.run("ends of alerts from outside", ending.run(), ending.stop)
    records = await _records(state, life)
    publisher = DocumentPublisher(stores.rules.outgoing, records.publish, clock)
    life.run("rules to publish", publisher.run(), publisher.stop)
    rulebook = Rulebook(database, stores.rules, who, clock, publisher.wake)
    shipping = Shipping(stores.rules, partial(_ship, settings, rulebook), lambda: _active(who.tenants))
    life.run("shipped rules", shipping.run(), shipping.stop)
    following = SupervisionFollower(database, stores.rules, rulebook)
    life.run("rules on hosts", following.run(), following.stop)
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
    latest = LatestReader(database, redis, clock, state.metrics)
    reader = _reader(state, database, latest, patterns)
    # Of whoever asks over HTTP: what they read does not wait before what rules missed.
    asked = _reader(state, database, latest, patterns)
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
        sessions=told.sessions,
        owning=told.owning.begin,
    )
    if settings.alerting_canary:
        flying = told.canary.run(
            dispatcher.dispatch,
            recordings.named.publish,
            stores.groups.forget_idle,
            TenantId(settings.default_tenant),
        )
        life.run("canary", flying, told.canary.stop)
    desk = Desk(stores.states, stores.rules, compiled, dispatcher)
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
        watch=told.watch,
        mutes=mutes,
        rulebook=rulebook,
        slobook=_slobook(database, stores, who.audit, told.watch, rulebook=rulebook, reader=asked, patterns=patterns),
        compiled=compiled,
        channels=told.channels,
        channelbook=told.channelbook,
        routebook=told.routebook,
        imports=told.imports,
        dispatcher=dispatcher,
        desk=desk,
        intake=Intake(stores.states, dispatcher, clock, state.metrics),
        oncall=told.oncall,
        slack=_slack(state, life, told, stores, Replays(redis, clock, state.metrics), desk=desk, audit=who.audit),
        notifiers=told.notifiers,
        patterns=patterns,
        selectors=asked.selectors,
        backtester=Backtester(asked, told.routebook.held.of, of_the_past, clock),
        health=lambda rule_id: health_of(running, rule_id),
        started_ms=clock.now_ms(),
    )


def _slack(
    state: State, life: Lifespan, told: telling.Telling, stores: Stores, replays: Replays, *, desk: Desk, audit: Audit
) -> Interactions:
    """Who answers the presses of buttons."""
    tools = Tools(desk, told.mutes.silencebook, told.oncall.by_hand, told.standing, audit, state.clock)
    people = People(WebApi(told.http), told.oncall.held, state.clock)
    made = Interactions(
        stores.messages, told.channels.by_key,
        replays=replays, people=people, presses=Presses(tools), http=told.http, clock=state.clock,
    )  # fmt: skip
    life.on_down("presses in Slack", made.close)
    return made


def _slobook(
    database: Database,
    stores: Stores,
    audit: Audit,
    watch: Watch,
    *,
    rulebook: Rulebook,
    reader: PromqlReader,
    patterns: Expressions,
) -> Slobook:
    slos_ = stores.configuration.of(Kind.SLO, model.Slo, model.MAX_SLOS)
    return Slobook(slos_, Configbook(database, slos_, audit, watch), rulebook, reader, patterns)


async def _ship(settings: AlertingSettings, rulebook: Rulebook, tenant: TenantId) -> None:
    """The rules of a new tenant, of whoever runs Vigie also those about Vigie."""
    own = settings.alerting_canary and tenant == settings.default_tenant
    await rulebook.make_shipped(tenant, of_installation(tenant) if own else ())


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
