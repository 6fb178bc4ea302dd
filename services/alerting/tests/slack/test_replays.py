"""Each request is taken once, also without Redis, and what is remembered of them has a bound."""

from __future__ import annotations

from typing import Any

import pytest
from vigie_alerting.slack import replays
from vigie_alerting.slack.replays import KEPT_S, Replays
from vigie_alerting.slack.signature import WINDOW_S
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Busy

from services.alerting.tests.rigs import NOW_MS


class Redis:
    """As far as it is asked; `away` when it does not answer."""

    def __init__(self) -> None:
        self.keys: dict[bytes | str, int] = {}
        self.away = False

    async def set(self, key: str, _value: bytes, *, ex: float, nx: bool) -> bool | None:
        if self.away:
            raise ConnectionRefusedError
        assert nx
        if key in self.keys:
            return None
        self.keys[key] = int(ex)
        return True


def replica(redis: Redis, clock: ManualClock | None = None) -> Replays:
    anything: Any = redis
    return Replays(anything, clock or ManualClock(NOW_MS))


async def test_a_request_is_taken_once_by_whichever_replica() -> None:
    redis = Redis()
    one, two = replica(redis), replica(redis)
    assert await one.first("v0=a")
    assert not await one.first("v0=a")
    assert not await two.first("v0=a")
    assert await two.first("v0=b")
    assert all(seconds > 2 * WINDOW_S for seconds in redis.keys.values()), "as long as it could come again"
    assert all("v0" not in str(key) for key in redis.keys)


async def test_without_redis_a_replica_knows_what_it_took_itself() -> None:
    redis = Redis()
    one = replica(redis)
    redis.away = True
    assert await one.first("v0=a")
    assert not await one.first("v0=a")
    redis.away = False
    assert not await one.first("v0=a")


async def test_what_is_remembered_is_bounded_and_nothing_is_forgotten_too_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replays, "MAX_KEPT", 3)
    clock = ManualClock(NOW_MS)
    one = replica(Redis(), clock)
    for name in "abc":
        assert await one.first(name)
    with pytest.raises(Busy):
        await one.first("d")
    assert not await one.first("a")
    clock.advance(KEPT_S + 1)
    assert await one.first("d")
    assert len(one._taken) == 1
