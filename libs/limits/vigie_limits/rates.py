"""Who is counted for what: settings and plans become limits, a request is charged to them.

What comes without a credential, or is refused for the one it has, counts against its address; what comes with a good
one counts against that one, wherever it comes from. Both count against the tenant.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from math import inf
from typing import Final

from vigie_identity.errors import Busy, IdentityError, StoreUnavailable
from vigie_identity.principal import Principal, PrincipalKind
from vigie_identity.tenants import Plan, Tenant
from vigie_runtime.addresses import Origin
from vigie_runtime.clock import Clock

from vigie_limits.account import Account, Limit, Scope
from vigie_limits.errors import Throttled
from vigie_limits.headers import Headers, rate_headers
from vigie_limits.limiter import Limiter
from vigie_limits.plans import Tenants
from vigie_limits.settings import LimitSettings
from vigie_limits.usage import UsageMeter

MINUTE_S: Final = 60
PLAN_WAIT_S: Final = 0.25
PLAN_PAUSE_S: Final = 1.0
_MAX_WHO_CHARS: Final = 64
_MAX_PLANNED: Final = 4_096
_NO_PLAN: Final = Plan()


class Rates:
    """The limits of a service, and what requests are charged with."""

    def __init__(
        self, settings: LimitSettings, limiter: Limiter, tenants: Tenants, clock: Clock, usage: UsageMeter | None = None
    ) -> None:
        """`usage` counts, per tenant, what is charged and taken."""
        self.limiter = limiter
        self.tenants = tenants
        self._no_plans_until = -inf
        self.clock = clock
        self.usage = usage
        self.address = Toll(limiter, Scope.ADDRESS, settings.rate_ip_per_minute, MINUTE_S)
        self.key = Toll(limiter, Scope.KEY, settings.rate_key_per_minute, MINUTE_S)
        self.telemetry = Toll(limiter, Scope.TELEMETRY, settings.rate_telemetry_per_minute, MINUTE_S)
        self.requests = Toll(limiter, Scope.TENANT, settings.rate_tenant_requests_per_s, 1)
        self.samples = Toll(limiter, Scope.SAMPLES, settings.rate_tenant_samples_per_s, 1)

    def open(self, origin: Origin) -> Charges:
        """What one request from there is charged with: nothing yet."""
        return Charges(self, origin)

    async def plan(self, tenant: str) -> Plan:
        """That of a tenant not known at once. While it cannot be read, the tenant is served as if nothing were agreed,
        and after one request found that out, others do not wait. Raises NotFound, TenantInactive."""
        if self.clock.monotonic() < self._no_plans_until:
            return _NO_PLAN
        try:
            async with asyncio.timeout(PLAN_WAIT_S):
                return (await self.tenants.require(tenant)).plan
        except (StoreUnavailable, Busy, TimeoutError):
            self._no_plans_until = self.clock.monotonic() + PLAN_PAUSE_S
            return _NO_PLAN


class Toll:
    """One kind of limit of a service: how much, and on which accounts."""

    __slots__ = ("_planned", "_scope", "_window_s", "accounts", "limit")

    def __init__(self, limiter: Limiter, scope: Scope, amount: int, window_s: int) -> None:
        self.accounts = limiter.of(scope)
        self.limit = Limit(scope, amount, window_s) if amount else None
        """What the settings say; None: no limit."""
        self._scope = scope
        self._window_s = window_s
        self._planned: dict[int, Limit] = {}

    def planned(self, amount: int | None) -> Limit | None:
        """What a plan says, or the settings where it says nothing."""
        if amount is None:
            return self.limit
        limit = self._planned.get(amount)
        if limit is None:
            if len(self._planned) >= _MAX_PLANNED:
                self._planned.clear()
            limit = self._planned[amount] = Limit(self._scope, amount, self._window_s)
        return limit


class Charges:
    """One request's. Every method that charges raises Throttled when a limit does not allow it."""

    __slots__ = ("_accounts", "_origin", "_plan", "_rates", "_tenant")

    def __init__(self, rates: Rates, origin: Origin) -> None:
        self._rates = rates
        self._origin = origin
        self._accounts: list[Account] = []
        self._plan = _NO_PLAN
        self._tenant: str | None = None

    async def refused(self, error: IdentityError) -> None:
        """The request is refused for who sends it."""
        if error.status < 500 and (short := self._pay_address()):  # 5xx: nobody knows who it is, and it is our fault
            await self._more(short)

    async def admit(self, principal: Principal, tenant: str | None) -> None:
        """The request is of this caller and about this tenant, or about none."""
        rates = self._rates
        if tenant is not None:
            self._tenant = tenant
            if rates.usage is not None:
                rates.usage.of(tenant).requests += 1
        if principal.kind is PrincipalKind.ANONYMOUS:
            short = self._pay_address()
        else:
            short = self._pay(rates.key, rates.key.limit, _who(principal))
        if short:
            await self._more(short)
        if tenant is None:
            return
        known = rates.tenants.at_once(tenant)
        self._plan = await rates.plan(tenant) if known is None else known.plan
        if short := self._pay(rates.requests, rates.requests.planned(self._plan.requests_per_s), tenant):
            await self._more(short)

    async def report(self, tenant: Tenant) -> None:
        """After `admit` without a tenant: the body names one, which is there. Its sender needs no credential for it."""
        rates = self._rates
        self._tenant, self._plan = tenant.id, tenant.plan
        if rates.usage is not None:
            rates.usage.of(tenant.id).requests += 1
        if short := self._pay(rates.telemetry, rates.telemetry.limit, tenant.id):
            await self._more(short)

    async def samples(self, count: int) -> None:
        """All of so many samples, or none."""
        if not count or self._tenant is None:
            return
        samples = self._rates.samples
        if short := self._pay(samples, samples.planned(self._plan.samples_per_s), self._tenant, count):
            await self._more(short, count)

    def took(self, samples: int, rejected: int = 0) -> None:
        """What became of the request's items; for the tenant's usage."""
        if (usage := self._rates.usage) is not None and self._tenant is not None:
            tally = usage.of(self._tenant)
            tally.samples += samples
            tally.rejected += rejected

    def headers(self) -> Headers:
        """What the answer tells of the limits."""
        return rate_headers(self._accounts, self._rates.clock.monotonic()) if self._accounts else []

    def _pay_address(self) -> Account | None:
        if self._origin.local:
            return None
        return self._pay(self._rates.address, self._rates.address.limit, self._origin.place)

    def _pay(self, toll: Toll, limit: Limit | None, who: str, cost: int = 1) -> Account | None:
        """Pay from the lease: what nearly every request does. The account, when its lease has too little."""
        if limit is None:
            return None
        account = toll.accounts.get(limit, who)
        self._accounts.append(account)
        return None if account.spend(cost, self._rates.clock.monotonic()) else account

    async def _more(self, account: Account, cost: int = 1) -> None:
        wait_s = await self._rates.limiter.more(account, cost)
        if not wait_s:
            return
        self._accounts = [account]  # the one that the answer is about
        if (usage := self._rates.usage) is not None and self._tenant is not None:
            usage.of(self._tenant).throttled += 1
        raise Throttled(account.limit, cost, wait_s)


def _who(principal: Principal) -> str:
    """One caller: ids of keys and of users differ, those of others name their issuer."""
    who = principal.id
    if len(who) <= _MAX_WHO_CHARS:
        return who
    return blake2b(who.encode(errors="surrogatepass"), digest_size=16).hexdigest()
