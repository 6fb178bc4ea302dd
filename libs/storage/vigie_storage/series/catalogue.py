"""Reading the catalogue of series."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from pymongo.asynchronous.cursor import AsyncCursor
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryLimitExceeded
from vigie_query.matchers import predicate, select
from vigie_query.ordering import ordered
from vigie_query.series import Series, too_many
from vigie_runtime.clients import Database, Document
from vigie_runtime.expressions import Check, Expressions

from vigie_storage import collections, mongo
from vigie_storage.mongo import MAX_TIME_MS, ahead, batches, reading
from vigie_storage.series import document as documents
from vigie_storage.series import placement
from vigie_storage.series.filter import Filter, query
from vigie_storage.series.placement import SeriesPlacement
from vigie_storage.tenancy import TenantCollection, Why

COUNT_LIMIT: Final = 10_000
"""Counting matches stops here."""
SCAN_LIMIT: Final = 50_000
"""Series looked at for one answer when the store cannot decide about them itself; more where more may be selected."""
NAMES_LIMIT: Final = 20_000
"""Metric names of a tenant that a pattern is tried on."""
LOOKUP_SERIES: Final = 10_000
"""Fingerprints in one question for placements."""
_BATCH: Final = 1_000
_NAMES_AT_ONCE: Final = 500
_NARROW_AT_ONCE: Final = 50
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """`after` is the place to go on from; None at the end."""

    series: list[Series]
    after: tuple[str, int] | None


class _Choice:
    """Which series satisfy what the store cannot decide. Expressions of users run in threads of their own."""

    def __init__(self, tenant: TenantId, wanted: Filter, expressions: Expressions) -> None:
        self._matchers = [matcher for matcher in wanted.matchers if not matcher.in_store]
        is_regex = any(one.is_regex for one in self._matchers)
        self._thinking = expressions.question("match", tenant) if is_regex else None
        self._accepts = predicate(self._matchers, self._check)
        self._checks: Check | None = None

    async def of(self, series: list[Series]) -> list[Series]:
        """Those of `series`, in their order."""
        if self._thinking is None:
            return self._chosen(series)

        def think(check: Check) -> list[Series]:
            self._checks = check
            return self._chosen(series)

        return await self._thinking.run(think)

    def _chosen(self, series: list[Series]) -> list[Series]:
        return [one for one in series if self._accepts(dict(one.labels))]

    def _check(self) -> None:
        if self._checks is not None:
            self._checks()


def _parts(of: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(of), size):
        yield of[start : start + size]


def _parsed(found: list[Document]) -> list[Series]:
    return [documents.parse(document) for document in found]


def _place(one: Series) -> tuple[str, int]:
    return one.name, one.fingerprint


class SeriesCatalogue:
    """Reads the collections `series` and `tenant_series`."""

    def __init__(self, db: Database, expressions: Expressions | None = None) -> None:
        """`expressions` are the process's, when others have some too."""
        self._expressions = expressions or Expressions()
        self._series = TenantCollection(db, collections.SERIES)
        self._tenants = TenantCollection(db, collections.TENANT_SERIES)

    async def find(self, tenant: TenantId, wanted: Filter, limit: int, what: str) -> list[Series]:
        """All series of the filter, by name and labels. Raises QueryLimitExceeded above `limit`, naming `what`."""
        choice = _Choice(tenant, wanted, self._expressions)
        found: list[Series] = []
        seen, most = 0, max(limit, SCAN_LIMIT)
        async for batch in batches(self._find(tenant, query(wanted)).limit(most + 1), _BATCH):
            seen += len(batch)
            found += await choice.of([documents.parse(document) for document in batch])
            if len(found) > limit or seen > most:
                raise too_many(limit, what)
        # In a thread, as of very many it takes long.
        return await asyncio.to_thread(ordered, found, key=lambda one: (one.name, one.labels, one.kind))

    async def named(self, tenant: TenantId, names: Mapping[str, Collection[str]]) -> AsyncIterator[list[Series]]:
        """The series of these names, in batches, in no order: of each name those that have one of its entries of `lv`
        ("label=value"), or all where there are none. Without `created_ms`. Raises TooSlow, StoreUnavailable."""
        for some in _parts([name for name, entries in names.items() if not entries], _NAMES_AT_ONCE):
            async for batch in ahead(batches(self._find(tenant, {"name": {"$in": some}}, documents.PLACED), _BATCH)):
                yield await asyncio.to_thread(_parsed, batch)
        narrow = [{"name": name, "lv": {"$in": sorted(entries)}} for name, entries in names.items() if entries]
        for some in _parts(narrow, _NARROW_AT_ONCE):
            async for batch in ahead(batches(self._find(tenant, {"$or": some}, documents.PLACED), _BATCH)):
                yield await asyncio.to_thread(_parsed, batch)

    async def page(self, tenant: TenantId, wanted: Filter, limit: int, after: tuple[str, int] | None) -> Page:
        """Up to `limit` series in the order of (name, fingerprint), after that place.

        A page may be shorter than `limit`, even empty, although more follow: when label patterns rejected very many.
        """
        choice = _Choice(tenant, wanted, self._expressions)
        found: list[Series] = []
        seen, last = 0, after
        cursor = self._find(tenant, query(wanted, after)).sort([("name", 1), ("_id", 1)])
        async for batch in batches(cursor.limit(SCAN_LIMIT), _BATCH):
            series = [documents.parse(document) for document in batch]
            found += await choice.of(series)
            if len(found) > limit:
                return Page(found[:limit], _place(found[limit - 1]))
            seen, last = seen + len(series), _place(series[-1])
        return Page(found, last if seen == SCAN_LIMIT else None)

    async def count(self, tenant: TenantId, wanted: Filter, limit: int = COUNT_LIMIT) -> int | None:
        """How many match, up to `limit` + 1; None when only looking at all of them would tell."""
        if not all(matcher.in_store for matcher in wanted.matchers):
            return None
        async with reading():
            return await self._series.of(tenant).count(query(wanted), limit + 1, max_time_ms=MAX_TIME_MS)

    async def names(self, tenant: TenantId, pattern: str, field: str) -> list[str]:
        """The tenant's metric names that match the expression as a whole, sorted. `field` is the parameter that it
        came in. Raises QueryLimitExceeded above NAMES_LIMIT names, ExpressionTooSlow."""
        pipeline = [
            {"$sort": {"tenant": 1, "name": 1}}, {"$group": {"_id": "$name"}}, {"$limit": NAMES_LIMIT + 1},
        ]  # fmt: skip
        async with reading():
            found = self._series.of(tenant).aggregate(pipeline, max_time_ms=MAX_TIME_MS)
            names = [document["_id"] async for document in found]
        if len(names) > NAMES_LIMIT:
            raise QueryLimitExceeded(
                f"name: a pattern is tried on at most {NAMES_LIMIT} names, the tenant has more: use a prefix", "name"
            )
        thinking = self._expressions.question(field, tenant)
        return sorted(await thinking.run(lambda check: select(names, pattern, field, check)))

    async def families(self, tenant: TenantId) -> list[tuple[str, Kind]]:
        """Names and kinds of all series of the tenant, sorted. Raises QueryLimitExceeded above NAMES_LIMIT."""
        pipeline: list[Document] = [documents.FAMILIES, {"$limit": NAMES_LIMIT + 1}]
        async with reading():
            found = self._series.of(tenant).aggregate(pipeline, max_time_ms=MAX_TIME_MS)
            families = [documents.parse_family(document) async for document in found]
        if len(families) > NAMES_LIMIT:
            raise QueryLimitExceeded(
                f"query: a pattern is tried on at most {NAMES_LIMIT} names, the tenant has more: ask for one name",
                "query",
            )
        return sorted(families)

    async def business(self, tenant: TenantId, limit: int) -> list[tuple[str, Kind]]:
        """Names and kinds of what the tenant sent as business metrics, sorted; the first `limit` of them."""
        pipeline = [
            {"$match": documents.BUSINESS}, documents.FAMILIES, {"$sort": {"_id": 1}}, {"$limit": limit},
        ]  # fmt: skip
        async with reading():
            found = self._series.of(tenant).aggregate(pipeline, max_time_ms=MAX_TIME_MS)
            return [documents.parse_family(document) async for document in found]

    async def next_ordinals(self, tenant: TenantId) -> dict[int, int]:
        """Partition -> the ordinal that the next series of the tenant gets there: no less than live there."""
        async with reading():
            return documents.next_ordinals(await self._tenants.of(tenant).one({}, max_time_ms=MAX_TIME_MS))

    async def total(self, tenant: TenantId) -> int:
        """How many series the tenant has: what its plan's `series` limits. Raises StoreUnavailable."""
        with mongo.bounded():
            return documents.count(await self._tenants.of(tenant).one({}))

    async def since(self, tenant: TenantId, partition: int, ordinal: int, below: int) -> AsyncIterator[list[Series]]:
        """The series of a partition from `ordinal` on, up to `below`, in batches."""
        wanted: Document = {"partition": partition, "ordinal": {"$gte": ordinal, "$lt": below}}
        async for batch in batches(self._find(tenant, wanted).sort("ordinal", 1), _BATCH):
            yield [documents.parse(document) for document in batch]

    async def placements(self, fingerprints: npt.NDArray[np.uint64]) -> list[SeriesPlacement]:
        """Where the series of distinct fingerprints live; unknown ones are absent. Raises Retryable."""
        wanted: list[int] = fingerprints.view(np.int64).tolist()
        found: list[SeriesPlacement] = []
        series = self._series.across(Why.REGISTER)
        with mongo.retryable("reading the series catalogue"):
            for start in range(0, len(wanted), LOOKUP_SERIES):
                # Plain ints: MongoDB compares numbers by value, and wrapping them as Int64 was half of the cost.
                ids = wanted[start : start + LOOKUP_SERIES]
                cursor = await series.aggregate([{"$match": {"_id": {"$in": ids}}}, placement.COLUMNS])
                found += [placement.parse(document) for document in await cursor.to_list()]
        return found

    async def by_fingerprint(self, fingerprints: npt.NDArray[np.uint64]) -> list[tuple[TenantId, Series]]:
        """Series of any tenants; unknown ones are absent. Raises Retryable."""
        wanted: list[int] = fingerprints.view(np.int64).tolist()
        found: list[tuple[TenantId, Series]] = []
        series = self._series.across(Why.REGISTER)
        with mongo.retryable("reading the series catalogue"):
            for start in range(0, len(wanted), LOOKUP_SERIES):
                cursor = series.find({"_id": {"$in": wanted[start : start + LOOKUP_SERIES]}}, documents.FIELDS)
                found += [(TenantId(one["tenant"]), documents.parse(one)) async for one in cursor]
        return found

    def _find(
        self, tenant: TenantId, query: Document, fields: Mapping[str, int] = documents.FIELDS
    ) -> AsyncCursor[Document]:
        return self._series.of(tenant).find(query, fields, batch_size=_BATCH, max_time_ms=MAX_TIME_MS)
