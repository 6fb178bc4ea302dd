"""The live feed of health, on Redis pub/sub: every check of a tenant's targets, after its state is stored.

vigie:{tenant}:health  `LiveHealth` as JSON

Nobody keeps it: what Redis loses is read again from the states.
"""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis
from vigie_contracts.tenants import TenantId

from vigie_storage.health.states import TargetState


class LiveState(msgspec.Struct, omit_defaults=True):
    """What a target is now."""

    state: TargetState
    before: str = ""
    """The `Verdict` that it was until then, when it has changed."""


class LiveHealth(msgspec.Struct, omit_defaults=True):
    """What was stored together of one tenant."""

    stored: int
    """When, Unix milliseconds."""
    states: list[LiveState] = []
    removed: list[str] = []
    """Ids of targets that are not watched any more."""


def channel(tenant: TenantId) -> str:
    """The feed of a tenant."""
    return f"vigie:{tenant}:health"


class HealthFeed:
    """Tells whoever listens now."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def announce(self, tenant: TenantId, stored: LiveHealth) -> None:
        """Raises RedisError, OSError."""
        await self._redis.publish(channel(tenant), msgspec.json.encode(stored))  # pyright: ignore[reportUnknownMemberType] - **kwargs
