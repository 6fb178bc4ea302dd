"""Reading latest values: what one tenant has much of is no reason to go on without Redis for the others."""

from typing import Any, cast
from unittest.mock import MagicMock

import numpy as np
from redis.exceptions import TimeoutError as RedisTimeoutError
from vigie_contracts.latest import Latest, field, hash_key, pack
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import SystemClock
from vigie_storage.latest import LatestReader

LARGE, SMALL = TenantId("large"), TenantId("small")
SLOW_FIELDS = 100
ONE = np.ones(1)
[VALUES] = pack(Latest(ONE.astype(np.uint8), ONE.astype(np.int64), ONE, ONE, ONE.astype(np.int64)), [0, 1])


class SlowWithMuch:
    """A Redis whose longer answers do not come within the client's time."""

    def __init__(self, *kept: tuple[TenantId, int]) -> None:
        """`kept`: tenants, and of how many chunks."""
        self._hashes = {hash_key(tenant): {field(0, i): VALUES for i in range(chunks)} for tenant, chunks in kept}

    async def hmget(self, key: str, names: list[str]) -> list[bytes | None]:
        if len(names) > SLOW_FIELDS:
            raise RedisTimeoutError
        return [self._hashes[key].get(name) for name in names]

    async def hgetall(self, key: str) -> dict[bytes, bytes]:
        if len(self._hashes[key]) > SLOW_FIELDS:
            raise RedisTimeoutError
        return {name.encode(): data for name, data in self._hashes[key].items()}


async def test_large_tenant_is_read_by_parts_and_the_others_keep_redis() -> None:
    redis = SlowWithMuch((LARGE, 1000), (SMALL, 1))
    reader = LatestReader(MagicMock(), cast(Any, redis), SystemClock())  # MongoDB has nothing to say
    chunks = [(0, i) for i in range(1000)]
    assert len(await reader.some(LARGE, chunks)) == 1000
    found, complete = await reader.at_hand(LARGE, chunks, 10)
    assert (len(found), complete) == (1000, True)
    assert len(await reader.some(SMALL, [(0, 0)])) == 1
