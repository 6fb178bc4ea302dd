"""The tenants that exist and are active, with their plans, cached: a request needs no look-up in the store.

tenant = known.at_once(text) or await known.require(text)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vigie_contracts.tenants import TenantId, tenant_id
from vigie_runtime.clock import Clock

from vigie_identity.credential_cache import CredentialCache, Found, Rejected
from vigie_identity.errors import NotFound, TenantInactive
from vigie_identity.metrics import CacheName
from vigie_identity.tenants import WHAT, Tenant, Tenants

MAX_KNOWN: Final = 50_000


class KnownTenants:
    """What it says of a tenant is 5 s old at most, or 15 min while MongoDB is away. For one event loop."""

    def __init__(self, tenants: Tenants, clock: Clock, on_stale: Callable[[], object]) -> None:
        """`on_stale` is called for each cached result that could not be looked up again."""
        self._tenants = tenants
        self._cache: CredentialCache[Tenant, None] = CredentialCache(
            CacheName.TENANTS, clock, max_weight=MAX_KNOWN, weigh=lambda _: 1, on_stale=on_stale
        )

    def at_once(self, tenant: str) -> Tenant | None:
        """Return the active tenant from the cache; None when it has to be looked up (`require`). Raises NotFound,
        TenantInactive."""
        answer = self._cache.at_once(tenant)
        return None if answer is None else _active(answer)

    def remembered(self, tenant: str) -> Tenant | None:
        """Return the tenant as it was up to 15 min ago, active or not; None when it is not cached. Asks no store."""
        return self._cache.remembered(tenant)

    async def require(self, tenant: str) -> Tenant:
        """Return the active tenant with this id. Raises NotFound, TenantInactive; StoreUnavailable, Busy."""
        if (named := tenant_id(tenant)) is None:
            raise NotFound(WHAT)
        return _active(await self._cache.get(named, lambda: self._load(named)))

    async def close(self) -> None:
        """End what is under way."""
        await self._cache.close()

    async def _load(self, tenant: TenantId) -> Found[Tenant] | Rejected[None]:
        try:
            return Found(await self._tenants.get(tenant))
        except NotFound:
            return Rejected(None)


def _active(answer: Tenant | Rejected[None]) -> Tenant:
    if isinstance(answer, Rejected):
        raise NotFound(WHAT)
    if not answer.active:
        raise TenantInactive
    return answer
