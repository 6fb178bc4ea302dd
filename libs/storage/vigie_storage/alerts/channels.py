"""The channels of tenants, with their secrets.

alert_channels  {_id, tenant, name, type, destination, secrets: {name: value}, version, updated, by}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pymongo.errors import DuplicateKeyError
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock

from vigie_storage import collections
from vigie_storage.mongo import bounded, exactly
from vigie_storage.tenancy import TenantCollection

MAX_PER_TENANT: Final = 200


@dataclass(frozen=True, slots=True)
class StoredChannel:
    """`destination` and `secrets` are not shown as they are."""

    id: str
    tenant: TenantId
    name: str
    type: str
    destination: str = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    version: int
    """Each change adds 1."""
    updated: datetime
    by: str


class ChannelStore:
    """The collection `alert_channels`. All methods raise StoreUnavailable."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._store = TenantCollection(db, collections.ALERT_CHANNELS)
        self._clock = clock

    async def prepare(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(5):
            await self._store.ensure()

    async def add(self, channel: StoredChannel) -> bool:
        """Whether it was added: not when the tenant has one of that name, or as many as it may have."""
        mine = self._store.of(channel.tenant)
        with bounded(2):
            if await mine.count({}, MAX_PER_TENANT) >= MAX_PER_TENANT:
                return False
            try:
                await mine.insert({"_id": channel.id, "version": 1, **self._fields(channel)})
            except DuplicateKeyError:
                return False
        return True

    async def replace(self, channel: StoredChannel) -> StoredChannel | None:
        """Put it in the place of the version that it has. None when that is not the newest, or the name is taken."""
        query = {"_id": exactly(channel.id), "version": channel.version}
        update = {"$set": self._fields(channel), "$inc": {"version": 1}}
        with bounded():
            try:
                found = await self._store.of(channel.tenant).change(query, update)
            except DuplicateKeyError:
                return None
        return _stored(found) if found else None

    async def get(self, tenant: TenantId, id: str) -> StoredChannel | None:  # noqa: A002 - what it is called
        """By its id."""
        return await self._one(tenant, {"_id": exactly(id)})

    async def named(self, tenant: TenantId, name: str) -> StoredChannel | None:
        """By its name."""
        return await self._one(tenant, {"name": exactly(name)})

    async def all(self, tenant: TenantId) -> list[StoredChannel]:
        """Those of the tenant, by name."""
        with bounded():
            found = await self._store.of(tenant).first({}, "name", MAX_PER_TENANT)
        return [_stored(document) for document in found]

    async def remove(self, tenant: TenantId, id: str) -> bool:  # noqa: A002
        """Whether there was one."""
        with bounded():
            return await self._store.of(tenant).remove({"_id": exactly(id)}) is not None

    async def _one(self, tenant: TenantId, query: Document) -> StoredChannel | None:
        with bounded():
            found = await self._store.of(tenant).one(query)
        return _stored(found) if found else None

    def _fields(self, channel: StoredChannel) -> Document:
        return {
            "name": channel.name,
            "type": channel.type,
            "destination": channel.destination,
            "secrets": dict(channel.secrets),
            "updated": datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC),
            "by": channel.by,
        }


def _stored(document: Mapping[str, Any]) -> StoredChannel:
    return StoredChannel(
        document["_id"],
        TenantId(document["tenant"]),
        document["name"],
        document["type"],
        document["destination"],
        document["secrets"],
        document["version"],
        document["updated"],
        document["by"],
    )
