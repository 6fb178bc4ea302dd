"""The canary: an alert without a rule, every minute, through the whole way from the ledger to a notifier of its own.

It belongs to no tenant, so no list, history or count of one has it. Its route has it wait a second in a group, so that
the flusher of groups tells it and not who stored it. Every replica sends the canary of each minute, and all of those
have one id: what is stored already is not stored again, so that one is told. How long it took goes to the metrics of
whoever told it, and as a sample to the tenant of the installation, whose rule watches it.

Each minute's is an alert of its own, and is over when the next one fires: its group goes some minutes later. Where
nobody said that one is over, its group is forgotten when a process begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Final, TypeAlias

from vigie_contracts.alerts import AlertState, Channel, Reason, Severity, Transition, transition_id
from vigie_contracts.series import Kind
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_publishing.errors import PublishingError
from vigie_publishing.metric import Sample
from vigie_publishing.publishers import NamedSamples
from vigie_query.times import iso
from vigie_runtime import logging
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Retryable, StoreUnavailable, reason_of
from vigie_runtime.metrics import Gauge, Histogram, MetricSet
from vigie_storage.alerts.document import Notification

from vigie_alerting.channels import model
from vigie_alerting.notifiers.message import Message, Status
from vigie_alerting.routing.model import Receiver, Route, RoutingTree
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rules.shipped import CANARY_TOOK
from vigie_alerting.sender.delivery import Lookup

log = logging.get(__name__)

CANARY: Final = "canary"
"""The type of its channel, which no tenant can have."""
EVERY_MS: Final = 60_000
MAX_UNREPORTED: Final = 100
_GROUP: Final = "minute"
"""The label that makes each its own group."""
_ROUTES: Final = Routes(
    RoutingTree(
        route=Route(receiver=CANARY, group_by=[_GROUP], group_wait="1s", group_interval="1s", repeat_interval="0s"),
        receivers={CANARY: Receiver(channels=[Channel(CANARY)])},
    )
)

CANARY_SECONDS: Final = Histogram(
    "vigie_alerting_canary_seconds", "seconds", "Time from when a canary alert was due to its delivery"
)
CANARY_LAST: Final = Gauge(
    "vigie_alerting_canary_last_timestamp_seconds",
    "seconds",
    "When the last canary alert that this process delivered was due, Unix time; the latest of all processes counts",
)
CANARY_METRICS: Final = (CANARY_SECONDS, CANARY_LAST)

Dispatch: TypeAlias = Callable[[Sequence[Transition]], Awaitable[object]]
"""As `Dispatcher.dispatch`. Raises StoreUnavailable."""
Publish: TypeAlias = Callable[[Sequence[NamedSamples]], Awaitable[object]]
"""As `NamedPublisher.publish`. Raises Retryable, StoreUnavailable, PublishingError."""
Forget: TypeAlias = Callable[[TenantId], Awaitable[object]]
"""As `GroupStore.forget_idle`. Raises StoreUnavailable."""


def canary(due_ms: int, over_ms: int | None = None) -> Transition:
    """The canary that is due then; that it is over, where that is said."""
    sequence = 1 if over_ms is None else 2
    fingerprint = blake2b(f"canary/{due_ms}".encode(), digest_size=8, person=b"vigie-alert-v1").hexdigest()
    return Transition(
        id=transition_id(fingerprint, due_ms, sequence),
        fingerprint=fingerprint,
        tenant=PLATFORM,
        rule_id=CANARY,
        rule_name=CANARY,
        episode=f"{fingerprint}-{due_ms}",
        sequence=sequence,
        from_state=None if over_ms is None else AlertState.FIRING,
        to_state=AlertState.FIRING if over_ms is None else AlertState.RESOLVED,
        timestamp=due_ms if over_ms is None else over_ms,
        starts_at=due_ms,
        ends_at=over_ms,
        reason=Reason.CONDITION_MET if over_ms is None else Reason.RECOVERED,
        detail="a minute is over",
        severity=Severity.INFO,
        labels={"alertname": CANARY, _GROUP: iso(due_ms)},
    )


def routed(others: Callable[[TenantId], Awaitable[Routes]]) -> Callable[[TenantId], Awaitable[Routes]]:
    """The routes of a tenant; where there is none, those of the canary."""

    async def routes(tenant: TenantId) -> Routes:
        return _ROUTES if tenant == PLATFORM else await others(tenant)

    return routes


def of_tenants(hears: Callable[[Sequence[Transition]], None]) -> Callable[[Sequence[Transition]], None]:
    """Whoever hears of the transitions of tenants, and of no canary."""
    return lambda transitions: hears([one for one in transitions if one.tenant != PLATFORM])


def looked_up(others: Lookup) -> Lookup:
    """The channel of a notification: the canary's is of no store."""

    async def lookup(notification: Notification) -> model.Channel:
        if notification.tenant == PLATFORM:
            return model.Channel(notification.address.key, PLATFORM, CANARY, CANARY)
        return await others(notification)

    return lookup


class Canary:
    """The notifier, and who sends. `run` until `stop`."""

    def __init__(self, clock: Clock, metrics: MetricSet, every_ms: int | None = None) -> None:
        """`metrics` declares CANARY_METRICS; `every_ms`: EVERY_MS where it is not said."""
        self._clock, self._every_ms = clock, every_ms or EVERY_MS
        self._seconds, self._last = metrics.histogram(CANARY_SECONDS), metrics.gauge(CANARY_LAST)
        self._told: asyncio.Queue[tuple[int, float]] = asyncio.Queue(MAX_UNREPORTED)
        self._latest_ms = 0
        self._left = True
        """Whether there may be groups of canaries of which nobody said that they are over."""
        self._stopping = asyncio.Event()

    async def send(self, channel: model.Channel, message: Message) -> None:
        """It arrived."""
        for alert in (one for one in message.alerts if one.status is Status.FIRING):
            due_ms = round(alert.starts_at.timestamp() * 1000)
            took_s = max(0.0, (self._clock.now_ms() - due_ms) / 1000)
            self._seconds.observe(took_s)
            self._latest_ms = max(self._latest_ms, due_ms)
            self._last.set(self._latest_ms / 1000)
            with suppress(asyncio.QueueFull):
                self._told.put_nowait((due_ms, took_s))

    def stop(self) -> None:
        """Send no more."""
        self._stopping.set()

    async def run(self, dispatch: Dispatch, publish: Publish, forget: Forget, tenant: TenantId) -> None:
        """Send one whenever it is due; samples of those that arrive are of this tenant."""
        async with asyncio.TaskGroup() as group:
            reporting = group.create_task(self._report(publish, tenant))
            while not self._stopping.is_set():
                await self._fly(dispatch, forget)
            reporting.cancel()

    async def _fly(self, dispatch: Dispatch, forget: Forget) -> None:
        now_ms = self._clock.now_ms()
        due_ms = now_ms - now_ms % self._every_ms + self._every_ms
        with suppress(TimeoutError):
            async with asyncio.timeout((due_ms - now_ms) / 1000):
                await self._stopping.wait()
                return
        try:
            await dispatch([canary(due_ms - self._every_ms, due_ms), canary(due_ms)])
            if self._left:
                await forget(PLATFORM)
                self._left = False
        except StoreUnavailable:
            self._left = True
            log.warning("a canary is missing: the store does not answer")

    async def _report(self, publish: Publish, tenant: TenantId) -> None:
        while True:
            due_ms, took_s = await self._told.get()
            key = blake2b(f"{CANARY}/{due_ms}".encode(), digest_size=16).digest()  # told twice, it counts once
            samples = [Sample(CANARY_TOOK, Kind.GAUGE, (), took_s)]
            try:
                await publish([NamedSamples(tenant=tenant, at_ms=self._clock.now_ms(), key=key, samples=samples)])
            except (Retryable, StoreUnavailable, PublishingError) as e:
                log.warning("how long a canary took is not stored", reason=reason_of(e))
