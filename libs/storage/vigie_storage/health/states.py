"""What every target is now, as its prober last found it.

health_states  {_id: the target's, tenant, order, name, state, group, kind, labels: ["name=value"], checked, asked,
                stored, data, gone, expires}

`data` is a TargetState, JSON; the rest is for finding it. `checked` and `asked` are times, Unix milliseconds: `asked`
is there while somebody waits for a check. `stored` is when it was written, by the store's clock. A target that was
asked for before its first check has no `data`; nor has one that is `gone`, which is remembered until
`expires`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from pymongo import DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError
from vigie_contracts.checks import Verdict
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document

from vigie_storage import collections, mongo
from vigie_storage.mongo import MAX_TIME_MS, Session, bounded, reading
from vigie_storage.tenancy import TenantCollection, Why

MAX_ASKED: Final = 10_000
"""Checks that are waited for, looked at in one go."""
_BATCH: Final = 1_000
GONE_LIFE: Final = timedelta(days=1)
_GONE_MS: Final = int(GONE_LIFE.total_seconds() * 1000)
_FORGOTTEN: Final = ["order", "name", "state", "group", "kind", "labels", "checked", "asked", "data"]


class TargetState(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """Times are Unix milliseconds; 0: never."""

    target: str
    """The id."""
    tenant: str
    name: str = ""
    kind: str = ""
    group: str = ""
    labels: dict[str, str] = {}
    """The target's."""
    state: Verdict = Verdict.UNKNOWN
    """After thresholds; UNKNOWN until the first check."""
    since_ms: int = 0
    """When it became so."""
    checked_ms: int = 0
    """When the newest check was due."""
    due_ms: int = 0
    """When the next one is."""
    verdict: Verdict = Verdict.UNKNOWN
    """Of the newest check."""
    reason: str = ""
    duration_ms: float = 0.0
    phases: dict[str, float] = {}
    """Milliseconds."""
    failures: int = 0
    """Failed checks one after the other."""
    successes: int = 0
    version: int = 0
    """Of the target that was asked."""
    muted: str = ""
    """Why nobody is alerted: `maintenance`, `dependency`; else empty."""
    incident_ms: int = 0
    """When the incident that is open began."""
    expires_ms: int = 0
    """When the target's certificate ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFilter:
    """Which states; what is empty is not looked at."""

    states: Sequence[Verdict] = ()
    names: Sequence[str] = ()
    groups: Sequence[str] = ()
    kinds: Sequence[str] = ()
    text: str = ""
    """Part of the name, in any case."""
    ids: Sequence[str] | None = None
    """Only these, none if it is empty."""
    places: Sequence[str] | None = None
    """`name=value`: only those that have one of these labels, none if it is empty."""

    def query(self) -> Document:
        """As MongoDB is asked."""
        among = {"state": self.states, "name": self.names, "group": self.groups, "kind": self.kinds}
        wanted: list[Document] = [{field: {"$in": [str(one) for one in some]}} for field, some in among.items() if some]
        if self.text:
            wanted.append({"name": {"$regex": re.escape(self.text), "$options": "i"}})
        if self.ids is not None:
            wanted.append({"_id": {"$in": list(self.ids)}})
        if self.places is not None:
            wanted.append({"labels": {"$in": list(self.places)}})
        return {"$and": [{"order": {"$exists": True}}, *wanted]}


EVERY: Final = StateFilter()


class Stored(NamedTuple):
    """What was written, and when. `state` None: the target is gone, or was never checked."""

    at: datetime
    target: str
    state: TargetState | None


class HealthStates:
    """The collection `health_states`. All methods raise StoreUnavailable, but in a session."""

    def __init__(self, db: Database) -> None:
        self._store = TenantCollection(db, collections.HEALTH_STATES)
        self._rows = self._store.across(Why.PROBE)

    async def prepare(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(5):
            await self._store.ensure()

    async def some(self, ids: Iterable[str]) -> dict[str, TargetState]:
        """Those of these targets that were ever checked, by id, whose ever they are."""
        wanted, found = list(ids), dict[str, TargetState]()
        for start in range(0, len(wanted), _BATCH):
            query = {"_id": {"$in": wanted[start : start + _BATCH]}, "data": {"$exists": True}}
            with bounded():
                cursor = self._rows.find(query, {"data": 1}, batch_size=_BATCH)
                found |= {one["_id"]: _decoder.decode(one["data"]) async for one in cursor}
        return found

    async def page(
        self, tenant: TenantId, wanted: StateFilter, limit: int, after: str | None = None
    ) -> list[TargetState]:
        """States of the tenant by name, those that come after `after`, an `order`."""
        query = wanted.query()
        if after is not None:
            query["$and"].append({"order": {"$gt": after}})
        async with reading():
            cursor = self._store.of(tenant).find(query, {"data": 1}, batch_size=limit, max_time_ms=MAX_TIME_MS)
            return [_decoder.decode(one["data"]) for one in await cursor.sort("order").limit(limit).to_list()]

    async def since(self, tenant: TenantId, since: datetime, limit: int) -> list[Stored]:
        """What was written then or later of the tenant's targets, the last `limit` of it, oldest first."""
        query = {"stored": {"$gte": since}}
        async with reading():
            cursor = self._store.of(tenant).find(
                query, {"data": 1, "stored": 1}, batch_size=limit, max_time_ms=MAX_TIME_MS
            )
            found = await cursor.sort("stored", DESCENDING).limit(limit).to_list()
        return [Stored(one["stored"], one["_id"], _state(one)) for one in reversed(found)]

    async def counts(self, tenant: TenantId) -> dict[Verdict, int]:
        """How many targets are in each state; 0 for those that none is in."""
        pipeline = [{"$match": {"state": {"$exists": True}}}, {"$group": {"_id": "$state", "n": {"$sum": 1}}}]
        counted = dict.fromkeys(Verdict, 0)
        async with reading():
            async for one in self._store.of(tenant).aggregate(pipeline, max_time_ms=MAX_TIME_MS):
                counted[Verdict(one["_id"])] = one["n"]
        return counted

    async def ask(self, tenant: TenantId, ids: Iterable[str], at_ms: int) -> None:
        """Have these targets checked at once: asked is answered when `checked_ms` is `at_ms` or later. They are the
        tenant's, which the caller knows."""
        # One that nobody checks is not waited for for ever.
        expires = datetime.fromtimestamp(at_ms / 1000, UTC) + GONE_LIFE
        asked = {"$max": {"asked": at_ms}, "$setOnInsert": {"expires": expires}}
        known = {"tenant": tenant, "gone": {"$ne": True}}
        updates = [UpdateOne({"_id": one, **known}, asked, upsert=True) for one in ids]
        for start in range(0, len(updates), _BATCH):
            with bounded():
                try:
                    await self._rows.bulk_write(updates[start : start + _BATCH], ordered=False)
                except BulkWriteError as e:
                    if not mongo.only_duplicates(e):  # those are gone
                        raise

    async def asked(self) -> dict[str, int]:
        """When who waits for a check asked for it, by target, of all tenants; at most MAX_ASKED, the first ones."""
        with bounded():
            found = self._rows.find({"asked": {"$gt": 0}}, {"asked": 1}).sort("asked").limit(MAX_ASKED)
            return {one["_id"]: int(one["asked"]) async for one in found}  # msgspec knows no Int64

    async def write(self, states: Sequence[TargetState], session: Session | None = None) -> set[str]:
        """Store these states, one of each target, but not where a newer check is stored: the ids of those are the
        answer. Repeating it is harmless."""
        newer: set[str] = set()
        for start in range(0, len(states), _BATCH):
            some = states[start : start + _BATCH]
            if session is None:
                with bounded():
                    newer |= await self._write(some)
                continue
            stored = {one.target: one.checked_ms for one in some}
            query = {"_id": {"$in": list(stored)}, "checked": {"$exists": True}}
            async for one in self._rows.find(query, {"checked": 1}, session=session):
                if one["checked"] > stored[one["_id"]]:
                    newer.add(one["_id"])
            if updates := [_update(one) for one in some if one.target not in newer]:
                await self._rows.bulk_write(updates, ordered=False, session=session)
        return newer

    async def remove(self, ids: Iterable[str], session: Session | None = None) -> None:
        """Forget these targets, whose ever they are; for a while it is known that they are gone."""
        gone = {"gone": True, "stored": "$$NOW", "expires": {"$add": ["$$NOW", _GONE_MS]}}
        forget = [{"$set": gone}, {"$unset": _FORGOTTEN}]
        updates = [UpdateOne({"_id": one}, forget) for one in ids]
        for start in range(0, len(updates), _BATCH):
            some = updates[start : start + _BATCH]
            if session is not None:
                await self._rows.bulk_write(some, ordered=False, session=session)
                continue
            with bounded():
                await self._rows.bulk_write(some, ordered=False)

    async def _write(self, states: Sequence[TargetState]) -> set[str]:
        try:
            await self._rows.bulk_write([_update(one) for one in states], ordered=False)
        except BulkWriteError as e:
            if not mongo.only_duplicates(e):
                raise
            return {states[int(one["index"])].target for one in e.details["writeErrors"]}
        return set()


_decoder: Final = msgspec.json.Decoder(TargetState)


def _state(document: Mapping[str, Any]) -> TargetState | None:
    return _decoder.decode(document["data"]) if "data" in document else None


def order(state: TargetState) -> str:
    """Sorts the targets of a tenant, and is of one only."""
    return f"{state.name}\0{state.target}"


def _update(state: TargetState) -> UpdateOne:
    """Where a newer one is stored, nothing matches, and there is no inserting a second one."""
    fields: Mapping[str, Any] = {
        "tenant": state.tenant,
        "order": order(state),
        "name": state.name,
        "state": state.state.value,
        "group": state.group,
        "kind": state.kind,
        "labels": [f"{name}={value}" for name, value in state.labels.items()],
        "checked": state.checked_ms,
        "data": msgspec.json.encode(state).decode(),
    }
    answered = {"$cond": [{"$lte": ["$asked", state.checked_ms]}, "$$REMOVE", "$asked"]}
    change = {name: {"$literal": value} for name, value in fields.items()}
    change |= {"asked": answered, "stored": "$$NOW", "expires": "$$REMOVE", "gone": "$$REMOVE"}
    older = {"_id": state.target, "checked": {"$not": {"$gt": state.checked_ms}}}
    return UpdateOne(older, [{"$set": change}], upsert=True)
