"""The sites of tenants: what is where, on which host, under which account.

sites  {_id: "<tenant>/<site>", tenant, site, host, name, account, directory, ports, domains, limits, created, updated,
        version}

Written by api; read by ingest, which lets no host speak for the sites of another, and by what shows them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo.errors import DuplicateKeyError
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.errors import VigieError

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, Session, bounded, exactly, reading
from vigie_storage.tenancy import TenantCollection

MAX_SITES: Final = 5_000
"""Of a tenant."""


class SiteTaken(VigieError):  # noqa: N818 - named after what is wrong
    """There is a site with this id."""

    def __init__(self, site: str) -> None:
        super().__init__(f"there is a site {site} already")


class SiteMoved(VigieError):  # noqa: N818 - named after what is wrong
    """Somebody else has changed or removed it meanwhile."""

    def __init__(self, site: str) -> None:
        super().__init__(f"the site {site} was changed or removed meanwhile")


@dataclass(frozen=True, slots=True)
class Site:
    """`limits`: bytes by `memory` and `disk`; ports are pairs of first and last."""

    id: str
    host: str
    name: str
    account: str
    directory: str
    ports: tuple[tuple[int, int], ...]
    domains: tuple[str, ...]
    limits: Mapping[str, int]
    created: datetime
    updated: datetime
    version: int = 1


class Sites:
    """The collection `sites`. All methods raise StoreUnavailable, but in a session."""

    def __init__(self, db: Database) -> None:
        self._store = TenantCollection(db, collections.SITES)

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(4):
            await self._store.ensure()

    async def get(self, tenant: TenantId, site: str, session: Session | None = None) -> Site | None:
        """By its id."""
        with bounded():
            found = await self._store.of(tenant).one({"site": exactly(site)}, session)
        return None if found is None else _site(found)

    async def page(
        self,
        tenant: TenantId,
        limit: int,
        *,
        after: str = "",
        host: str | None = None,
        only: Collection[str] | None = None,
    ) -> list[Site]:
        """By id, those after `after`, at most 1,001; of one host, and of `only` these, if given."""
        wanted: Document = {"$gt": after}
        if only is not None:
            wanted["$in"] = sorted(only)
        query: Document = {"site": wanted} | ({} if host is None else {"host": exactly(host)})
        with bounded():
            found = await self._store.of(tenant).first(query, "site", limit)
        return [_site(one) for one in found]

    async def hosts_of(self, tenant: TenantId) -> dict[str, str]:
        """The host of every site."""
        async with reading():
            rows = self._store.of(tenant).find(
                {}, {"_id": 0, "site": 1, "host": 1}, batch_size=MAX_SITES, max_time_ms=MAX_TIME_MS
            )
            found = await rows.limit(MAX_SITES).to_list()
        return {one["site"]: one["host"] for one in found}

    async def count(self, tenant: TenantId, host: str | None = None, session: Session | None = None) -> int:
        """How many there are, of one host if it is given."""
        with bounded():
            query: Document = {} if host is None else {"host": exactly(host)}
            return await self._store.of(tenant).count(query, MAX_SITES, session)

    async def add(self, tenant: TenantId, site: Site, session: Session) -> None:
        """A new one. Raises SiteTaken."""
        document = {"_id": f"{tenant}/{site.id}", "site": site.id, "created": site.created, **_fields(site)}
        try:
            await self._store.of(tenant).insert(document, session)
        except DuplicateKeyError as e:
            raise SiteTaken(site.id) from e

    async def put(self, tenant: TenantId, site: Site, before: int, session: Session) -> None:
        """In the place of the version `before`. Raises SiteMoved."""
        query = {"site": exactly(site.id), "version": before}
        if await self._store.of(tenant).change(query, {"$set": _fields(site)}, session) is None:
            raise SiteMoved(site.id)

    async def remove(self, tenant: TenantId, site: str, session: Session) -> bool:
        """Whether there was one."""
        return await self._store.of(tenant).remove({"site": exactly(site)}, session) is not None


def _fields(site: Site) -> dict[str, Any]:
    return {
        "host": site.host,
        "name": site.name,
        "account": site.account,
        "directory": site.directory,
        "ports": [list(pair) for pair in site.ports],
        "domains": list(site.domains),
        "limits": dict(site.limits),
        "updated": site.updated,
        "version": site.version,
    }


def _site(document: Mapping[str, Any]) -> Site:
    return Site(
        id=document["site"],
        host=document["host"],
        name=document["name"],
        account=document["account"],
        directory=document["directory"],
        ports=tuple((first, last) for first, last in document["ports"]),
        domains=tuple(document["domains"]),
        limits=document["limits"],
        created=document["created"],
        updated=document["updated"],
        version=document["version"],
    )
