"""What mutes alerts, put together: how it is changed, and the stages of the pipeline that go by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from vigie_contracts.decisions import Why
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Audit
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.expressions import Expressions
from vigie_storage.alerts.configuration import Configuration, Kind

from vigie_alerting.configbook import Configbook
from vigie_alerting.inhibiting import InhibitionMuting
from vigie_alerting.inhibition import MAX_INHIBITIONS, Inhibition, Inhibitions
from vigie_alerting.maintenance import MAX_WINDOWS, MaintenanceWindow
from vigie_alerting.named import Named
from vigie_alerting.silences.index import Index
from vigie_alerting.silences.model import MAX_SILENCES, Silence
from vigie_alerting.silences.muting import Held, TimedMuting, index_of
from vigie_alerting.silences.preview import Previews
from vigie_alerting.silences.silencebook import Silencebook
from vigie_alerting.snapshots import Watch
from vigie_alerting.stores import Stores
from vigie_alerting.times.interval import MAX_INTERVALS, TimeInterval
from vigie_alerting.times.muting import InactiveTimes


@dataclass(frozen=True, slots=True)
class Mutes:
    """Of all tenants."""

    silences: Configuration[Silence]
    silencebook: Silencebook
    previews: Previews
    maintenance: Named[MaintenanceWindow]
    inhibitions: Named[Inhibition]
    intervals: Named[TimeInterval]

    silenced: TimedMuting
    maintained: TimedMuting
    inhibited: InhibitionMuting
    inactive: InactiveTimes

    @classmethod
    def of(
        cls, db: Database, stores: Stores, audit: Audit, watch: Watch, *, clock: Clock, patterns: Expressions
    ) -> Self:
        """`watch`: what drops what others change; `patterns`: where expressions are tried on the past."""
        store = stores.configuration
        silences = store.of(Kind.SILENCE, Silence, MAX_SILENCES)
        windows = store.of(Kind.MAINTENANCE, MaintenanceWindow, MAX_WINDOWS)
        inhibitions = store.of(Kind.INHIBITION, Inhibition, MAX_INHIBITIONS)
        intervals = store.of(Kind.TIME_INTERVAL, TimeInterval, MAX_INTERVALS)

        async def held_silences(tenant: TenantId) -> Index[Held]:
            found = await silences.all(tenant)
            return index_of(((one.value.matchers, _held_silence(one.name, one.value)) for one in found), clock.now_ms())

        async def held_windows(tenant: TenantId) -> Index[Held]:
            found = await windows.all(tenant)
            return index_of(((one.value.matchers, _held_window(one.name, one.value)) for one in found), clock.now_ms())

        async def held_inhibitions(tenant: TenantId) -> Inhibitions:
            return Inhibitions((one.name, one.value) for one in await inhibitions.all(tenant))

        async def held_intervals(tenant: TenantId) -> Mapping[str, TimeInterval]:
            return {one.name: one.value for one in await intervals.all(tenant)}

        held = watch.hold(held_silences, Kind.SILENCE)
        previews = Previews(stores.ledger, stores.states, patterns, clock)
        return cls(
            silences,
            Silencebook(silences, Configbook(db, silences, audit, watch), held, previews, clock),
            previews,
            Named(
                windows, Configbook(db, windows, audit, watch), "maintenance window",
                changed=Action.MAINTENANCE_CHANGED, deleted=Action.MAINTENANCE_DELETED,
            ),
            Named(
                inhibitions, Configbook(db, inhibitions, audit, watch), "inhibition",
                changed=Action.INHIBITION_CHANGED, deleted=Action.INHIBITION_DELETED,
            ),
            Named(
                intervals, Configbook(db, intervals, audit, watch), "time interval",
                changed=Action.TIME_INTERVAL_CHANGED, deleted=Action.TIME_INTERVAL_DELETED,
            ),
            TimedMuting(held, Why.SILENCED),
            TimedMuting(watch.hold(held_windows, Kind.MAINTENANCE), Why.MAINTENANCE),
            InhibitionMuting(watch.hold(held_inhibitions, Kind.INHIBITION), stores.states, clock),
            InactiveTimes(watch.hold(held_intervals, Kind.TIME_INTERVAL)),
        )  # fmt: skip


def _held_silence(name: str, silence: Silence) -> Held:
    return Held(name, silence.timing, silence.said, silence.comment)


def _held_window(name: str, window: MaintenanceWindow) -> Held:
    return Held(name, window.timing, f"in the maintenance {name!r}", window.comment)
