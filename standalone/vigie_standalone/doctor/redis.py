"""Redis: a cache that may vanish, and must not throw out what protects logins."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from vigie_runtime import clients
from vigie_runtime.clock import SystemClock, ahead_s
from vigie_runtime.errors import reason_of
from vigie_runtime.logging import redact
from vigie_runtime.redis_breaker import RedisAway, RedisBreaker, RedisUse
from vigie_runtime.settings import Settings

from vigie_standalone.doctor.findings import Finding, clock, failed, ok, warning

WHAT: Final = "redis"
OLDEST: Final = (6, 2)
GOOD_POLICIES: Final = frozenset({"volatile-lru", "volatile-ttl", "volatile-lfu", "noeviction"})


async def examine(settings: Settings) -> list[Finding]:
    """What there is to say."""
    client = clients.redis(settings)
    asker = RedisBreaker(SystemClock(), RedisUse.LATEST_READS, wait_s=None)
    try:
        asked = time.time()
        seconds, micros = await asker.call(client.time)
        answered = time.time()
        info = await _told(asker, client.info)
    except RedisAway as error:
        advice = "start it, or correct REDIS_URL: until then every process counts logins alone, and reads are slower"
        return [failed(WHAT, f"does not answer: {redact(reason_of(error.__cause__ or error))}", advice)]
    finally:
        await client.aclose()
    return [*judged(info), clock(WHAT, ahead_s(int(seconds) + int(micros) / 1e6, asked, answered))]


async def _told(asker: RedisBreaker, info: Callable[[], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any]:
    try:
        return await asker.call(info, always=True)
    except RedisAway:  # it has just answered: this user may not ask
        return {}


def judged(info: Mapping[str, Any]) -> list[Finding]:
    """What `INFO` answered; nothing, where its user may not ask."""
    if not info:
        return [ok(WHAT, "answers; what version it is, this user may not ask")]
    version = str(info.get("redis_version", "0.0"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    old = "upgrade it to a version that is maintained"
    found = [
        ok(WHAT, f"version {version}") if numbers >= OLDEST else failed(WHAT, f"version {version} is too old", old)
    ]
    policy, limit = str(info.get("maxmemory_policy", "")), int(info.get("maxmemory", 0))
    if policy and policy not in GOOD_POLICIES:
        advice = "set maxmemory-policy to volatile-lru: counters of failed logins and latest values must stay"
        found.append(warning(WHAT, f"evicts by {policy}", advice))
    if limit and int(info.get("used_memory", 0)) > 0.9 * limit:
        advice = "raise maxmemory: latest values are read of MongoDB when they do not fit"
        found.append(warning(WHAT, f"more than 90 % of its {limit / 2**20:.0f} MiB are used", advice))
    return found
