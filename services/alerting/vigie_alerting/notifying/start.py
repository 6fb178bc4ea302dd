"""Starts what stands between a transition and its receivers: the sender, the flusher of groups, and the dispatcher that
hands transitions to both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from vigie_contracts.alerts import Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage.alerts.configuration import Kind
from vigie_storage.mongo import Session

from vigie_alerting.canary import looked_up
from vigie_alerting.channels.channels import Channels
from vigie_alerting.dispatch import Dispatcher, Inside
from vigie_alerting.notifiers.base import Notifier
from vigie_alerting.notifying.flusher import Flusher
from vigie_alerting.notifying.metrics import NotifyingMetrics
from vigie_alerting.notifying.muting import Muter
from vigie_alerting.notifying.pipeline import Begin, Pipeline
from vigie_alerting.notifying.pipeline import Stores as Kept
from vigie_alerting.routing.tree import Routes
from vigie_alerting.sender.delivery import Delivery
from vigie_alerting.sender.failpoints import Failpoint
from vigie_alerting.sender.metrics import SenderMetrics
from vigie_alerting.sender.sender import Sender
from vigie_alerting.settings import AlertingSettings
from vigie_alerting.snapshots import Snapshots, Watch
from vigie_alerting.stores import Stores

_DECIDES: Final = (Kind.ROUTES, Kind.SILENCE, Kind.INHIBITION, Kind.TIME_INTERVAL, Kind.MAINTENANCE)
"""Kinds of configuration by which something that is held may be told."""
PATIENCE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Stages:
    """What decides, by the packages that do: who is told, what is muted, what escalates."""

    routes: Snapshots[Routes]
    muters: Sequence[Muter] = ()
    begin: Begin | None = None
    inside: Sequence[Inside] = ()
    stored: Sequence[Callable[[Sequence[Transition]], None]] = ()
    """Hear of transitions that were stored."""


@dataclass(frozen=True, slots=True)
class Notifying:
    """What runs."""

    dispatcher: Dispatcher
    sender: Sender
    flusher: Flusher


class Owning:
    """Whether this process has taken rules over: from then on, whoever takes them from it when it is killed ends its
    transactions. What stores something on its own account begins then, or after PATIENCE_S: replicas may be more than
    there are partitions of rules."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """It has; or there is nothing to wait for any more."""
        self._begun.set()

    def run(
        self, life: Lifespan, name: str, work: Callable[[], Coroutine[Any, Any, None]], stop: Callable[[], None]
    ) -> None:
        """As `Lifespan.run`."""

        async def later() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await self._begun.wait()
            await work()

        def end() -> None:
            stop()
            self.begin()

        life.run(name, later(), end)


def start(
    life: Lifespan,
    stores: Stores,
    channels: Channels,
    stages: Stages,
    *,
    settings: AlertingSettings,
    database: Database,
    kinds: Mapping[str, Notifier],
    watch: Watch,
    session: Session,
    owning: Owning,
    failpoint: Failpoint,
    clock: Clock,
    metrics: MetricSet,
) -> Notifying:
    """Until the end of `life`. `session`: in which groups are stored. `metrics` declares SENDER_METRICS and
    NOTIFYING_METRICS."""
    sender = Sender(
        stores.outbox,
        Delivery(kinds, settings.external_url, failpoint),
        looked_up(channels.lookup),
        clock=clock,
        retry_for=settings.retry_for,
        metrics=SenderMetrics(metrics),
        failpoint=failpoint,
    )
    life.run("sender", sender.run(), sender.stop)
    kept = Kept(stores.ledger, stores.groups, stores.decisions)

    async def decided(tenant: TenantId) -> bool:  # by what is configured too: any replica may make a group by it
        return await stores.groups.any(tenant) or await stores.configuration.any(tenant, _DECIDES)

    known = watch.hold(decided, *_DECIDES)
    pipeline = Pipeline(kept, channels, stages.routes, known, muters=stages.muters, begin=stages.begin)
    measured = NotifyingMetrics(metrics)
    flusher = Flusher(
        database, pipeline, sender.wake, session=session, clock=clock, metrics=measured, failpoint=failpoint
    )
    owning.run(life, "groups of alerts", flusher.run, flusher.stop)
    watch.listen(flusher.reconsider, *_DECIDES)

    def wake() -> None:
        sender.wake()
        flusher.wake()

    def stored(transitions: Sequence[Transition]) -> None:
        for hears in stages.stored:
            hears(transitions)

    dispatcher = Dispatcher(
        stores.ledger, pipeline, wake, clock, failpoint, stored=stored, inside=stages.inside, metrics=measured
    )
    return Notifying(dispatcher, sender, flusher)
