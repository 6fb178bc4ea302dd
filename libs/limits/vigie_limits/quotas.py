"""Rate limits and quotas: settings and plans become limits, and each request is charged to them.

What comes without a credential, or is refused for the one it has, counts against its address; what comes with a good
one counts against that one, wherever it comes from. Both count against the tenant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from hashlib import blake2b
from math import inf
from typing import Final, NoReturn

from vigie_contracts.telemetry import MAX_TELEMETRY_BYTES
from vigie_identity.credential_cache import LOOKUP_WAIT_S
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.principal import Principal, PrincipalKind
from vigie_identity.tenants import Plan, Tenant
from vigie_runtime.addresses import Origin
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Busy, ProblemError, StoreUnavailable

from vigie_limits.counter import Limit, LimitName, QuotaCounter
from vigie_limits.errors import Throttled
from vigie_limits.headers import Headers, rate_headers
from vigie_limits.limiter import Limiter
from vigie_limits.settings import LimitSettings
from vigie_limits.usage import UsageMeter

MINUTE_S: Final = 60
PLAN_WAIT_S: Final = 2 * LOOKUP_WAIT_S
"""For one that is cached the cache itself waits less."""
PLAN_PAUSE_S: Final = 1.0
LIMITS_KEPT_S: Final = 1.0
"""So long a tenant's limits are not looked up again."""
ADDRESSES: Final = 5
"""So many addresses it takes to use up a tenant's reports without a credential. With the default settings each has room
for the 60 nodes of one tenant behind it."""
_MAX_CALLER_CHARS: Final = 64
_MAX_PLANNED: Final = 4_096
_MAX_TENANTS: Final = 20_000
_NO_PLAN: Final = Plan()


class RateLimits:
    """The limits of a service, and what requests are charged with."""

    def __init__(
        self,
        settings: LimitSettings,
        limiter: Limiter,
        tenants: KnownTenants,
        clock: Clock,
        usage: UsageMeter | None = None,
    ) -> None:
        """`usage` counts, per tenant, what is charged and taken."""
        self.limiter = limiter
        self.usage = usage
        self.now = clock.monotonic
        self.address = RateLimit(limiter, LimitName.ADDRESS, settings.rate_ip_per_minute, MINUTE_S)
        self.key = RateLimit(limiter, LimitName.KEY, settings.rate_key_per_minute, MINUTE_S)
        reports = settings.rate_telemetry_per_minute
        self.telemetry = RateLimit(limiter, LimitName.TELEMETRY, reports, MINUTE_S)
        part = max(1, reports // ADDRESSES) if reports else 0
        self.telemetry_address = RateLimit(limiter, LimitName.TELEMETRY_ADDRESS, part, MINUTE_S)
        size = settings.rate_telemetry_bytes_per_minute
        sizes = [max(MAX_TELEMETRY_BYTES, size // parts) if size else 0 for parts in (1, ADDRESSES)]
        self.telemetry_bytes = RateLimit(limiter, LimitName.TELEMETRY_BYTES, sizes[0], MINUTE_S)
        self.telemetry_address_bytes = RateLimit(limiter, LimitName.TELEMETRY_ADDRESS_BYTES, sizes[1], MINUTE_S)
        self.requests = RateLimit(limiter, LimitName.TENANT, settings.rate_tenant_requests_per_s, 1)
        self.samples = RateLimit(limiter, LimitName.SAMPLES, settings.rate_tenant_samples_per_s, 1)
        self.by_tenant: dict[str, TenantLimits] = {}
        """What holds for tenants, for `until`; then ask `learn`."""
        self._tenants = tenants
        self._no_plans_until = -inf

    def open(self, origin: Origin) -> RequestQuota:
        """Return the quota of one request from there; nothing is charged yet."""
        return RequestQuota(self, origin)

    async def learn(self, tenant: str) -> TenantLimits:
        """Look up the limits of a tenant. Raises NotFound, TenantInactive."""
        plan = await self._plan(tenant)
        last = self.by_tenant.get(tenant)
        if plan is None and last is not None:
            last.until = self.now() + LIMITS_KEPT_S
            return last
        if len(self.by_tenant) >= _MAX_TENANTS:
            self.by_tenant.clear()
        limits = self.by_tenant[tenant] = self.of_plan(plan or _NO_PLAN)
        return limits

    def of_plan(self, plan: Plan) -> TenantLimits:
        """Return the limits of a tenant with that plan."""
        requests, samples = self.requests.planned(plan.requests_per_s), self.samples.planned(plan.samples_per_s)
        return TenantLimits(requests, samples, self.now() + LIMITS_KEPT_S)

    async def _plan(self, tenant: str) -> Plan | None:
        """None while it cannot be read and is not remembered. After one request found that out, others about such
        tenants do not wait."""
        known = self._tenants.at_once(tenant)
        if known is not None:
            return known.plan
        remembered = self._tenants.remembered(tenant)
        if remembered is None and self.now() < self._no_plans_until:
            return None
        try:
            async with asyncio.timeout(PLAN_WAIT_S):
                return (await self._tenants.require(tenant)).plan
        except (StoreUnavailable, Busy, TimeoutError):
            if remembered is not None:
                return remembered.plan
            self._no_plans_until = self.now() + PLAN_PAUSE_S
            return None


@dataclass(slots=True)  # not frozen: that would cost more to make
class TenantLimits:
    """The limits of a tenant, None where there is none, good until a monotonic time."""

    requests: Limit | None = None
    samples: Limit | None = None
    until: float = -inf


class RateLimit:
    """One kind of limit of a service: how much, and on which counters."""

    __slots__ = ("_name", "_planned", "_window_s", "counters", "limit")

    def __init__(self, limiter: Limiter, name: LimitName, amount: int, window_s: int) -> None:
        self.counters = limiter.counters(name)
        self.limit = Limit(name, amount, window_s) if amount else None
        """What the settings say; None: no limit."""
        self._name = name
        self._window_s = window_s
        self._planned: dict[int, Limit] = {}

    def planned(self, amount: int | None) -> Limit | None:
        """Return the limit of a plan, or that of the settings when the plan has none."""
        if amount is None:
            return self.limit
        limit = self._planned.get(amount)
        if limit is None:
            if len(self._planned) >= _MAX_PLANNED:
                self._planned.clear()
            limit = self._planned[amount] = Limit(self._name, amount, self._window_s)
        return limit


class RequestQuota:
    """What one request is charged to. Every method that charges raises Throttled when a limit does not allow it."""

    __slots__ = ("_counters", "_limits", "_origin", "_rates", "_tenant")

    def __init__(self, rates: RateLimits, origin: Origin) -> None:
        self._rates = rates
        self._origin = origin
        self._counters: list[QuotaCounter] = []
        self._limits = _NO_LIMITS
        self._tenant: str | None = None

    @property
    def client(self) -> str | None:
        """The client that is counted; None: this machine itself."""
        return None if self._origin.local else self._origin.place

    def check_lookup(self) -> None:
        """Before a credential is looked up that is not known: one address cannot make it a burden. Raises Throttled
        when that address is known to be over its limit; asks nobody, and takes nothing."""
        counter = self._address()
        if counter is not None and (wait_s := self._rates.limiter.refused(counter)):
            self._refuse(counter, 1, wait_s)

    async def refused(self, error: ProblemError) -> None:
        """Charge the address of a request that was refused for its credential."""
        if isinstance(error, Throttled):
            return  # by `check_lookup`
        if error.status < 500 or isinstance(error, Busy):  # else nobody knows who it is, and it is our fault
            await self._charge_address()

    async def admit(self, principal: Principal, tenant: str | None) -> None:
        """Charge an authorised request to its caller and its tenant, if it has one."""
        rates = self._rates
        if tenant is not None:
            self._tenant = tenant
            if rates.usage is not None:
                rates.usage.of(tenant).requests += 1
        if principal.kind is PrincipalKind.ANONYMOUS:
            if not self._origin.local:
                await self._charge_address()
        elif (limit := rates.key.limit) is not None:
            counter = rates.key.counters.get(limit, _caller(principal))
            if not self._spend(counter):
                await self._acquire(counter)
        if tenant is None:
            return
        limits = rates.by_tenant.get(tenant)
        if limits is None or rates.now() >= limits.until:
            limits = await rates.learn(tenant)
        self._limits = limits
        if limits.requests is not None:
            counter = rates.requests.counters.get(limits.requests, tenant)
            if not self._spend(counter):
                await self._acquire(counter)

    async def report(self, principal: Principal, tenant: Tenant, size: int) -> None:
        """After `admit` without a tenant: the body, of `size` bytes, names one, which is there. Its sender needs no
        credential for it, but what others send without one takes nothing away from who has one."""
        rates = self._rates
        self._tenant, self._limits = tenant.id, rates.of_plan(tenant.plan)
        if rates.usage is not None:
            rates.usage.of(tenant.id).requests += 1
        if principal.kind is not PrincipalKind.ANONYMOUS:
            await self._charge_rate(rates.telemetry, f"{tenant.id} {_caller(principal)}")
            return
        if not self._origin.local:
            caller = f"{tenant.id} {self._origin.place}"
            await self._charge_rate(rates.telemetry_address, caller)
            await self._charge_rate(rates.telemetry_address_bytes, caller, size)
        await self._charge_rate(rates.telemetry, tenant.id)
        await self._charge_rate(rates.telemetry_bytes, tenant.id, size)

    def charge(self, samples: int) -> Awaitable[None] | None:
        """Charge all samples or none. Returns None when that is done, as nearly always, else an awaitable."""
        limit = self._limits.samples
        if limit is None or not samples or self._tenant is None:
            return None
        counter = self._rates.samples.counters.get(limit, self._tenant)
        return None if self._spend(counter, samples) else self._acquire(counter, samples)

    def used(self, samples: int, rejected: int) -> None:
        """Record the accepted and rejected items of the request in the tenant's usage. To be called once, at the
        end."""
        if (usage := self._rates.usage) is not None and self._tenant is not None:
            tally = usage.of(self._tenant)
            tally.samples += samples
            tally.rejected += rejected

    def headers(self) -> Headers:
        """Return the RateLimit headers of the response."""
        return rate_headers(self._counters, self._rates.now()) if self._counters else []

    async def _charge_address(self) -> None:
        counter = self._address()
        if counter is not None and not self._spend(counter):
            await self._acquire(counter)

    def _address(self) -> QuotaCounter | None:
        rate = self._rates.address
        if rate.limit is None or self._origin.local:
            return None
        return rate.counters.get(rate.limit, self._origin.place)

    async def _charge_rate(self, rate: RateLimit, caller: str, cost: int = 1) -> None:
        if rate.limit is not None and not self._spend(counter := rate.counters.get(rate.limit, caller), cost):
            await self._acquire(counter, cost)

    def _spend(self, counter: QuotaCounter, cost: int = 1) -> bool:
        """Whether its lease has as much, as nearly always."""
        self._counters.append(counter)
        return counter.spend(cost, self._rates.now())

    async def _acquire(self, counter: QuotaCounter, cost: int = 1) -> None:
        wait_s = await self._rates.limiter.acquire(counter, cost)
        if wait_s:
            self._refuse(counter, cost, wait_s)

    def _refuse(self, counter: QuotaCounter, cost: int, wait_s: float) -> NoReturn:
        self._counters = [counter]  # the one that the answer is about
        if (usage := self._rates.usage) is not None and self._tenant is not None:
            usage.of(self._tenant).throttled += 1
        raise Throttled(counter.limit, cost, wait_s)


_NO_LIMITS: Final = TenantLimits()


def _caller(principal: Principal) -> str:
    """One caller: ids of keys and of users differ, those of others name their issuer."""
    caller = principal.id
    if len(caller) <= _MAX_CALLER_CHARS:
        return caller
    return blake2b(caller.encode(errors="surrogatepass"), digest_size=16).hexdigest()
