"""Counts that all processes share, in Redis, by the sliding window counter of the library `limits`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, cast

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis

from vigie_limits.counter import Limit, LimitName
from vigie_limits.window import Counts

PREFIX: Final = "vigie:_limits"


class RedisCounts:
    """Every method raises RedisError, OSError or TimeoutError when Redis does not answer, and takes as long as the
    client does to find out."""

    def __init__(self, redis: Redis) -> None:
        """On the pool of a client that the service has; its owner closes it."""
        # `limits` passes on to the client whatever options it gets, but says that they are texts and numbers.
        options = cast("dict[str, Any]", {"connection_pool": redis.connection_pool})
        self._storage = RedisStorage("redis://", implementation="redispy", key_prefix=PREFIX, **options)
        self._window = SlidingWindowCounterRateLimiter(self._storage)

    async def take(self, limit: Limit, caller: str, units: int) -> bool:
        """Count `units`, all or none of them."""
        return await self._window.hit(_item(limit), caller, cost=units)

    async def counts(self, limit: Limit, caller: str) -> Counts:
        """Return the current counts."""
        item = _item(limit)
        window_s = item.get_expiry()
        previous, _, current, expires_s = await self._storage.get_sliding_window(item.key_for(caller), window_s)
        # A key lives for the window that it counts and the next one, in which it is the previous one.
        return Counts(previous, current, max(0.0, expires_s - window_s))

    async def check(self) -> None:
        """Count something nobody asks for: a server that answers may still refuse to write."""
        await self._window.hit(_item(_CHECK), "")


_CHECK: Final = Limit(LimitName.ADDRESS, 1_000_000, 1)


@lru_cache(1_024)
def _item(limit: Limit) -> RateLimitItem:
    return RateLimitItemPerSecond(limit.amount, limit.window_s, namespace=limit.name.value)
