"""What tenants configure about being told: routes, silences, schedules, ..., each kind by its names.

alert_configuration  {_id: "<tenant>/<kind>/<name>", tenant, kind, name, version, changed, by, deleted, data, expires}

`data` is the value, JSON. What was deleted stays for TOMBSTONE_LIFE, so that replicas which ask what was changed see
it; its versions go on when it is made again in that time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

import msgspec
from pymongo.errors import DuplicateKeyError
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import VigieError

from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, exactly
from vigie_storage.outgoing import Moved
from vigie_storage.tenancy import TenantCollection, Why

T = TypeVar("T", bound=msgspec.Struct)

TOMBSTONE_LIFE: Final = timedelta(hours=1)
MAX_CHANGES: Final = 20_000
"""That one look gives: more than a tenant may have of anything, so that who imports all of it disturbs no others."""
_BATCH: Final = 1_000


class Kind(StrEnum):
    """What is configured."""

    ROUTES = "routes"
    """One document of a tenant: its tree."""
    SILENCE = "silence"
    INHIBITION = "inhibition"
    TIME_INTERVAL = "time_interval"
    MAINTENANCE = "maintenance"
    SCHEDULE = "schedule"
    PERSON = "person"
    """How somebody on call is reached."""
    CALENDAR = "calendar"
    """The secret address of a schedule's calendar."""
    CHAIN = "chain"
    SLO = "slo"


class TooMany(VigieError):  # noqa: N818 - named after what is wrong
    """The tenant has as many of this kind as it may have."""

    def __init__(self, kind: Kind, most: int) -> None:
        super().__init__(f"there are {most:,} of the kind {kind.value} already, and more are not taken")
        self.kind, self.most = kind, most


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """A value as it is now. `version`: each change adds 1."""

    name: str
    version: int
    changed: datetime
    by: str
    """Who changed it last."""
    value: T


@dataclass(frozen=True, slots=True)
class Changed:
    """That something was changed or deleted."""

    tenant: TenantId
    kind: Kind
    name: str
    version: int


class ConfigurationStore:
    """The collection `alert_configuration`. All methods raise StoreUnavailable."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._store = TenantCollection(db, collections.ALERT_CONFIGURATION)
        self._clock = clock

    async def prepare(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(3):
            await self._store.ensure()

    def of(self, kind: Kind, value: type[T], most: int) -> Configuration[T]:
        """Those of one kind, whose values are of this type; of each tenant at most `most`."""
        return Configuration(self._store, self._clock, kind, value, most)

    async def any(self, tenant: TenantId, kinds: Collection[Kind]) -> bool:
        """Whether the tenant has any of these kinds, or had until lately: other replicas may still go by it."""
        query = {"kind": {"$in": [kind.value for kind in kinds]}}
        with bounded():
            return await self._store.of(tenant).one(query) is not None

    async def changed_since(self, moment: datetime) -> list[Changed] | None:
        """What was changed at that moment and later, of all tenants; None when it is more than MAX_CHANGES. The moments
        are those of whoever wrote, and a transaction ends later: ask for some seconds more than seems needed."""
        wanted = {"_id": 0, "tenant": 1, "kind": 1, "name": 1, "version": 1}
        with bounded():
            rows = self._store.across(Why.NOTIFY).find({"changed": {"$gte": moment}}, wanted)
            found = await rows.limit(MAX_CHANGES + 1).to_list()
        if len(found) > MAX_CHANGES:
            return None
        known = {kind.value for kind in Kind}  # a later version of Vigie may have more
        return [
            Changed(TenantId(one["tenant"]), Kind(one["kind"]), one["name"], one["version"])
            for one in found
            if one["kind"] in known
        ]


class Configuration(Generic[T]):
    """Of one kind. `write` and `delete` are parts of a transaction; the others raise StoreUnavailable. Made by
    `ConfigurationStore.of`."""

    def __init__(self, store: TenantCollection, clock: Clock, kind: Kind, value: type[T], most: int) -> None:
        self.kind = kind
        self._store, self._clock, self._most = store, clock, most
        self._decoder = msgspec.json.Decoder(value)

    async def get(self, tenant: TenantId, name: str) -> Stored[T] | None:
        """By its name."""
        with bounded():
            found = await self._store.of(tenant).one({"_id": exactly(self._id(tenant, name)), "deleted": False})
        return self._stored(found) if found else None

    async def page(self, tenant: TenantId, limit: int, after: str = "") -> list[Stored[T]]:
        """By name, those that come after `after`; at most 1,001."""
        query = {"kind": self.kind.value, "deleted": False, "name": {"$gt": after}}
        with bounded():
            found = await self._store.of(tenant).first(query, "name", limit)
        return [self._stored(one) for one in found]

    async def all(self, tenant: TenantId) -> list[Stored[T]]:
        """Every one of the tenant, by name; at most as many as there may be."""
        found: list[Stored[T]] = []
        while len(found) < self._most:
            some = await self.page(tenant, _BATCH, found[-1].name if found else "")
            found += some
            if len(some) < _BATCH:
                break
        return found

    async def write(
        self,
        tenant: TenantId,
        name: str,
        value: T,
        by: str,
        session: Session,
        *,
        if_version: int | None = None,
        expires: datetime | None = None,
    ) -> Stored[T]:
        """Put the value there. `if_version`: the version that it replaces, 0: there must be none, None: whatever is
        there. `expires`: when it goes by itself, without a tombstone. Raises Moved when it is at another version,
        TooMany."""
        mine, id_ = self._store.of(tenant), self._id(tenant, name)
        before = await mine.one({"_id": exactly(id_), "deleted": False}, session)
        if if_version is not None and if_version != (before["version"] if before else 0):
            raise Moved
        if before is None:
            await self._check_room(tenant, session)
        fields: Document = {
            "kind": self.kind.value,
            "name": name,
            "changed": self._now(),
            "by": by,
            "deleted": False,
            "data": msgspec.json.encode(value).decode(),
        }
        if expires is not None:
            fields["expires"] = expires
        gone = {} if expires is not None else {"$unset": {"expires": ""}}
        try:
            found = await mine.change(
                {"_id": exactly(id_)}, {"$set": fields, "$inc": {"version": 1}, **gone}, session, upsert=True
            )
        except DuplicateKeyError as e:
            raise Moved from e
        if found is None:  # an upsert gives what it made
            raise Moved
        return self._stored(found)

    async def delete(
        self, tenant: TenantId, name: str, by: str, session: Session, *, if_version: int | None = None
    ) -> Stored[T] | None:
        """What was there; None when there was nothing. Raises Moved when it is at another version."""
        mine, id_ = self._store.of(tenant), self._id(tenant, name)
        before = await mine.one({"_id": exactly(id_), "deleted": False}, session)
        if before is None:
            return None
        if if_version not in (None, before["version"]):
            raise Moved
        now = self._now()
        update = {"deleted": True, "changed": now, "by": by, "expires": now + TOMBSTONE_LIFE}
        await mine.change({"_id": exactly(id_)}, {"$set": update, "$inc": {"version": 1}}, session)
        return self._stored(before)

    async def _check_room(self, tenant: TenantId, session: Session) -> None:
        query = {"kind": self.kind.value, "deleted": False}
        if await self._store.of(tenant).count(query, self._most, session) >= self._most:
            raise TooMany(self.kind, self._most)

    def _id(self, tenant: TenantId, name: str) -> str:
        return f"{tenant}/{self.kind.value}/{name}"

    def _stored(self, document: Mapping[str, Any]) -> Stored[T]:
        value = self._decoder.decode(document["data"])
        return Stored(document["name"], document["version"], document["changed"], document["by"], value)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
