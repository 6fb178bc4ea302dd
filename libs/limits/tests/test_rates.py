"""Who is counted for what. What services do with it is tested with them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from vigie_contracts.tenants import TenantId
from vigie_identity import credential_cache
from vigie_identity.errors import BadCredential, NotFound, RefusalReason, TenantInactive
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.principal import Principal, PrincipalKind
from vigie_identity.tenants import Plan, Status, Tenant
from vigie_limits import quotas as module
from vigie_limits.counter import Limit, LimitName
from vigie_limits.errors import Throttled
from vigie_limits.limiter import Limiter
from vigie_limits.metrics import LIMITS_METRICS
from vigie_limits.plans import series_limits
from vigie_limits.quotas import LIMITS_KEPT_S, RateLimits, RequestQuota
from vigie_limits.settings import LimitSettings
from vigie_runtime.addresses import Origin
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Busy, Retryable, StoreUnavailable
from vigie_runtime.metrics import MetricSet
from vigie_storage.usage import Tally

from .counting import Shared

NODE = Origin("203.0.113.7", "203.0.113.7")
ANONYMOUS = Principal(PrincipalKind.ANONYMOUS, "anonymous", "anonymous")


def tenant(name: str = "acme", plan: Plan | None = None) -> Tenant:
    now = datetime.now(UTC)
    return Tenant(TenantId(name), name, Status.ACTIVE, plan or Plan(), now, now)


@dataclass
class Known(KnownTenants):
    """The tenant that there is, or the error."""

    found: Tenant | Exception = field(default_factory=tenant)
    fresh: bool = False

    def at_once(self, tenant: str) -> Tenant | None:
        return self.found if self.fresh and isinstance(self.found, Tenant) else None

    def remembered(self, tenant: str) -> Tenant | None:
        return self.at_once(tenant)

    async def require(self, tenant: str) -> Tenant:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Tenants:
    """What KnownTenants asks: acme, which may do nothing, until it does not answer any more."""

    silent = False

    async def get(self, _tenant: TenantId) -> Tenant:
        if self.silent:
            await asyncio.Event().wait()
        return tenant(plan=Plan(samples_per_s=0))


class Used(defaultdict[str, Tally]):
    """The usage of tenants."""

    def __init__(self) -> None:
        super().__init__(Tally)

    of = defaultdict.__getitem__


def settings(**chosen: Any) -> LimitSettings:
    return LimitSettings(mongodb_uri="mongodb://x", redis_url="redis://x", kafka_bootstrap_servers="x:1", **chosen)


@asynccontextmanager
async def rates(known: Known | None = None, **chosen: Any) -> AsyncIterator[tuple[RateLimits, Used]]:
    clock = ManualClock()
    limiter = Limiter(Shared(clock), clock, MetricSet(LIMITS_METRICS))
    used = Used()
    yield RateLimits(settings(**chosen), limiter, known or Known(), clock, used), used  # type: ignore[arg-type]
    await limiter.close()


async def charge(quota: RequestQuota, samples: int) -> None:
    if (charged := quota.charge(samples)) is not None:
        await charged


async def test_reports_of_a_tenant_are_limited_wherever_they_come_from() -> None:
    async with rates(rate_telemetry_per_minute=3) as (made, used):
        for n in range(3):
            quota = made.open(Origin(f"203.0.113.{n}", f"203.0.113.{n}"))
            await quota.admit(ANONYMOUS, None)
            await quota.report(ANONYMOUS, tenant(), 100)
        quota = made.open(NODE)
        with pytest.raises(Throttled, match="3 reports of this tenant are allowed in a minute"):
            await quota.report(ANONYMOUS, tenant(), 100)
        await made.open(NODE).report(ANONYMOUS, tenant("globex"), 100)
        assert used["acme"] == Tally(requests=4, throttled=1)


async def test_a_stranger_silences_nobody() -> None:
    async with rates(rate_telemetry_per_minute=10) as (made, _):
        key = Principal(PrincipalKind.KEY, "vk_1", "node")
        for _ in range(2):
            await made.open(NODE).report(ANONYMOUS, tenant(), 100)
        with pytest.raises(Throttled, match="2 reports of this tenant without a credential from this address"):
            await made.open(NODE).report(ANONYMOUS, tenant(), 100)
        await made.open(NODE).report(ANONYMOUS, tenant("globex"), 100)
        for n in range(8):
            await made.open(Origin(f"198.51.100.{n}", f"198.51.100.{n}")).report(ANONYMOUS, tenant(), 100)
        with pytest.raises(Throttled, match="10 reports of this tenant are"):
            await made.open(Origin("198.51.100.9", "198.51.100.9")).report(ANONYMOUS, tenant(), 100)
        for _ in range(10):
            await made.open(NODE).report(key, tenant(), 100)
        with pytest.raises(Throttled, match="10 reports of this tenant are"):
            await made.open(NODE).report(key, tenant(), 100)
        await made.open(NODE).report(Principal(PrincipalKind.KEY, "vk_2", "other node"), tenant(), 100)


async def test_reports_from_this_machine_itself_have_no_limit_by_address() -> None:
    async with rates(rate_telemetry_per_minute=10) as (made, _):
        for _ in range(10):
            await made.open(Origin("127.0.0.1", "127.0.0.1", local=True)).report(ANONYMOUS, tenant(), 100)


async def test_reports_from_an_address_are_limited_whatever_tenants_they_name() -> None:
    async with rates(rate_ip_per_minute=3) as (made, _):
        for n in range(3):
            quota = made.open(NODE)
            await quota.admit(ANONYMOUS, None)
            await quota.report(ANONYMOUS, tenant(f"t{n}"), 100)
        with pytest.raises(Throttled, match="from this address"):
            await made.open(NODE).admit(ANONYMOUS, None)


async def test_an_address_over_its_limit_may_not_ask_for_more_credentials() -> None:
    async with rates(rate_ip_per_minute=2) as (made, _):
        for error in (Busy("credentials"), BadCredential(RefusalReason.KEY_UNKNOWN)):
            made.open(NODE).check_lookup()
            await made.open(NODE).refused(error)
        await made.open(NODE).refused(StoreUnavailable())
        with pytest.raises(Throttled):
            await made.open(NODE).refused(Busy("credentials"))
        quota = made.open(NODE)
        with pytest.raises(Throttled, match="from this address") as caught:
            quota.check_lookup()
        await quota.refused(caught.value)
        assert dict(quota.headers())[b"ratelimit-remaining"] == b"0"
        made.open(Origin("127.0.0.1", "127.0.0.1", local=True)).check_lookup()
        made.open(Origin("203.0.113.8", "203.0.113.8")).check_lookup()


async def test_samples_of_reports_count_by_the_plan_of_their_tenant() -> None:
    async with rates() as (made, used):
        quota = made.open(NODE)
        await quota.report(ANONYMOUS, tenant(plan=Plan(samples_per_s=10)), 100)
        await charge(quota, 10)
        quota.used(10, 0)
        with pytest.raises(Throttled, match="10 samples for this tenant"):
            await charge(quota, 1)
        assert used["acme"].samples == 10


async def test_callers_with_long_names_are_told_apart() -> None:
    async with rates(rate_key_per_minute=1) as (made, _):
        for name in ("https://issuer.example|" + "a" * 300, "https://issuer.example|" + "a" * 300 + "b"):
            principal = Principal(PrincipalKind.EXTERNAL, name, "x")
            await made.open(NODE).admit(principal, None)
            with pytest.raises(Throttled):
                await made.open(NODE).admit(principal, None)


@pytest.mark.parametrize("fresh", [True, False])
async def test_plans_are_taken_from_memory_or_looked_up(fresh: bool) -> None:
    async with rates(Known(tenant(plan=Plan(requests_per_s=1)), fresh)) as (made, _):
        await made.open(NODE).admit(ANONYMOUS, "acme")
        with pytest.raises(Throttled, match="1 requests for this tenant"):
            await made.open(NODE).admit(ANONYMOUS, "acme")


async def test_nobody_waits_long_for_a_plan_and_nobody_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLAN_WAIT_S", 0.01)
    asked: list[str] = []

    class Hanging(Known):
        async def require(self, tenant: str) -> Tenant:
            asked.append(tenant)
            await asyncio.Event().wait()
            raise AssertionError("it hangs")

    async with rates(Hanging()) as (made, _):
        for name in ("acme", "acme", "globex"):
            await made.open(NODE).admit(ANONYMOUS, name)
        assert asked == ["acme"]


async def refused_whole(made: RateLimits, name: str = "acme") -> None:
    quota = made.open(NODE)
    await quota.admit(ANONYMOUS, name)
    with pytest.raises(Throttled):
        await charge(quota, 1)


@pytest.mark.parametrize("wait_s", [0.001, module.PLAN_WAIT_S])
async def test_a_plan_holds_on_while_the_store_is_silent(wait_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential_cache, "LOOKUP_WAIT_S", 0.01)
    monkeypatch.setattr(module, "PLAN_WAIT_S", wait_s)
    tenants, clock = Tenants(), ManualClock()
    known = KnownTenants(tenants, clock, lambda: None)  # type: ignore[arg-type]
    limiter = Limiter(Shared(clock), clock, MetricSet(LIMITS_METRICS))
    made = RateLimits(settings(), limiter, known, clock)
    await refused_whole(made)
    tenants.silent = True
    for _ in range(8):
        clock.advance(credential_cache.TTL_S)
        monkeypatch.setattr(module, "PLAN_WAIT_S", 0.01)
        await made.open(NODE).admit(
            ANONYMOUS, "globex"
        )  # nobody knows its plan: that pauses, but for nobody who is known
        monkeypatch.setattr(module, "PLAN_WAIT_S", wait_s)
        made.by_tenant.clear()
        await refused_whole(made)
    clock.advance(credential_cache.MAX_STALE_S)
    await refused_whole(made)
    await known.close()
    await limiter.close()


async def test_a_changed_plan_holds_after_a_second() -> None:
    known = Known(tenant(plan=Plan(samples_per_s=1)))
    async with rates(known) as (made, _):
        for plan, fits in ((Plan(samples_per_s=1), False), (Plan(), False), (Plan(), True)):
            known.found = tenant(plan=plan)
            quota = made.open(NODE)
            await quota.admit(ANONYMOUS, "acme")
            if fits:
                await charge(quota, 2)
            else:
                with pytest.raises(Throttled):
                    await charge(quota, 2)
            made.limiter._clock.advance(LIMITS_KEPT_S / 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [NotFound("tenant"), TenantInactive()])
async def test_a_tenant_that_is_not_there_is_refused(error: Exception) -> None:
    async with rates(Known(error)) as (made, _):
        with pytest.raises(type(error)):
            await made.open(NODE).admit(ANONYMOUS, "acme")


async def test_the_series_limit_is_that_of_the_plan_or_unknown() -> None:
    known = Known(tenant(plan=Plan(series=7)))
    assert await series_limits(known)("acme") == 7
    for error in (StoreUnavailable(), NotFound("tenant")):
        known.found = error
        with pytest.raises(Retryable, match="acme"):
            await series_limits(known)("acme")


async def test_as_many_plans_as_there_may_be_are_remembered() -> None:
    async with rates() as (made, _):
        for amount in range(10_000):
            assert made.samples.planned(amount) == Limit(LimitName.SAMPLES, amount, 1)
        assert len(made.samples._planned) <= 4_096
        assert made.samples.planned(None) is None
