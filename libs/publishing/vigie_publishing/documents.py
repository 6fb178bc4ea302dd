"""Stored documents to their compacted log: what is not published yet, by whichever replica is free.

A change is stored first. Whoever made it wakes the publisher of its process; what a crash left is found by the others.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.claiming import Claiming
from vigie_runtime.clock import Clock
from vigie_runtime.errors import BufferFull, BusUnavailable
from vigie_storage.outgoing import LEASE_S, Outgoing, Unpublished

log = logging.get(__name__)

Publish: TypeAlias = Callable[[bytes, bytes | None], Awaitable[None]]
"""Key and value of a record; returns when it is acknowledged. Raises BusUnavailable, BufferFull."""
POLL_S: Final = 1.0
MOST: Final = 500
LATEST_START_S: Final = LEASE_S / 3
"""A process that stood still for so long since the claim does not begin to publish."""
_AWAY: Final = Backoff(0.2, 5.0)


class DocumentPublisher:
    """For one event loop. `run` until `stop`; `wake` it when a document was changed."""

    def __init__(self, outgoing: Outgoing, publish: Publish, clock: Clock) -> None:
        self._outgoing, self._publish, self._clock = outgoing, publish, clock
        self._claiming = Claiming(self.publish_some, POLL_S, _AWAY)
        self.wake, self.stop, self.run = self._claiming.wake, self._claiming.stop, self._claiming.run

    async def publish_some(self) -> int:
        """Publish what is due, at most MOST; how much that was. Raises StoreUnavailable."""
        claimed_at = self._clock.monotonic()
        claimed = await self._outgoing.claim(secrets.token_hex(12), MOST)
        if not claimed:
            return 0
        if self._clock.monotonic() - claimed_at > LATEST_START_S:
            await self._outgoing.release(claimed)
            return 0
        outcomes = await asyncio.gather(*map(self._one, claimed))
        done = [one for one, sent in zip(claimed, outcomes, strict=True) if sent]
        await self._outgoing.published(done)
        await self._outgoing.release([one for one, sent in zip(claimed, outcomes, strict=True) if not sent])
        return len(done)

    async def _one(self, change: Unpublished) -> bool:
        try:
            await self._publish(change.id.encode(), change.value)
        except (BusUnavailable, BufferFull) as e:
            log.warning("a document was not published, and is tried again", id=change.id, reason=str(e))
            return False
        return True
