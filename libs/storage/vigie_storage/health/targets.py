"""The targets of tenants, and what the log has not got yet.

health_targets  {_id: the target's, tenant, order, name, kind, group, enabled, public, managed_by, parents,
                 key, and what
                 `vigie_storage.outgoing` needs}

`data` is a target as on the topic, JSON. `order` sorts the targets of a tenant: by group, then name. `key` is the id of
the key that its secrets are encrypted with; empty: they are in the clear, or there are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from vigie_contracts.targets import Target
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock

from vigie_storage import collections
from vigie_storage.health.secrets import SecretsUnreadable, opened, sealed
from vigie_storage.mongo import Session, bounded, exactly
from vigie_storage.outgoing import Outgoing, Write
from vigie_storage.sealing import Sealing
from vigie_storage.tenancy import TenantCollection, Why

log = logging.get(__name__)

MAX_TARGETS: Final = 10_000
"""Of a tenant, whatever its plan says."""
_BATCH: Final = 1_000
_MAX_RESEALED: Final = 10_000
"""Targets of all tenants, at one start."""
_targets: Final = msgspec.json.Decoder(Target)


class Change(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """A target as it is now."""

    target: Target
    published: bool
    """Whether the log has this version."""


@dataclass(frozen=True, slots=True)
class TargetWrite:
    """One change: `target` has the next version; of a deletion too. `before` is the version that is replaced, 0: there
    was no target."""

    target: Target
    before: int
    change: Change


class TargetStore:
    """All methods but `write`, which is part of a transaction, raise StoreUnavailable."""

    def __init__(self, db: Database, clock: Clock, sealing: Sealing | None = None) -> None:
        self._store = TenantCollection(db, collections.HEALTH_TARGETS)
        self._rows = self._store.across(Why.PUBLISH)
        self.outgoing = Outgoing(self._rows, clock)
        self._clock = clock
        self.sealing = sealing or Sealing()

    async def prepare(self) -> None:
        """Make the collection and its indexes, and encrypt with the newest key what is not. Safe to repeat."""
        with bounded(5):
            await self._store.ensure()
        if self.sealing.key_id:
            await self._reseal()

    async def get(self, tenant: TenantId, target_id: str) -> StoredTarget | None:
        """By its id."""
        return await self._one(tenant, {"_id": exactly(target_id)})

    async def by_name(self, tenant: TenantId, name: str) -> StoredTarget | None:
        """By its name."""
        return await self._one(tenant, {"name": exactly(name)})

    async def page(
        self, tenant: TenantId, query: Mapping[str, Any], limit: int, after: str | None = None
    ) -> list[StoredTarget]:
        """Targets of the tenant in their order, those that come after `after`."""
        conditions = {"deleted": False, **query, **({} if after is None else {"order": {"$gt": after}})}
        with bounded():
            found = await self._store.of(tenant).first(conditions, "order", limit)
        return [_stored(document) for document in found]

    async def all(self, tenant: TenantId, query: Mapping[str, Any] | None = None) -> list[Target]:
        """Every target of the tenant in their order; at most MAX_TARGETS."""
        found: list[Target] = []
        after: str | None = None
        while len(found) < MAX_TARGETS:
            some = await self.page(tenant, query or {}, _BATCH, after)
            found += [one.target for one in some]
            if len(some) < _BATCH:
                break
            after = order(some[-1].target)
        return found

    async def some(self, tenant: TenantId, ids: Iterable[str]) -> dict[str, Target]:
        """The targets with these ids, at most 1,000."""
        wanted = list(dict.fromkeys(ids))[:_BATCH]
        if not wanted:
            return {}
        with bounded():
            found = await self._store.of(tenant).first({"_id": {"$in": wanted}, "deleted": False}, "_id", len(wanted))
        return {document["_id"]: _targets.decode(document["data"]) for document in found}

    async def count(self, tenant: TenantId, session: Session | None = None) -> int:
        """How many targets there are, at most MAX_TARGETS."""
        if session is not None:  # a transaction is bounded
            return await self._store.of(tenant).count({"deleted": False}, MAX_TARGETS, session)
        with bounded():
            return await self._store.of(tenant).count({"deleted": False}, MAX_TARGETS)

    async def has_public(self, tenant: TenantId) -> bool:
        """Whether the tenant shows one of its targets to everybody."""
        with bounded():
            return bool(await self._store.of(tenant).count({"deleted": False, "public": True}, 1))

    async def write(self, tenant: TenantId, writes: Sequence[TargetWrite], session: Session) -> None:
        """All of these changes; the log is to get them. Raises Moved when one of the targets is not what it was, or
        another has its name."""
        await self.outgoing.write(tenant, [self._write(one) for one in writes], session)

    async def _one(self, tenant: TenantId, query: Document) -> StoredTarget | None:
        with bounded():
            found = await self._store.of(tenant).one({**query, "deleted": False})
        return _stored(found) if found else None

    def _write(self, write: TargetWrite) -> Write:
        fields = self._fields(write.target)
        return Write(
            write.target.id, write.target.version, write.before, write.target, fields, write.change is Change.DELETED
        )

    def _fields(self, target: Target) -> Document:
        clear = not target.sealed or target.sealed.startswith("{")
        return {
            "order": order(target),
            "name": target.name,
            "kind": target.kind,
            "group": target.group,
            "enabled": target.enabled,
            "public": target.public,
            "managed_by": target.managed_by,
            "parents": target.depends_on,
            "secret": bool(target.sealed),
            "key": "" if clear else self.sealing.key_id,
        }

    async def _reseal(self) -> None:
        """What another key encrypted, or none. One that is changed meanwhile is left alone: that encrypts it too."""
        unreadable = 0
        due = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        query = {"secret": True, "deleted": False, "key": {"$ne": self.sealing.key_id}}
        with bounded(10):
            async for document in self._rows.find(query).limit(_MAX_RESEALED):
                before = _stored(document).target
                try:
                    secrets = opened(before, self.sealing)
                except SecretsUnreadable:
                    unreadable += 1
                    continue
                after = replace(before, version=before.version + 1, sealed=sealed(secrets, before, self.sealing))
                fields = {"version": after.version, "data": msgspec.json.encode(after).decode(), "published": False}
                update = {"$set": {**fields, "key": self.sealing.key_id}, "$max": {"due": due}}
                await self._rows.update_one({"_id": before.id, "version": before.version}, update)
        if unreadable:
            log.error("targets are encrypted with keys that are not set: they cannot be asked", targets=unreadable)


def order(target: Target) -> str:
    """Sorts the targets of a tenant, and is of one target only."""
    return f"{target.group}\0{target.name}"


def _stored(document: Mapping[str, Any]) -> StoredTarget:
    return StoredTarget(_targets.decode(document["data"]), document["published"])
