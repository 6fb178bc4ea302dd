"""The part of every service's start that all share: the clients, who asks, and how much they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from vigie_identity.identity import Identity, identity
from vigie_identity.settings import IdentitySettings
from vigie_limits.limiter import Limiter
from vigie_limits.quotas import RateLimits
from vigie_limits.settings import LimitSettings
from vigie_limits.store import RedisCounts
from vigie_limits.usage import UsageMeter
from vigie_runtime import clients
from vigie_runtime.clients import Database, Redis
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.settings import TenantSettings

from vigie_web.state import AccessControl, AppState, R


class AccessSettings(IdentitySettings, LimitSettings, TenantSettings):
    """Read from `VIGIE_<FIELD>`. A service that knows its callers inherits from these."""


A = TypeVar("A", bound=AccessSettings)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the rest of a service is made with."""

    database: Database
    redis: Redis
    identity: Identity
    access: AccessControl


async def connect(state: AppState[A, R], life: Lifespan, *, count_usage: bool = False) -> Shared:
    """Clients that find their servers by themselves, callers and limits; the metrics of `state` declare ACCESS_METRICS.

    `count_usage`: what tenants are charged is added up, per day. The stop goes back in reverse, the clients last.
    """
    settings, clock = state.settings, state.clock
    redis = clients.redis(settings)
    life.on_down("redis", redis.aclose)
    mongo = clients.mongo(settings)
    life.on_down("mongodb", mongo.close)
    database = clients.database(mongo, settings)
    who = await life.enter("identity", identity(settings, database, redis, clock, metrics=state.metrics))
    limiter = Limiter(RedisCounts(redis), clock, state.metrics)
    life.on_down("limits", limiter.close)
    usage = UsageMeter(database, clock, state.metrics) if count_usage else None
    if usage is not None:
        usage.start()
        life.on_down("usage", usage.close)
    rates = RateLimits(settings, limiter, who.known_tenants, clock, usage)
    return Shared(database, redis, who, AccessControl.of(who, rates))
