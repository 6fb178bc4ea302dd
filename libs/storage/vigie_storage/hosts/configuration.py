"""How hosts are watched, as it is configured.

monitoring_config  {_id: "<tenant>/<host>", tenant, host, value, version, changed, by}

`host` is empty in what holds for the whole tenant. `value` is a `MonitoringConfig` in the names of the wire; null: the
host's own was taken back, and it goes by the tenant's again. Written by api; alerting makes rules of it, the aggregator
keeps reports as long as it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from pymongo.errors import DuplicateKeyError
from vigie_contracts.monitoring import DEFAULT, MAX_OWN_HOSTS, MonitoringConfig
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database
from vigie_runtime.errors import VigieError

from vigie_storage import collections
from vigie_storage.mongo import Session, bounded
from vigie_storage.tenancy import TenantCollection, Why


class ConfigMoved(VigieError):  # noqa: N818 - named after what is wrong
    """Somebody else has changed it meanwhile."""

    def __init__(self) -> None:
        super().__init__("the configuration was changed meanwhile")


@dataclass(frozen=True, slots=True)
class StoredConfig:
    """`config` None: a host's own, taken back. `version` 0: nobody has configured anything."""

    host: str
    config: MonitoringConfig | None
    version: int
    changed: datetime | None
    by: str


@dataclass(frozen=True, slots=True)
class TenantConfig:
    """Of a tenant and its hosts."""

    tenant: StoredConfig
    hosts: Mapping[str, StoredConfig]

    def of(self, host: str) -> MonitoringConfig:
        """What a host goes by."""
        own = self.hosts.get(host)
        return (own.config if own else None) or self.tenant.config or DEFAULT

    @property
    def own(self) -> dict[str, MonitoringConfig]:
        """The hosts that have one of their own."""
        return {host: one.config for host, one in sorted(self.hosts.items()) if one.config is not None}

    @property
    def changed(self) -> datetime | None:
        """When anything of it was changed last; None: never."""
        times = [one.changed for one in (self.tenant, *self.hosts.values()) if one.changed is not None]
        return max(times, default=None)

    @property
    def version(self) -> int:
        """Grows with each change."""
        return self.tenant.version + sum(one.version for one in self.hosts.values())


class MonitoringConfigs:
    """The collection `monitoring_config`. All methods raise StoreUnavailable, but in a session."""

    def __init__(self, db: Database) -> None:
        self._store = TenantCollection(db, collections.MONITORING_CONFIG)

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(4):
            await self._store.ensure()

    async def all_of(self, tenant: TenantId) -> TenantConfig:
        """Of a tenant and its hosts."""
        with bounded():
            found = [_stored(one) for one in await self._store.of(tenant).first({}, "_id", _PAGE)]
        return _together(found)

    async def of_everybody(self) -> dict[TenantId, TenantConfig]:
        """Of every tenant that has configured something."""
        with bounded(2):
            rows = await self._store.across(Why.NOTIFY).find().to_list()
        tenants: dict[TenantId, list[StoredConfig]] = {}
        for one in rows:
            tenants.setdefault(TenantId(one["tenant"]), []).append(_stored(one))
        return {tenant: _together(found) for tenant, found in tenants.items()}

    async def put(self, tenant: TenantId, one: StoredConfig, session: Session) -> None:
        """The next version; that before it must be the present one. Raises ConfigMoved."""
        value = None if one.config is None else msgspec.to_builtins(one.config)
        fields = {"value": value, "version": one.version, "changed": one.changed, "by": one.by}
        mine, id_ = self._store.of(tenant), f"{tenant}/{one.host}"
        if one.version > 1:
            query = {"_id": id_, "version": one.version - 1}
            if await mine.change(query, {"$set": fields}, session) is None:
                raise ConfigMoved
            return
        try:
            await mine.insert({"_id": id_, "host": one.host, **fields}, session)
        except DuplicateKeyError as e:
            raise ConfigMoved from e


MAX_KNOWN_HOSTS: Final = MAX_OWN_HOSTS * 4
"""A host's own that was taken back stays."""
_PAGE: Final = MAX_KNOWN_HOSTS + 1
"""With that of the tenant."""


def _together(found: list[StoredConfig]) -> TenantConfig:
    tenant = next((one for one in found if not one.host), StoredConfig("", None, 0, None, ""))
    return TenantConfig(tenant, {one.host: one for one in found if one.host})


def _stored(document: Mapping[str, Any]) -> StoredConfig:
    value = document["value"]
    return StoredConfig(
        document["host"],
        None if value is None else msgspec.convert(value, MonitoringConfig),
        document["version"],
        document["changed"],
        document["by"],
    )
