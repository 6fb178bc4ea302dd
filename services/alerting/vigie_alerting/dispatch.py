"""The way from transitions to the outbox: stored with their notifications before anybody is told, then the sender is
woken, and whoever watches now is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from vigie_contracts.alerts import Channel, Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import Clock
from vigie_storage.alerts.document import Address, Notification
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.mongo import Session

from vigie_alerting.channels.channels import Channels
from vigie_alerting.outbox import notifications, tells
from vigie_alerting.sender.failpoints import Failpoint, Point, never

MAX_TRANSITIONS: Final = 1_000
"""Of one transaction: it must end within the time that one may take."""


class Dispatcher:
    """What the engine hands its transitions to."""

    def __init__(
        self,
        ledger: Ledger,
        channels: Channels,
        wake: Callable[[], None],
        clock: Clock,
        failpoint: Failpoint = never,
        *,
        stored: Callable[[Sequence[Transition]], None] = lambda _transitions: None,
    ) -> None:
        """`wake` is the sender's; `stored` hears of the transitions that were."""
        self._ledger = ledger
        self._channels = channels
        self._wake = wake
        self._clock = clock
        self._failpoint = failpoint
        self._stored = stored

    def through(self, ledger: Ledger) -> Dispatcher:
        """The same, but for what stores them."""
        return Dispatcher(ledger, self._channels, self._wake, self._clock, self._failpoint, stored=self._stored)

    async def dispatch(
        self, transitions: Sequence[Transition], also: Callable[[Session], Awaitable[object]] | None = None
    ) -> list[Notification]:
        """Store the transitions, their notifications, and what `also` writes, in one transaction. Repeating it is
        harmless. What was stored for sending is returned. Raises StoreUnavailable: then do it again; ValueError for
        more than MAX_TRANSITIONS."""
        if len(transitions) > MAX_TRANSITIONS:
            raise ValueError(f"{len(transitions)} transitions in one transaction, at most {MAX_TRANSITIONS} are stored")
        made: list[Notification] = []
        found: dict[tuple[str, tuple[Channel, ...]], list[Address]] = {}
        now_ms = self._clock.now_ms()
        for transition in transitions:
            if tells(transition):
                asked = transition.tenant, tuple(transition.channels)
                if asked not in found:
                    found[asked] = await self._channels.addresses(TenantId(transition.tenant), transition.channels)
                made += notifications([transition], found[asked], now_ms)
        await self._ledger.store(transitions, made, also)
        self._stored(transitions)
        self._failpoint(Point.AFTER_STORE)
        if made:
            self._wake()
        return made

    async def last(self, tenant: TenantId, fingerprint: str) -> Transition | None:
        """The newest transition of an alert. Raises StoreUnavailable."""
        found = await self._ledger.history(tenant, fingerprint, 1)
        return found[0] if found else None
