"""Claims what the outbox holds, sends it, and settles it, many at once and every queue in order.

It is woken when something was stored in this process, and looks by itself every POLL_S for what other replicas left.
What it has claimed it holds until it is settled: the lease is short and is renewed, so that what a dead process had is
soon sent by another one.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from vigie_runtime import logging, tasks
from vigie_runtime.backoff import Backoff
from vigie_runtime.claiming import Claiming
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.alerts.document import Notification
from vigie_storage.alerts.outbox import LEASE_S, Outbox

from vigie_alerting.notifiers.errors import Failure, NotifyError, Temporary
from vigie_alerting.sender.circuit import AHEAD, Circuit
from vigie_alerting.sender.delivery import Delivery, Lookup
from vigie_alerting.sender.failpoints import Failpoint, Point, never
from vigie_alerting.sender.metrics import ChannelType, SenderMetrics

log = logging.get(__name__)

MAX_CLAIMED: Final = 256
PER_CHANNEL: Final = 16
POLL_S: Final = 0.5
MAX_CIRCUITS: Final = 5_000
MAX_ATTEMPTS: Final = 5_000
RETRY: Final = Backoff(1.0, 30.0, jitter=1.0)
"""Full jitter: anything between nothing and twice the pause."""
STORE: Final = Backoff(0.1, 2.0)
SETTLE_S: Final = 20.0
"""How long settling is tried while the store is away; after that the lease says who sends it again."""
RENEW_S: Final = LEASE_S / 4
LATEST_START_S: Final = LEASE_S / 2
"""Of a lease that was not renewed for so long, because the process stood still or the store was away, nothing is begun:
it must outlive the attempt."""
GRACE_S: Final = LEASE_S / 2
"""After the store was away, who holds leases that ended meanwhile may renew them, before others take them for those of
the dead."""


@dataclass(slots=True)
class _Held:
    """A notification with the time at which its lease began last, seconds of the monotonic clock."""

    notification: Notification
    renewed_at: float


class Sender:
    """For one event loop. `run` until `stop`; `wake` it when something was stored."""

    def __init__(
        self,
        outbox: Outbox,
        delivery: Delivery,
        lookup: Lookup,
        *,
        clock: Clock,
        retry_for: timedelta,
        metrics: SenderMetrics,
        failpoint: Failpoint = never,
    ) -> None:
        """`retry_for`: how old a notification may be for another attempt."""
        self._outbox = outbox
        self._delivery = delivery
        self._lookup = lookup
        self._clock = clock
        self._retry_for_s = retry_for.total_seconds()
        self._metrics = metrics
        self._failpoint = failpoint
        self._circuits: dict[str, Circuit] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[str, _Held] = {}
        """By id what is claimed and not settled yet."""
        self._grace_until = 0.0
        self._claiming = Claiming(self._claim, POLL_S, STORE)
        self.wake, self.stop = self._claiming.wake, self._claiming.stop

    async def run(self) -> None:
        """Send until stopped; what is on its way then ends first. When cancelled, its leases run out."""
        renewing = asyncio.create_task(self._renew(), name="leases of notifications")
        try:
            await self._claiming.run()
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            await tasks.end({*self._tasks, renewing})

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(RENEW_S)
            held, now = list(self._held.values()), self._clock.monotonic()
            with suppress(StoreUnavailable):
                renewed = await self._outbox.renew([one.notification for one in held])
                for one in held:
                    if one.notification.id in renewed:
                        one.renewed_at = now

    async def _claim(self) -> bool:
        """Begin to send what there is room for. Whether there was anything."""
        free = MAX_CLAIMED - len(self._tasks)
        if free <= 0:
            return False  # the next one that ends wakes
        now = self._clock.monotonic()
        if len(self._circuits) > MAX_CIRCUITS:  # channels that failed and have nothing more to send are forgotten
            self._circuits = {key: one for key, one in self._circuits.items() if one.claimed}
        room = {key: circuit.room(now) for key, circuit in self._circuits.items()}
        full = [key for key, left in room.items() if left <= 0]
        try:
            claimed = await self._outbox.claim(
                secrets.token_hex(12), free, room, PER_CHANNEL * AHEAD, full,
                held=self._held.keys(), abandoned=now >= self._grace_until,
            )  # fmt: skip
        except StoreUnavailable:
            self._grace_until = self._clock.monotonic() + GRACE_S
            raise
        if claimed:
            self._failpoint(Point.AFTER_CLAIM)
        for notification in claimed:
            self._start(notification, now)
        return bool(claimed)

    def _start(self, notification: Notification, claimed_at: float) -> None:
        circuit = self._circuits.setdefault(notification.address.key, Circuit(PER_CHANNEL))
        circuit.claimed += 1
        self._held[notification.id] = held = _Held(notification, claimed_at)
        task = asyncio.create_task(self._send(held, circuit))
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, notification, circuit))
        self._metrics.in_flight.set(len(self._tasks))

    def _ended(self, task: asyncio.Task[None], notification: Notification, circuit: Circuit) -> None:
        self._tasks.discard(task)
        self._held.pop(notification.id, None)
        circuit.claimed -= 1
        if circuit.idle(self._clock.monotonic()) and self._circuits.get(notification.address.key) is circuit:
            self._circuits.pop(notification.address.key, None)
        if error := tasks.retrieve(task):
            log.error("a notification was not settled", error=type(error).__name__, notification=notification.id)
        self._metrics.in_flight.set(len(self._tasks))
        self._metrics.open_circuits.set(sum(one.open for one in self._circuits.values()))
        self.wake()

    async def _send(self, held: _Held, circuit: Circuit) -> None:
        notification = held.notification
        async with circuit.slots:
            started = self._clock.monotonic()
            late = started - held.renewed_at > LATEST_START_S
            if late or not circuit.may_send(started):
                await self._release(notification)
                return
            kind, error = await self._attempt(notification)
            ended = self._clock.monotonic()
            self._metrics.send_seconds[kind].observe(ended - started)
            if isinstance(error, Temporary):
                circuit.failed(started, ended, error.retry_after_s)
            else:
                circuit.succeeded()  # also when it refused: it is there
        if not await self._settle(notification, kind, error):
            self._metrics.lost_leases.inc()
            log.warning("a notification was settled after its lease had ended", notification=notification.id)
        self._failpoint(Point.AFTER_CONFIRM)

    async def _attempt(self, notification: Notification) -> tuple[ChannelType, NotifyError | None]:
        try:
            channel = await self._lookup(notification)
        except NotifyError as e:
            return ChannelType.UNKNOWN, e
        except StoreUnavailable:
            return ChannelType.UNKNOWN, Temporary(Failure.UNREACHABLE, "the channel could not be looked up")
        return ChannelType(channel.type), await self._delivery.attempt(notification, channel)

    async def _release(self, notification: Notification) -> None:
        """Not tried: whoever may, does it later. When the store is away, after the lease."""
        with suppress(StoreUnavailable):
            await self._outbox.release(notification)

    async def _settle(self, notification: Notification, kind: ChannelType, error: NotifyError | None) -> bool:
        """Store the outcome, for as long as the lease allows. Whether the lease still was ours."""
        end = self._clock.monotonic() + SETTLE_S
        async for _ in STORE.attempts(self._clock.sleep):
            try:
                if error is None:
                    return await self._confirm(notification, kind)
                return await self._failed(notification, kind, error)
            except StoreUnavailable:
                if self._clock.monotonic() > end:
                    return False
        return False

    async def _confirm(self, notification: Notification, kind: ChannelType) -> bool:
        settled = await self._outbox.sent(notification)
        self._metrics.sent[kind].inc()
        self._metrics.delay_seconds.observe(max(0.0, self._age_s(notification)))
        return settled

    async def _failed(self, notification: Notification, kind: ChannelType, error: NotifyError) -> bool:
        told, remaining = str(error), error.remaining
        say = {"type": kind.value, "tenant": notification.tenant, "failure": error.failure.value, "reason": told}
        if isinstance(error, Temporary):
            pause = max(RETRY.pause_s(max(1, notification.attempts)), error.retry_after_s or 0.0)
            if self._age_s(notification) + pause <= self._retry_for_s and notification.attempts < MAX_ATTEMPTS:
                settled = await self._outbox.retry(notification, pause, error.failure, told, remaining)
                self._count(kind, error)
                log.warning("a notification was not delivered, and is tried again", after_s=round(pause, 1), **say)
                return settled
            told = f"{told}; given up after {notification.attempts} attempts"
        settled = await self._outbox.dead(notification, error.failure, told, remaining)
        self._count(kind, error)
        self._metrics.dead[kind].inc()
        log.error("a notification is given up: it is a dead letter", notification=notification.id, **say)
        return settled

    def _count(self, kind: ChannelType, error: NotifyError) -> None:
        self._metrics.failed[kind, error.failure].inc()

    def _age_s(self, notification: Notification) -> float:
        return self._clock.now_ms() / 1000 - notification.created.timestamp()
