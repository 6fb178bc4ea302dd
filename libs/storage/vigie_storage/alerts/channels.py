"""The channels of tenants, with their secrets.

alert_channels  {_id, tenant, name, type, sealed, key, version, updated, by}

`sealed` is {of: tenant and id, destination, secrets: {name: value}} as JSON, encrypted (`vigie_storage.sealing`); `key`
is the id of the key. Where there is no key, and in documents from before there was one, `destination` and `secrets`
stand for themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from pymongo.errors import DuplicateKeyError
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import VigieError

from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, exactly
from vigie_storage.sealing import Sealing
from vigie_storage.tenancy import TenantCollection, Why

log = logging.get(__name__)

MAX_PER_TENANT: Final = 200
_MAX_RESEALED: Final = 10_000
"""Channels of all tenants, at one start."""


class ChannelTaken(VigieError):  # noqa: N818 - named after what is wrong
    """The tenant has a channel of that name, or as many as it may have."""

    def __init__(self) -> None:
        super().__init__("there is a channel of this name, or there are as many as there may be")


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
    readable: bool = True
    """False: it is encrypted with a key that is not here. Destination and secrets are empty then."""


class _Sealed(msgspec.Struct):
    of: str
    destination: str
    secrets: dict[str, str]


_decoder: Final = msgspec.json.Decoder(_Sealed)


class ChannelStore:
    """The collection `alert_channels`. Methods without a session raise StoreUnavailable."""

    def __init__(self, db: Database, clock: Clock, sealing: Sealing | None = None) -> None:
        self._store = TenantCollection(db, collections.ALERT_CHANNELS)
        self._clock, self._sealing = clock, sealing or Sealing()

    async def prepare(self) -> None:
        """Make the collection and its indexes, and encrypt with the newest key what is not. Safe to repeat."""
        with bounded(5):
            await self._store.ensure()
        if self._sealing.key_id:
            await self._reseal()

    async def add(self, channel: StoredChannel, session: Session) -> None:
        """At version 1. Raises ChannelTaken."""
        mine = self._store.of(channel.tenant)
        if await mine.count({}, MAX_PER_TENANT, session) >= MAX_PER_TENANT:
            raise ChannelTaken
        try:
            await mine.insert({"_id": channel.id, "version": 1, **self._fields(channel)}, session)
        except DuplicateKeyError as e:
            raise ChannelTaken from e

    async def replace(self, channel: StoredChannel, session: Session) -> StoredChannel | None:
        """Put it in the place of the version that it has. None when that is not the newest. Raises ChannelTaken."""
        query = {"_id": exactly(channel.id), "version": channel.version}
        fields = self._fields(channel)
        gone = dict.fromkeys({"destination", "secrets", "sealed", "key"} - fields.keys(), "")
        try:
            found = await self._store.of(channel.tenant).change(
                query, {"$set": fields, "$unset": gone, "$inc": {"version": 1}}, session
            )
        except DuplicateKeyError as e:
            raise ChannelTaken from e
        return self._stored(found) if found else None

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
        return [self._stored(document) for document in found]

    async def remove(self, tenant: TenantId, id: str, session: Session) -> bool:  # noqa: A002
        """Whether there was one."""
        return await self._store.of(tenant).remove({"_id": exactly(id)}, session) is not None

    async def _one(self, tenant: TenantId, query: Document) -> StoredChannel | None:
        with bounded():
            found = await self._store.of(tenant).one(query)
        return self._stored(found) if found else None

    async def _reseal(self) -> None:
        """What another key encrypted, or none. One that is changed meanwhile is left alone: that encrypts it too."""
        rows, unreadable = self._store.across(Why.NOTIFY), 0
        with bounded(10):
            async for document in rows.find({"key": {"$ne": self._sealing.key_id}}).limit(_MAX_RESEALED):
                found = self._stored(document)
                if not found.readable:
                    unreadable += 1
                    continue
                update = {"$set": self._secret(found), "$unset": {"destination": "", "secrets": ""}}
                await rows.update_one({"_id": found.id, "version": found.version}, update)
        if unreadable:
            log.error("channels are encrypted with keys that are not set: nothing is sent there", channels=unreadable)

    def _fields(self, channel: StoredChannel) -> Document:
        return {
            "name": channel.name,
            "type": channel.type,
            **self._secret(channel),
            "updated": datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC),
            "by": channel.by,
        }

    def _secret(self, channel: StoredChannel) -> Document:
        if not self._sealing.key_id:
            return {"destination": channel.destination, "secrets": dict(channel.secrets)}
        text = msgspec.json.encode(_Sealed(_of(channel), channel.destination, dict(channel.secrets)))
        return {"sealed": self._sealing.seal(text), "key": self._sealing.key_id}

    def _stored(self, document: Mapping[str, Any]) -> StoredChannel:
        channel = StoredChannel(
            document["_id"],
            TenantId(document["tenant"]),
            document["name"],
            document["type"],
            document.get("destination", ""),
            document.get("secrets", {}),
            document["version"],
            document["updated"],
            document["by"],
        )
        return self._opened(channel, document["sealed"]) if "sealed" in document else channel

    def _opened(self, channel: StoredChannel, sealed: bytes) -> StoredChannel:
        text = self._sealing.open(sealed)
        found = None if text is None else _decoder.decode(text)
        if found is None or found.of != _of(channel):  # another one's, put in its place
            return dataclasses.replace(channel, readable=False)
        return dataclasses.replace(channel, destination=found.destination, secrets=found.secrets)


def _of(channel: StoredChannel) -> str:
    return f"{channel.tenant}/{channel.id}"
