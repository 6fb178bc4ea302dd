"""Which site is on which host, as it was a few seconds ago."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_runtime.cache import TtlCache
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.hosts.sites import Sites
from vigie_storage.mongo import TooSlow

from vigie_ingest.errors import StoreAwayError

KNOWN_S: Final = 5.0
MAX_SITES: Final = 200_000
"""That are remembered, of all tenants together."""


class SiteHosts:
    """Of every tenant that asks. For one event loop."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._sites = Sites(db)
        self._known = TtlCache[Mapping[str, str]](clock, KNOWN_S, MAX_SITES, lambda sites: 1 + len(sites))

    async def of(self, tenant: str) -> Mapping[str, str]:
        """The host of each site. Raises StoreAwayError."""
        try:
            return await self._known.get(tenant, lambda: self._sites.hosts_of(TenantId(tenant)))
        except (StoreUnavailable, TooSlow) as e:
            raise StoreAwayError from e
