"""How many sites a host has, and how many users its tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database

from vigie_storage import collections
from vigie_storage.mongo import bounded, exactly
from vigie_storage.tenancy import TenantCollection

_MOST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Totals:
    sites: int = 0
    users: int = 0


class HostTotals:
    """Counts them."""

    def __init__(self, db: Database) -> None:
        self._sites = TenantCollection(db, collections.SITES)
        self._users = TenantCollection(db, collections.USERS)

    async def of(self, tenant: TenantId, host: str) -> Totals:
        """Raises StoreUnavailable."""
        with bounded(2):
            sites = await self._sites.of(tenant).count({"host": exactly(host)}, _MOST)
            return Totals(sites, await self._users.of(tenant).count({}, _MOST))
