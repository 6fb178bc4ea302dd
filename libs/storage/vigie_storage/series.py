"""Reading the catalogue of series."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bson import Int64
from vigie_contracts.series import Kind, kind_of, to_signed, to_unsigned
from vigie_query.errors import LimitReached
from vigie_query.matchers import Matcher, predicate
from vigie_query.series import Series, too_many
from vigie_runtime.clients import Database, Document

from vigie_storage.reads import MAX_TIME_MS, reading

SERIES: Final = "series"
TENANTS: Final = "tenant_series"

COUNT_LIMIT: Final = 10_000
"""Counting matches stops here."""
SCAN_LIMIT: Final = 50_000
"""Series looked at for one answer when the store cannot decide about them itself."""
NAMES_LIMIT: Final = 20_000
"""Metric names of a tenant that a pattern is tried on."""
_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which series: `names` exactly, or beginning with `prefix`; None for any."""

    names: tuple[str, ...] | None = None
    prefix: str | None = None
    matchers: tuple[Matcher, ...] = ()
    kinds: frozenset[Kind] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """`after` is the place to go on from; None at the end."""

    series: list[Series]
    after: tuple[str, int] | None


class SeriesRepository:
    """The collection `series`, read-only."""

    def __init__(self, db: Database) -> None:
        self._series = db[SERIES]
        self._tenants = db[TENANTS]

    async def find(self, tenant: str, wanted: Filter, limit: int, what: str) -> list[Series]:
        """All series of the filter, by name and labels. Raises LimitReached above `limit`, naming `what`."""
        accepts = predicate(matcher for matcher in wanted.matchers if not matcher.in_store)
        found: list[Series] = []
        seen = 0
        with reading():
            async for document in self._cursor(_query(tenant, wanted)).limit(SCAN_LIMIT + 1):
                one = _series(document)
                seen += 1
                if accepts(dict(one.labels)):
                    found.append(one)
                if len(found) > limit or seen > SCAN_LIMIT:
                    raise too_many(min(limit, SCAN_LIMIT), what)
        return sorted(found, key=lambda one: (one.name, one.labels, one.kind))

    async def page(self, tenant: str, wanted: Filter, limit: int, after: tuple[str, int] | None) -> Page:
        """Up to `limit` series in the order of (name, fingerprint), after that place.

        A page may be shorter than `limit`, even empty, although more follow: when label patterns rejected very many.
        """
        accepts = predicate(matcher for matcher in wanted.matchers if not matcher.in_store)
        found: list[Series] = []
        seen, last = 0, after
        with reading():
            cursor = self._cursor(_query(tenant, wanted, after)).sort([("name", 1), ("_id", 1)])
            async for document in cursor.limit(SCAN_LIMIT):
                one = _series(document)
                if accepts(dict(one.labels)):
                    if len(found) == limit:
                        return Page(found, last)
                    found.append(one)
                seen, last = seen + 1, (one.name, one.fingerprint)
        return Page(found, last if seen == SCAN_LIMIT else None)

    async def count(self, tenant: str, wanted: Filter) -> int | None:
        """How many match, up to COUNT_LIMIT + 1; None when only looking at all of them would tell."""
        if not all(matcher.in_store for matcher in wanted.matchers):
            return None
        with reading():
            query = _query(tenant, wanted)
            return await self._series.count_documents(query, limit=COUNT_LIMIT + 1, maxTimeMS=MAX_TIME_MS)

    async def names(self, tenant: str) -> list[str]:
        """The tenant's metric names, sorted. Raises LimitReached above NAMES_LIMIT."""
        pipeline = [
            {"$match": {"tenant": tenant}}, {"$sort": {"tenant": 1, "name": 1}}, {"$group": {"_id": "$name"}},
            {"$limit": NAMES_LIMIT + 1},
        ]  # fmt: skip
        with reading():
            cursor = await self._series.aggregate(pipeline, maxTimeMS=MAX_TIME_MS)
            names = [document["_id"] async for document in cursor]
        if len(names) > NAMES_LIMIT:
            raise LimitReached(
                f"name: a pattern is tried on at most {NAMES_LIMIT} names, the tenant has more: use a prefix", "name"
            )
        return sorted(names)

    async def next_ordinals(self, tenant: str) -> dict[int, int]:
        """Partition -> how many series of the tenant live there (the ordinal that the next one gets)."""
        with reading():
            document = await self._tenants.find_one({"_id": tenant}, max_time_ms=MAX_TIME_MS)
        return {int(partition): int(count) for partition, count in (document or {}).get("next", {}).items()}

    async def since(self, tenant: str, partition: int, ordinal: int, below: int) -> AsyncIterator[list[Series]]:
        """The series of a partition from `ordinal` on, up to `below`, in batches."""
        query: Document = {"tenant": tenant, "partition": partition, "ordinal": {"$gte": ordinal, "$lt": below}}
        batch: list[Series] = []
        with reading():
            async for document in self._cursor(query).sort("ordinal", 1):
                batch.append(_series(document))
                if len(batch) == _BATCH:
                    yield batch
                    batch = []
        yield batch

    def _cursor(self, query: Document) -> Any:
        return self._series.find(query, {"lv": 0}, batch_size=_BATCH, max_time_ms=MAX_TIME_MS)


def _query(tenant: str, wanted: Filter, after: tuple[str, int] | None = None) -> Document:
    conditions: list[Document] = [{"tenant": tenant}]
    if wanted.names is not None:
        names: Any = wanted.names[0] if len(wanted.names) == 1 else {"$in": list(wanted.names)}
        conditions.append({"name": names})
    if wanted.prefix:
        # Names are ASCII, so the greatest code point ends every name that has the prefix.
        conditions.append({"name": {"$gte": wanted.prefix, "$lt": wanted.prefix + "\U0010ffff"}})
    conditions += [{"lv": entry} for m in wanted.matchers if (entry := m.stored_equality) is not None]
    conditions += [{"lv": {"$ne": entry}} for m in wanted.matchers if (entry := m.stored_exclusion) is not None]
    if wanted.kinds is not None:
        conditions.append({"$or": [{"type": kind.type, "temporality": kind.temporality} for kind in wanted.kinds]})
    if after is not None:
        name, fingerprint = after
        identifier = Int64(to_signed(fingerprint))
        conditions.append({"$or": [{"name": {"$gt": name}}, {"name": name, "_id": {"$gt": identifier}}]})
        conditions.append({"name": {"$gte": name}})  # bounds for the index
    return {"$and": conditions}


def _series(document: Mapping[str, Any]) -> Series:
    return Series(
        fingerprint=to_unsigned(int(document["_id"])),
        name=document["name"],
        kind=kind_of(document["type"], document["temporality"]),
        labels=tuple((name, value) for name, value in document["labels"]),
        partition=int(document["partition"]),
        ordinal=int(document["ordinal"]),
        created_ms=round(document["created"].timestamp() * 1000),
    )


def kinds_of(types: Sequence[str]) -> frozenset[Kind]:
    """The kinds of series that have one of these types."""
    return frozenset(kind for kind in Kind if kind.type in types)


def exactly(names: Collection[str]) -> Filter:
    """All series of these names."""
    return Filter(names=tuple(sorted(names)))
