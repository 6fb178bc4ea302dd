"""The live feed of alerts: Redis pub/sub `vigie:{tenant}:alerts`, which the push service broadcasts."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import RedisError
from vigie_contracts.tenants import TenantId


def channel(tenant: TenantId) -> str:
    """The name of the tenant's feed in Redis."""
    return f"vigie:{tenant}:alerts"


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
