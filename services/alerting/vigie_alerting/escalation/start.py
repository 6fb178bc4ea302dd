"""Starts what tells the people on call: the steps of chains that are due, and hand-overs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vigie_contracts.alerts import Channel
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Audit
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage.alerts.configuration import Kind
from vigie_storage.mongo import Session

from vigie_alerting.channels.channels import Channels
from vigie_alerting.escalation.by_hand import ByHand
from vigie_alerting.escalation.escalations import Escalations
from vigie_alerting.escalation.escalator import Escalator
from vigie_alerting.escalation.oncall import OnCall, OnCallStore
from vigie_alerting.escalation.oncallbook import OnCallBook
from vigie_alerting.escalation.reaching import Reaching
from vigie_alerting.notifying.metrics import NotifyingMetrics
from vigie_alerting.notifying.muting import Muter
from vigie_alerting.notifying.start import Owning
from vigie_alerting.routing.routebook import Routebook
from vigie_alerting.schedules.handovers import Handovers
from vigie_alerting.sender.failpoints import Failpoint
from vigie_alerting.snapshots import Snapshots, Watch
from vigie_alerting.stores import Stores


@dataclass(frozen=True, slots=True)
class Planned:
    """What a tenant has configured, and what belongs to the transactions that store steps of alerts."""

    store: OnCallStore
    held: Snapshots[OnCall]
    escalations: Escalations


@dataclass(frozen=True, slots=True)
class OnCallResources:
    """What routes work with."""

    store: OnCallStore
    held: Snapshots[OnCall]
    book: OnCallBook
    by_hand: ByHand


def plan(stores: Stores, watch: Watch, clock: Clock) -> Planned:
    """Nothing runs yet."""
    store = OnCallStore(stores.configuration, stores.escalations)
    held = watch.hold(store.load, Kind.SCHEDULE, Kind.PERSON, Kind.CHAIN)
    return Planned(store, held, Escalations(stores.escalations, held, stores.ledger, stores.decisions, clock))


def start(
    life: Lifespan,
    planned: Planned,
    *,
    db: Database,
    stores: Stores,
    channels: Channels,
    routebook: Routebook,
    muters: Sequence[Muter],
    watch: Watch,
    audit: Audit,
    sender: Callable[[], None],
    touched: Callable[[], None],
    session: Session,
    owning: Owning,
    failpoint: Failpoint,
    clock: Clock,
    metrics: MetricSet,
) -> OnCallResources:
    """Until the end of `life`. `sender` is woken when there is something to send, `touched` when messages are to be
    edited; escalations are stored in `session`; `metrics` declares NOTIFYING_METRICS."""
    reaching = Reaching(channels)

    async def default(tenant: TenantId) -> Sequence[Channel]:
        known = await routebook.held.of(tenant)
        return known.receiver(known.default).channels if known.default else ()

    async def chain_users(tenant: TenantId, chain: str) -> list[str]:
        return [f"receiver {name!r} of the routes" for name in await routebook.receivers_in(tenant, chain)]

    escalator = Escalator(
        db, stores.escalations, planned.held, reaching,
        states=stores.states, ledger=stores.ledger, decisions=stores.decisions, muters=muters, default=default,
        sender=sender, touch=stores.messages.touch, touched=touched, session=session, clock=clock,
        metrics=NotifyingMetrics(metrics), failpoint=failpoint,
    )  # fmt: skip
    owning.run(life, "escalations", escalator.run, escalator.stop)
    planned.escalations.wake = escalator.wake
    handovers = Handovers(db, stores.handovers, planned.store, reaching, stores.ledger, sender=sender, clock=clock)
    life.run("hand-overs", handovers.run(), handovers.stop)
    book = OnCallBook(
        db, planned.store, audit, watch, stores.handovers,
        channels=channels, chain_users=chain_users, clock=clock, wake=handovers.wake,
    )  # fmt: skip
    by_hand = ByHand(db, stores.escalations, audit, escalator.wake, clock)
    return OnCallResources(planned.store, planned.held, book, by_hand)
