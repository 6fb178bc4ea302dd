"""Composition root of healthcheck: the only place that knows concrete clients."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from vigie_contracts.tenants import TenantId
from vigie_contracts.topics import CHECKS, SAMPLES, TARGETS
from vigie_limits.plans import series_limits
from vigie_publishing.metrics import PUBLISHING_METRICS
from vigie_publishing.publishing import Publishing, publishing
from vigie_runtime import logging
from vigie_runtime.bus import topics
from vigie_runtime.bus.log_reader_metrics import LOGREADER_METRICS
from vigie_runtime.clock import Clock
from vigie_runtime.egress import Egress
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage import topics as recorded_topics
from vigie_storage.health.beats import Beats
from vigie_storage.health.states import HealthStates
from vigie_storage.health.targets import TargetStore
from vigie_storage.mongo import patiently
from vigie_storage.series.writer import SeriesWriter
from vigie_web import access_control
from vigie_web import app as web
from vigie_web.access_control import Shared
from vigie_web.bodies import MAX_FILE_BYTES
from vigie_web.health import Check
from vigie_web.metrics import ACCESS_METRICS, PATH
from vigie_web.operations import operations
from vigie_web.state import AppState

from vigie_healthcheck import metrics
from vigie_healthcheck import start as checks
from vigie_healthcheck.api.health import routes as health
from vigie_healthcheck.api.heartbeat import routes as heartbeat
from vigie_healthcheck.api.services import routes as services
from vigie_healthcheck.api.status import routes as status
from vigie_healthcheck.heartbeats import Heartbeats
from vigie_healthcheck.probes.base import Way
from vigie_healthcheck.probes.lookups import Lookups
from vigie_healthcheck.reads import Reads
from vigie_healthcheck.resources import Resources
from vigie_healthcheck.results import RESULTS_METRICS
from vigie_healthcheck.settings import HealthcheckSettings
from vigie_healthcheck.targets import start as targets

log = logging.get(__name__)

State = AppState[HealthcheckSettings, Resources]
FEATURES: Final = (services.FEATURE, health.FEATURE, heartbeat.FEATURE, status.FEATURE, operations(PATH))
"""`/api/health/services/export` before the services by name."""
_KNOWN_SERIES: Final = 200_000
"""Kept in memory: a target has about ten, of about 0.5 kB each."""
_CATALOGUE_WAIT_S: Final = 30.0
"""Nobody waits for an answer, and the first checks of thousands of targets have ten times as many new series."""


def create_app(settings: HealthcheckSettings, *, clock: Clock | None = None) -> FastAPI:
    """Healthcheck, connected while the ASGI lifespan runs; until then its routes answer 503."""
    measured = MetricSet([*metrics.ALL, *RESULTS_METRICS, *ACCESS_METRICS, *PUBLISHING_METRICS, *LOGREADER_METRICS])
    app = web.create_app(
        State(settings, measured, clock),
        FEATURES,
        connect,
        service="healthcheck",
        title="Vigie healthcheck",
        version=version("vigie-healthcheck"),
        description="Targets, whether they answer, and since when not. Times are UTC; errors are RFC 9457 problem "
        "details.",
        refused_credentials=metrics.REQUESTS.refused_credentials,
        max_body_bytes=MAX_FILE_BYTES,
    )
    metrics.REQUESTS.install(app, measured)
    return app


async def connect(state: State, life: Lifespan) -> Resources:
    """Everything in order; the stop goes back in reverse: first who makes work, then who does it, then the clients."""
    settings = state.settings
    shared = await access_control.connect(state, life)
    database, redis, who = shared.database, shared.redis, shared.identity
    wanted = topics.deployed(settings, (SAMPLES, CHECKS, TARGETS))
    identities = await life.up("topics", recorded_topics.ensure(settings, wanted, database))
    samples = await _samples(state, life, shared)
    tenant = TenantId(settings.default_tenant)
    await life.up("identity collections", patiently("preparing identity", lambda: who.prepare(tenant)))
    if not settings.sealing.key_id:
        log.warning("secrets of targets are stored in the clear: set VIGIE_ENCRYPTION_KEYS")
    store = TargetStore(database, state.clock, settings.sealing)
    await life.up("targets", patiently("preparing targets", store.prepare))
    beats = Beats(database)
    await life.up("heartbeats", patiently("preparing heartbeats", beats.prepare))
    book = await targets.start(life, settings, database, who, store, clock=state.clock, metrics=state.metrics)
    way = Way(Egress(settings.allowed_networks, Lookups().addresses), beats=beats)
    running = await checks.start(
        life,
        settings,
        database,
        redis,
        way=way,
        samples=samples.named,
        targets=identities[settings.targets_topic],
        own_urls=[own.target.url for own in settings.own],
        clock=state.clock,
        metrics=state.metrics,
    )
    return Resources(
        access=shared.access,
        checks=(
            Check("mongodb", lambda: database.command("ping")),
            Check("kafka", lambda: samples.bus.ready, required=False),
            Check("targets", lambda: running.ready, required=False),
            Check("redis", redis.ping, required=False),
        ),
        audit=who.audit,
        way=way,
        targetbook=book,
        heartbeats=Heartbeats(beats, HealthStates(database), state.clock, running.runner.look),
        reads=Reads.of(
            database,
            store,
            who.known_tenants,
            state.clock,
            samples_topic=settings.samples_topic,
            look=running.runner.look,
        ),
    )


async def _samples(state: State, life: Lifespan, shared: Shared) -> Publishing:
    """What checks say as numbers goes to the log of samples."""
    settings, clock = state.settings, state.clock
    catalogue = SeriesWriter(shared.database, settings.partitions, series_limits(shared.identity.known_tenants))
    await life.up("series catalogue", patiently("preparing the series catalogue", catalogue.ensure_indexes))
    return await publishing(
        life,
        settings,
        shared.database,
        catalogue,
        service="healthcheck",
        clock=clock,
        metrics=state.metrics,
        known_series=_KNOWN_SERIES,
        catalogue_wait_s=_CATALOGUE_WAIT_S,
    )
