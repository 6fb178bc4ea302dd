"""What changes targets, and the order in which it comes up: the book, its publisher, Vigie's own, and the file."""

from __future__ import annotations

from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_identity.identity import Identity
from vigie_publishing.documents import DocumentPublisher
from vigie_runtime import clients
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage.health.beats import Beats
from vigie_storage.health.targets import TargetStore

from vigie_healthcheck.settings import HealthcheckSettings
from vigie_healthcheck.targets.keeping_own import KeepingOwn
from vigie_healthcheck.targets.targetbook import Targetbook
from vigie_healthcheck.targets.watching import WatchedFile

_SOURCE: Final = "/vigie/healthcheck"


async def start(
    life: Lifespan, settings: HealthcheckSettings, database: Database, who: Identity, store: TargetStore, *,
    clock: Clock, metrics: MetricSet,
) -> Targetbook:  # fmt: skip
    """`store` is prepared. `metrics` declares what publishers count."""
    records = RecordPublisher(
        lambda: clients.kafka_producer(settings, client_id="vigie-healthcheck-targets"),
        settings.targets_topic,
        settings.partitions,
        source=_SOURCE,
        clock=clock,
        metrics=metrics,
    )
    await life.up("target publisher", records.start())
    life.on_down("target publisher", records.close)
    publisher = DocumentPublisher(store.outgoing, records.publish, clock)
    life.run("targets to publish", publisher.run(), publisher.stop)
    book = Targetbook(database, store, Beats(database), who, clock=clock, wake=publisher.wake)
    default = TenantId(settings.default_tenant)
    if settings.probe_region:  # who judges keeps these
        return book
    own = KeepingOwn(book, default, settings.own)
    life.run("own targets", own.run(), own.stop)
    if settings.targets_file:
        watched = WatchedFile(book, default, settings.targets_file)
        await life.up("targets of the file", watched.load())
        life.run("file of targets", watched.run(), watched.stop)
    return book
