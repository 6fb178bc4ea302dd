"""Edits the messages of which something changed that no notification tells of: somebody has the alert, it is silenced,
a chain told somebody. Whichever replica is free does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.claiming import Claiming
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.alerts.document import Notification
from vigie_storage.alerts.messages import MessageStore, StoredMessage
from vigie_storage.mongo import Session

from vigie_alerting.channels.model import Channel
from vigie_alerting.notifiers.errors import NotifyError, Temporary
from vigie_alerting.slack.bot import Bot

log = logging.get(__name__)

POLL_S: Final = 1.0
STORE: Final = Backoff(0.1, 2.0)
RETRY: Final = Backoff(1.0, 60.0)
MAX_CLAIMED: Final = 20
"""In one look: their leases end before the last of one channel would be edited in vain."""
MAX_CHANNELS: Final = 1_000
"""Of which failures are remembered."""

Lookup: TypeAlias = Callable[[TenantId, str], Awaitable[Channel]]
"""A channel by its key, as it is now. Raises NotifyError, StoreUnavailable."""


class Keeper:
    """For one event loop. `run` until `stop`; `wake` it when something was changed."""

    def __init__(self, messages: MessageStore, bot: Bot, lookup: Lookup, clock: Clock) -> None:
        self._messages, self._bot, self._lookup, self._clock = messages, bot, lookup, clock
        self._failures: dict[str, int] = {}
        self._left_alone: dict[str, float] = {}
        """Until when a channel that failed is not asked, seconds of the monotonic clock: it must not hold up others."""
        self._silences: set[TenantId] = set()
        self._claiming = Claiming(self.once, POLL_S, STORE)
        self.run, self.wake, self.stop = self._claiming.run, self._claiming.wake, self._claiming.stop

    async def moved(self, steps: Sequence[Transition], session: Session) -> list[Notification]:
        """Belongs to the transaction that stores these steps: who has an alert is shown, also when nobody is told."""
        by_tenant: dict[str, set[str]] = {}
        for step in steps:
            if AlertState.ACKNOWLEDGED in (step.to_state, step.from_state):
                by_tenant.setdefault(step.tenant, set()).add(step.fingerprint)
        for tenant, fingerprints in by_tenant.items():
            await self._messages.touch(TenantId(tenant), sorted(fingerprints), session)
        return []

    def stored(self, steps: Sequence[Transition]) -> None:
        """The transaction is done."""
        if any(AlertState.ACKNOWLEDGED in (step.to_state, step.from_state) for step in steps):
            self.wake()

    def silenced(self, tenant: TenantId) -> None:
        """The silences of this tenant were changed."""
        self._silences.add(tenant)
        self.wake()

    async def once(self) -> bool:
        """Edit some of what is to be edited. Whether there was anything. Raises StoreUnavailable."""
        while self._silences:
            tenant = self._silences.pop()
            try:
                await self._messages.touch_all(tenant)
            except StoreUnavailable:
                self._silences.add(tenant)
                raise
        claimed = await self._messages.claim(MAX_CLAIMED)
        by_channel: dict[str, list[StoredMessage]] = {}
        for one in claimed:
            by_channel.setdefault(one.channel, []).append(one)
        await asyncio.gather(*(self._all(some) for some in by_channel.values()))
        return bool(claimed)

    async def _all(self, some: Sequence[StoredMessage]) -> None:
        """Of one channel, one after the other; when it cannot be reached, all of them later."""
        for at, one in enumerate(some):
            pause = self._left_alone.get(one.channel, 0.0) - self._clock.monotonic()
            try:
                pause = pause if pause > 0 else await self._edit(one)
            except StoreUnavailable:
                return  # their leases end
            if pause:
                for other in some[at:]:
                    await self._later(other, pause)
                return

    async def _edit(self, one: StoredMessage) -> float:
        """How long the channel is to be left alone; 0: not at all."""
        try:
            await self._bot.refresh(await self._lookup(one.tenant, one.channel), one)
        except Temporary as e:
            return self._failed(one.channel, e)
        except NotifyError as e:
            log.warning("a message is not edited", tenant=one.tenant, failure=e.failure.value, reason=str(e))
            await self._messages.write(replace(one, due=None))
        self._failures.pop(one.channel, None)
        self._left_alone.pop(one.channel, None)
        return 0.0

    def _failed(self, channel: str, error: Temporary) -> float:
        if len(self._failures) >= MAX_CHANNELS:
            self._failures.clear()
            self._left_alone.clear()
        self._failures[channel] = times = self._failures.get(channel, 0) + 1
        pause = max(RETRY.pause_s(times), error.retry_after_s or 0.0)
        self._left_alone[channel] = self._clock.monotonic() + pause
        return pause

    async def _later(self, one: StoredMessage, pause_s: float) -> None:
        try:
            await self._messages.write(replace(one, due=self._clock.now_ms() + int(pause_s * 1000)))
        except StoreUnavailable:
            return  # its lease ends
