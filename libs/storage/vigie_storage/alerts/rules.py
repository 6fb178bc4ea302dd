"""The rules of tenants, with their versions, and what the log has not got yet.

alert_rules          {_id: the rule's, tenant, order, name, group, ..., and what `vigie_storage.outgoing` needs}
alert_rule_versions  {_id: "<rule>/<version>", tenant, rule, version, change, at, by, data, expires}
alert_tenants        {_id: tenant, shipped}

`data` is a rule as on the topic, JSON. `order` sorts the rules of a tenant: by group, name, id. The versions of a rule
that was deleted stay for VERSIONS_LIFE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec
from pymongo import DeleteOne, InsertOne, UpdateMany
from pymongo.errors import BulkWriteError, DuplicateKeyError
from vigie_contracts.alerts import Rule
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock

from vigie_storage import collections, mongo
from vigie_storage.mongo import Session, bounded, exactly
from vigie_storage.outgoing import Moved, Outgoing, Write
from vigie_storage.tenancy import TenantCollection, Why

MAX_VERSIONS: Final = 100
"""Of a rule; older ones go."""
MAX_RULES: Final = 10_000
"""Of a tenant, whatever its plan says."""
VERSIONS_LIFE: Final = timedelta(days=90)
_BATCH: Final = 1_000
_rules: Final = msgspec.json.Decoder(Rule)


class Change(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as it is now."""

    rule: Rule
    published: bool
    """Whether the log has this version."""


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """A rule as it was made by one change."""

    rule: Rule
    change: Change


@dataclass(frozen=True, slots=True)
class RuleWrite:
    """One change: `rule` has the next version; of a deletion too. `before` is the version that is replaced, 0: there
    was no rule."""

    rule: Rule
    before: int
    change: Change


class RuleStore:
    """All methods but `write` and `mark_shipped`, which are parts of a transaction, raise StoreUnavailable."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._store = TenantCollection(db, collections.ALERT_RULES)
        self.outgoing = Outgoing(self._store.across(Why.PUBLISH), clock)
        self._versions = TenantCollection(db, collections.ALERT_RULE_VERSIONS)
        self._tenants = TenantCollection(db, collections.ALERT_TENANTS)
        self._clock = clock

    async def prepare(self) -> None:
        """Make the collections and their indexes. Safe to repeat."""
        with bounded(10):
            for collection in (self._store, self._versions, self._tenants):
                await collection.ensure()

    async def get(self, tenant: TenantId, rule_id: str) -> StoredRule | None:
        """By its id."""
        with bounded():
            found = await self._store.of(tenant).one({"_id": exactly(rule_id), "deleted": False})
        return _stored(found) if found else None

    async def page(
        self, tenant: TenantId, query: Mapping[str, Any], limit: int, after: str | None = None
    ) -> list[StoredRule]:
        """Rules of the tenant in their order, those that come after `after`."""
        conditions = {"deleted": False, **query, **({} if after is None else {"order": {"$gt": after}})}
        with bounded():
            found = await self._store.of(tenant).first(conditions, "order", limit)
        return [_stored(document) for document in found]

    async def all(self, tenant: TenantId, query: Mapping[str, Any] | None = None) -> list[Rule]:
        """Every rule of the tenant in their order; at most MAX_RULES."""
        found: list[Rule] = []
        after: str | None = None
        while len(found) < MAX_RULES:
            some = await self.page(tenant, query or {}, _BATCH, after)
            found += [one.rule for one in some]
            if len(some) < _BATCH:
                break
            after = order(some[-1].rule)
        return found

    async def some(self, tenant: TenantId, ids: Iterable[str]) -> dict[str, Rule]:
        """The rules with these ids; of one that was deleted its last version, as long as that is kept."""
        wanted = list(dict.fromkeys(ids))[:_BATCH]
        if not wanted:
            return {}
        with bounded(2):
            current = await self._store.of(tenant).first({"_id": {"$in": wanted}}, "_id", len(wanted))
            rules = {document["_id"]: _rules.decode(document["data"]) for document in current}
            for missing in (one for one in wanted if one not in rules):
                last = await self._versions.of(tenant).first({"rule": exactly(missing)}, "version", 1, descending=True)
                rules.update({document["rule"]: _rules.decode(document["data"]) for document in last})
        return rules

    async def versions(
        self, tenant: TenantId, rule_id: str, limit: int, before: int | None = None
    ) -> list[RuleVersion]:
        """Versions of a rule, newest first; those before `before`."""
        query: Document = {"rule": exactly(rule_id)}
        if before is not None:
            query["version"] = {"$lt": before}
        with bounded():
            found = await self._versions.of(tenant).first(query, "version", limit, descending=True)
        return [RuleVersion(_rules.decode(one["data"]), Change(one["change"])) for one in found]

    async def count(self, tenant: TenantId, session: Session | None = None) -> int:
        """How many rules there are, at most MAX_RULES."""
        if session is not None:  # a transaction is bounded
            return await self._store.of(tenant).count({"deleted": False}, MAX_RULES, session)
        with bounded():
            return await self._store.of(tenant).count({"deleted": False}, MAX_RULES)

    async def newest(self, tenant: TenantId, rule_id: str) -> int:
        """The number of the last version that a rule has or had; 0: there was none of this id."""
        found = await self.versions(tenant, rule_id, 1)
        return found[0].rule.version if found else 0

    async def write(self, tenant: TenantId, writes: Sequence[RuleWrite], session: Session) -> None:
        """All of these changes, with their versions; the log is to get them. Raises Moved when one of the rules is not
        what it was."""
        await self.outgoing.write(tenant, [_write(one) for one in writes], session)
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        history = [operation for one in writes for operation in _history(tenant, one, now)]
        try:
            await self._versions.across(Why.PUBLISH).bulk_write(history, session=session)
        except BulkWriteError as e:
            if mongo.duplicate(e):
                raise Moved from e
            raise

    async def without_shipped(self, tenants: Sequence[TenantId]) -> list[TenantId]:
        """Those of these tenants for which the shipped rules were not made yet."""
        with bounded():
            rows = self._tenants.across(Why.PUBLISH)
            done = await rows.find({"_id": {"$in": list(tenants)}, "shipped": True}, {"_id": 1}).to_list(len(tenants))
        made = {one["_id"] for one in done}
        return [tenant for tenant in tenants if tenant not in made]

    async def mark_shipped(self, tenant: TenantId, session: Session) -> None:
        """Note that the shipped rules are made. Raises Moved when somebody else made them."""
        try:
            await self._tenants.of(tenant).insert({"_id": tenant, "shipped": True}, session)
        except DuplicateKeyError as e:
            raise Moved from e


def order(rule: Rule) -> str:
    """Sorts the rules of a tenant, and is of one rule only."""
    return f"{rule.group}\0{rule.name}\0{rule.id}"


def _write(write: RuleWrite) -> Write:
    rule = write.rule
    fields: Document = {
        "order": order(rule),
        "name": rule.name,
        "group": rule.group,
        "enabled": rule.enabled,
        "kind": rule.kind.value,
        "severity": rule.severity.value,
    }
    return Write(rule.id, rule.version, write.before, rule, fields, write.change is Change.DELETED)


def _history(
    tenant: TenantId, write: RuleWrite, now: datetime
) -> Iterable[InsertOne[Document] | UpdateMany | DeleteOne]:
    rule = write.rule
    yield InsertOne(
        {
            "_id": f"{rule.id}/{rule.version:09d}",
            "tenant": tenant,
            "rule": rule.id,
            "version": rule.version,
            "change": write.change.value,
            "at": now,
            "by": rule.updated_by,
            "data": msgspec.json.encode(rule).decode(),
        }
    )
    if rule.version > MAX_VERSIONS:
        yield DeleteOne({"_id": f"{rule.id}/{rule.version - MAX_VERSIONS:09d}", "tenant": tenant})
    mine = {"tenant": tenant, "rule": rule.id}
    if write.change is Change.DELETED:
        yield UpdateMany(mine, {"$set": {"expires": now + VERSIONS_LIFE}})
    elif write.change is Change.CREATED and rule.version > 1:
        yield UpdateMany(mine, {"$unset": {"expires": ""}})


def _stored(document: Mapping[str, Any]) -> StoredRule:
    return StoredRule(_rules.decode(document["data"]), document["published"])
