"""Tenants as every request needs them: there, active, and what their plans allow, without asking a store each time.

tenant = known.at_once(text) or await known.require(text)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vigie_contracts.tenants import TenantId, is_tenant
from vigie_runtime.clock import Clock

from vigie_identity.credential_cache import Bad, Good, Memory
from vigie_identity.errors import NotFound, TenantInactive
from vigie_identity.metrics import Remembered
from vigie_identity.tenants import WHAT, Tenant, Tenants

MAX_KNOWN: Final = 50_000


class KnownTenants:
    """What it says of a tenant is 5 s old at most, or 15 min while MongoDB is away. For one event loop."""

    def __init__(self, tenants: Tenants, clock: Clock, stale: Callable[[], object]) -> None:
        """`stale` is called for each answer from memory that is older than it should be."""
        self._tenants = tenants
        self._memory: Memory[Tenant, None] = Memory(
            Remembered.TENANTS, clock, room=MAX_KNOWN, weigh=lambda _: 1, stale=stale
        )

    def at_once(self, tenant: str) -> Tenant | None:
        """`require` in a microsecond; None when the tenant has to be looked up. Raises NotFound, TenantInactive."""
        answer = self._memory.at_once(tenant)
        return None if answer is None else _active(answer)

    def remembered(self, tenant: str) -> Tenant | None:
        """The tenant as it was, active or not, up to 15 min ago; None when that is not known. Asks nobody."""
        return self._memory.remembered(tenant)

    async def require(self, tenant: str) -> Tenant:
        """The active tenant of that id. Raises NotFound, TenantInactive; StoreUnavailable, Busy."""
        if not is_tenant(tenant):
            raise NotFound(WHAT)
        return _active(await self._memory.ask(tenant, lambda: self._load(TenantId(tenant))))

    async def close(self) -> None:
        """End what is under way."""
        await self._memory.close()

    async def _load(self, tenant: TenantId) -> Good[Tenant] | Bad[None]:
        try:
            return Good(await self._tenants.get(tenant))
        except NotFound:
            return Bad(None)


def _active(answer: Tenant | Bad[None]) -> Tenant:
    if isinstance(answer, Bad):
        raise NotFound(WHAT)
    if not answer.active:
        raise TenantInactive
    return answer
