"""The live feeds of alerts, on Redis pub/sub: what alerting tells whoever watches the alerts of a tenant now.

vigie:{tenant}:transitions  every step of every alert, `LiveTransitions` as JSON, after it is stored
vigie:{tenant}:alerts       what a channel of the type `live` is told, JSON

Nobody keeps either: what Redis loses is read again from the ledger.
"""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError
from vigie_contracts.alerts import Transition
from vigie_contracts.tenants import TenantId


class LiveTransitions(msgspec.Struct):
    """Steps of one tenant that were stored together, in their order."""

    stored: int
    """When, Unix milliseconds; not before the `stored` of the ledger."""
    transitions: list[Transition]


def channel(tenant: TenantId) -> str:
    """The feed of what live channels are told."""
    return f"vigie:{tenant}:alerts"


def transitions_channel(tenant: TenantId) -> str:
    """The feed of every transition."""
    return f"vigie:{tenant}:transitions"


class LiveFeed:
    """Hands records over to whoever listens now."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def publish(self, tenant: TenantId, record: bytes) -> None:
        """Raises OSError when Redis does not take it."""
        try:
            await self._redis.publish(channel(tenant), record)  # pyright: ignore[reportUnknownMemberType] - **kwargs
        except RedisError as e:
            raise OSError(type(e).__name__) from None

    async def announce(self, tenant: TenantId, stored: LiveTransitions) -> None:
        """To the feed of every transition. Raises RedisError, OSError."""
        record = msgspec.json.encode(stored)
        await self._redis.publish(transitions_channel(tenant), record)  # pyright: ignore[reportUnknownMemberType] - **kwargs
