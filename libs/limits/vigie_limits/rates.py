"""Who is counted for what: settings and plans become limits, a request is charged to them.

What comes without a credential, or is refused for the one it has, counts against its address; what comes with a good
one counts against that one, wherever it comes from. Both count against the tenant.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from vigie_identity.errors import Busy, IdentityError, StoreUnavailable
from vigie_identity.names import TenantId
from vigie_identity.principal import Principal, PrincipalKind
from vigie_identity.tenants import Plan
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
_MAX_WHO_CHARS: Final = 64
_NO_PLAN: Final = Plan()


class Rates:
    """The limits of a service, and what requests are charged with."""

    def __init__(
        self, settings: LimitSettings, limiter: Limiter, tenants: Tenants, clock: Clock, usage: UsageMeter | None = None
    ) -> None:
        """`usage` counts, per tenant, what is charged and taken."""
        self.limiter = limiter
        self.tenants = tenants
        self.clock = clock
        self.usage = usage
        self.address = limit(Scope.ADDRESS, settings.rate_ip_per_minute, MINUTE_S)
        self.key = limit(Scope.KEY, settings.rate_key_per_minute, MINUTE_S)
        self.telemetry = limit(Scope.TELEMETRY, settings.rate_telemetry_per_minute, MINUTE_S)
        self._requests = limit(Scope.TENANT, settings.rate_tenant_requests_per_s, 1)
        self._samples = limit(Scope.SAMPLES, settings.rate_tenant_samples_per_s, 1)

    def open(self, origin: Origin) -> Charges:
        """What one request from there is charged with: nothing yet."""
        return Charges(self, origin)

    def of_plan(self, plan: Plan) -> tuple[Limit | None, Limit | None]:
        """(requests, samples) of a tenant."""
        requests, samples = plan.requests_per_s, plan.samples_per_s
        return (
            self._requests if requests is None else _limit(Scope.TENANT, requests, 1),
            self._samples if samples is None else _limit(Scope.SAMPLES, samples, 1),
        )


class Charges:
    """One request's. Every method that charges raises Throttled when a limit does not allow it."""

    __slots__ = ("_accounts", "_origin", "_rates", "_samples", "_tenant")

    def __init__(self, rates: Rates, origin: Origin) -> None:
        self._rates = rates
        self._origin = origin
        self._accounts: list[Account] = []
        self._samples: Limit | None = None
        self._tenant: TenantId | None = None

    async def refused(self, error: IdentityError) -> None:
        """The request is refused for who sends it."""
        if error.status < 500:  # else nobody knows who it is, and it is not the sender's fault
            await self._charge_address()

    async def admit(self, principal: Principal, tenant: TenantId | None) -> None:
        """The request is of this caller and about this tenant, or about none."""
        if tenant is not None:
            self._tenant = tenant
            if (usage := self._rates.usage) is not None:
                usage.of(tenant).requests += 1
        if principal.kind is PrincipalKind.ANONYMOUS:
            await self._charge_address()
        elif (limit := self._rates.key) is not None:
            await self._charge(limit, _who(principal))
        if tenant is not None:
            requests, self._samples = self._rates.of_plan(await self._plan(tenant))
            if requests is not None:
                await self._charge(requests, tenant)

    async def report(self, tenant: TenantId) -> None:
        """A report for a tenant that exists; its sender says only which."""
        self._tenant = tenant
        if (limit := self._rates.telemetry) is not None:
            await self._charge(limit, tenant)

    async def samples(self, count: int) -> None:
        """All of so many samples, or none."""
        if count and self._samples is not None and self._tenant is not None:
            await self._charge(self._samples, self._tenant, count)

    def took(self, samples: int, rejected: int = 0) -> None:
        """What became of the request's items; for the tenant's usage."""
        if (usage := self._rates.usage) is not None and self._tenant is not None:
            tally = usage.of(self._tenant)
            tally.samples += samples
            tally.rejected += rejected

    def headers(self) -> Headers:
        """What the answer tells of the limits."""
        return rate_headers(self._accounts, self._rates.clock.monotonic())

    async def _plan(self, tenant: TenantId) -> Plan:
        tenants = self._rates.tenants
        try:
            return (tenants.at_once(tenant) or await tenants.require(tenant)).plan
        except (StoreUnavailable, Busy):  # senders are served then too, as if nothing were agreed with their tenant
            return _NO_PLAN

    async def _charge_address(self) -> None:
        if (limit := self._rates.address) is not None and not self._origin.local:
            await self._charge(limit, self._origin.place)

    async def _charge(self, limit: Limit, who: str, cost: int = 1) -> None:
        account = self._rates.limiter.account(limit, who)
        if account.spend(cost, self._rates.clock.monotonic()):
            self._accounts.append(account)
            return
        wait_s = await self._rates.limiter.more(account, cost)
        if not wait_s:
            self._accounts.append(account)
            return
        self._accounts = [account]  # the one that the answer is about
        if (usage := self._rates.usage) is not None and self._tenant is not None:
            usage.of(self._tenant).throttled += 1
        raise Throttled(limit, cost, wait_s)


def limit(scope: Scope, amount: int, window_s: int) -> Limit | None:
    """None when the amount is 0: there is no limit."""
    return _limit(scope, amount, window_s) if amount else None


@lru_cache(4_096)
def _limit(scope: Scope, amount: int, window_s: int) -> Limit:
    return Limit(scope, amount, window_s)


def _who(principal: Principal) -> str:
    """One caller: ids of keys and of users differ, those of others name their issuer."""
    who = principal.id
    return (
        who if len(who) <= _MAX_WHO_CHARS else blake2b(who.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    )
