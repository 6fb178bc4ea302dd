"""What every alert is now. MongoDB is the authority: whoever moves an alert says what it was before.

alerts  {_id: fingerprint, tenant, rule, state, severity, starts, ends, updated, sequence, search: ["name=value"], data,
        expires, due}

`data` is the alert as the life cycle keeps it; the rest is for finding it. `expires` is there when it is over: what
never fired is forgotten at once. `due` is there while the clock alone moves it: an alert that no rule evaluates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import DeleteOne, UpdateOne
from pymongo.errors import BulkWriteError
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.errors import VigieError

from vigie_storage import collections, mongo
from vigie_storage.mongo import MAX_TIME_MS, Session, bounded, exactly, reading
from vigie_storage.tenancy import TenantCollection, Why

RESOLVED_LIFE: Final = timedelta(days=7)
_OVER: Final = ("resolved", "inactive")
_FIRING: Final = ("firing", "acknowledged")
_SEVERITY: Final = "severity"
_BATCH: Final = 1_000
MAX_FIRING: Final = 20_000
"""Alerts that one question finds."""


class AlertMoved(VigieError):  # noqa: N818 - named after what happened
    """Somebody else moved an alert meanwhile: read it again, and decide anew."""

    def __init__(self) -> None:
        super().__init__("an alert was moved by somebody else")


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert, with what it is found by."""

    fingerprint: str
    tenant: TenantId
    rule_id: str
    state: str
    severity: str
    starts_at: int
    ends_at: int | None
    sequence: int
    data: bytes
    """As the life cycle encodes it."""
    labels: tuple[tuple[str, str], ...] = ()
    """For finding it."""
    due_at: int | None = None
    """When the clock moves it; None: a rule does."""
    updated_at: int = field(default=0, compare=False)
    """When it was written last; of one that was read."""


@dataclass(frozen=True, slots=True)
class Move:
    """An alert before and after; None where there is nothing to keep. At most one of both is None."""

    before: StoredAlert | None
    after: StoredAlert | None


class AlertStates:
    """The collection `alerts`."""

    def __init__(self, db: Database, life: timedelta = RESOLVED_LIFE) -> None:
        """`life`: how long a resolved alert is kept."""
        self._alerts = TenantCollection(db, collections.ALERTS)
        self._life = life

    async def prepare(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(5):
            await self._alerts.ensure()

    async def write(self, moves: Sequence[Move], session: Session | None = None) -> None:
        """All of these moves. Raises AlertMoved when one of them begins where the alert is no more."""
        updates = [self._update(move) for move in moves]
        if not updates:
            return
        rows = self._alerts.across(Why.NOTIFY)
        moved = 0
        try:
            for start in range(0, len(updates), _BATCH):
                done = await rows.bulk_write(updates[start : start + _BATCH], ordered=False, session=session)
                moved += done.matched_count + done.upserted_count + done.deleted_count
        except BulkWriteError as e:
            if mongo.duplicate(e):
                raise AlertMoved from e
            raise
        if moved < len(moves):
            raise AlertMoved

    async def of_rules(self, rules: Iterable[str], since_ms: int) -> list[StoredAlert]:
        """The alerts of these rules that may go on: those that are not over, and what was resolved since then."""
        lately = [{"state": {"$nin": _OVER}}, {"ends": {"$gte": _date(since_ms)}}]
        found: list[StoredAlert] = []
        ids = list(rules)
        for start in range(0, len(ids), _BATCH):
            query = {"rule": {"$in": ids[start : start + _BATCH]}, "$or": lately}
            with mongo.retryable("reading the alerts of rules"):
                cursor = self._alerts.across(Why.NOTIFY).find(query, batch_size=_BATCH)
                found += [parse(document) async for document in cursor]
        return found

    async def some(self, fingerprints: Sequence[str]) -> list[StoredAlert]:
        """Those of these alerts that there are."""
        with mongo.retryable("reading alerts"):
            cursor = self._alerts.across(Why.NOTIFY).find({"_id": {"$in": list(fingerprints)}}, batch_size=_BATCH)
            return [parse(document) async for document in cursor]

    async def of_tenant(self, tenant: TenantId, fingerprints: Sequence[str]) -> list[StoredAlert]:
        """Those of these alerts that the tenant has. Raises StoreUnavailable."""
        async with reading():
            query = {"_id": {"$in": list(fingerprints)}}
            cursor = self._alerts.of(tenant).find(query, None, batch_size=_BATCH, max_time_ms=MAX_TIME_MS)
            return [parse(document) async for document in cursor]

    async def due(self, since_ms: int, now_ms: int, limit: int) -> list[StoredAlert]:
        """Of all tenants, what the clock moves since then, longest due first. Raises StoreUnavailable."""
        with bounded():
            query = {"due": {"$gte": _date(since_ms), "$lte": _date(now_ms)}}
            cursor = self._alerts.across(Why.NOTIFY).find(query, batch_size=_BATCH, max_time_ms=MAX_TIME_MS)
            return [parse(one) for one in await cursor.sort("due", 1).limit(limit).to_list()]

    async def one(self, tenant: TenantId, fingerprint: str) -> StoredAlert | None:
        """By its fingerprint. Raises StoreUnavailable."""
        with bounded():
            found = await self._alerts.of(tenant).one({"_id": exactly(fingerprint)})
        return parse(found) if found else None

    async def page(
        self, tenant: TenantId, query: Mapping[str, Any], limit: int, after: tuple[int, str] | None = None
    ) -> list[StoredAlert]:
        """Alerts of the tenant, the last begun first; those that come after (start, fingerprint). Raises
        StoreUnavailable."""
        conditions: list[Mapping[str, Any]] = [query]
        if after is not None:
            start, fingerprint = _date(after[0]), after[1]
            conditions.append({"$or": [{"starts": {"$lt": start}}, {"starts": start, "_id": {"$gt": fingerprint}}]})
        async with reading():
            cursor = self._alerts.of(tenant).find({"$and": conditions}, None, batch_size=limit, max_time_ms=MAX_TIME_MS)
            return [parse(one) for one in await cursor.sort([("starts", -1), ("_id", 1)]).limit(limit).to_list()]

    async def firing(
        self, tenant: TenantId, pairs: Iterable[tuple[str, str]] | None = None
    ) -> list[tuple[str, dict[str, str]]]:
        """Fingerprint and labels of the tenant's alerts that fire, acknowledged or not; of those only that have one of
        these label values at least. `severity` is a label too, unless the rule has one of that name. At most
        MAX_FIRING. Raises StoreUnavailable."""
        query: Document = {"state": {"$in": list(_FIRING)}}
        if pairs is not None:
            wanted = sorted(pairs)
            severities = [value for name, value in wanted if name == _SEVERITY]
            query["$or"] = [
                {"search": {"$in": [f"{name}={value}" for name, value in wanted]}},
                {"severity": {"$in": severities}},
            ]
        with bounded():
            shown = {"search": 1, "severity": 1}
            cursor = self._alerts.of(tenant).find(query, shown, batch_size=_BATCH, max_time_ms=MAX_TIME_MS)
            return [
                (one["_id"], {_SEVERITY: one["severity"], **dict(_labels(one))})
                async for one in cursor.limit(MAX_FIRING)
            ]

    async def count(self, tenant: TenantId, query: Mapping[str, Any], limit: int) -> int:
        """How many match; counting stops at `limit`. Raises StoreUnavailable."""
        async with reading():
            return await self._alerts.of(tenant).count(dict(query), limit, max_time_ms=MAX_TIME_MS)

    def _update(self, move: Move) -> UpdateOne | DeleteOne:
        before, after = move.before, move.after
        if after is None:
            if before is None:
                raise ValueError("a move from nothing to nothing")
            return DeleteOne({"_id": before.fingerprint, **_as_it_was(before)})
        if before is None:
            # One that is over may be stored still: a new life begins.
            return UpdateOne({"_id": after.fingerprint, "state": {"$in": _OVER}}, _set(after, self._life), upsert=True)
        return UpdateOne({"_id": after.fingerprint, **_as_it_was(before)}, _set(after, self._life))


def _as_it_was(alert: StoredAlert) -> Document:
    was: Document = {"starts": _date(alert.starts_at), "sequence": alert.sequence}
    return was if alert.due_at is None else {**was, "due": _date(alert.due_at)}


def _set(alert: StoredAlert, life: timedelta) -> Document:
    fields: Document = {
        "tenant": alert.tenant,
        "rule": alert.rule_id,
        "state": alert.state,
        "severity": alert.severity,
        "starts": _date(alert.starts_at),
        "updated": datetime.now(UTC),
        "sequence": alert.sequence,
        "search": [f"{name}={value}" for name, value in alert.labels],
        "data": alert.data,
    }
    gone = {"due": ""}
    if alert.due_at is not None:
        fields["due"], gone = _date(alert.due_at), {}
    if alert.state not in _OVER:
        return {"$set": fields, "$unset": {"ends": "", "expires": ""} | gone}
    if alert.ends_at is None:  # it never fired
        return {"$set": fields | {"expires": fields["updated"]}, "$unset": {"ends": ""} | gone}
    ends = _date(alert.ends_at)
    return {"$set": fields | {"ends": ends, "expires": ends + life}, **({"$unset": gone} if gone else {})}


def parse(document: Mapping[str, Any]) -> StoredAlert:
    """What was stored."""
    ends, due = document.get("ends"), document.get("due")
    return StoredAlert(
        fingerprint=document["_id"],
        tenant=TenantId(document["tenant"]),
        rule_id=document["rule"],
        state=document["state"],
        severity=document["severity"],
        starts_at=_ms(document["starts"]),
        ends_at=None if ends is None else _ms(ends),
        sequence=document["sequence"],
        data=bytes(document["data"]),
        labels=_labels(document),
        due_at=None if due is None else _ms(due),
        updated_at=_ms(document["updated"]),
    )


def _labels(document: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, _, value in (one.partition("=") for one in document["search"]))


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _ms(date: datetime) -> int:
    return round(date.timestamp() * 1000)
