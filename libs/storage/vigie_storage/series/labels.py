"""Reading which labels the series of a tenant have, and which values these take."""

from __future__ import annotations

from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryLimitExceeded
from vigie_runtime.clients import Database, Document

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, reading
from vigie_storage.tenancy import TenantCollection

LIMIT: Final = 50_000
"""Names, or values, in one answer."""


class LabelCatalogue:
    """Reads the collection `series`."""

    def __init__(self, db: Database) -> None:
        self._series = TenantCollection(db, collections.SERIES)

    async def names(self, tenant: TenantId) -> list[str]:
        """Of all labels, sorted. Raises QueryLimitExceeded."""
        name: Document = {"$arrayElemAt": ["$labels", 0]}
        return await self._different(tenant, [{"$project": {"labels": 1}}, {"$unwind": "$labels"}], name)

    async def values(self, tenant: TenantId, label: str) -> list[str]:
        """Of one label, sorted. Raises QueryLimitExceeded."""
        begin = f"{label}="
        among: Document = {"$gte": begin, "$lt": f"{label}>"}  # the character after "="
        entries = [
            {"$match": {"lv": {"$elemMatch": among}}},  # bounds for the index
            {"$project": {"lv": 1}},
            {"$unwind": "$lv"},
            {"$match": {"lv": among}},
        ]
        return [entry.removeprefix(begin) for entry in await self._different(tenant, entries, "$lv")]

    async def _different(self, tenant: TenantId, entries: list[Document], value: Document | str) -> list[str]:
        pipeline = [*entries, {"$group": {"_id": value}}, {"$limit": LIMIT + 1}]
        async with reading():
            found = self._series.of(tenant).aggregate(pipeline, max_time_ms=MAX_TIME_MS)
            different = sorted([document["_id"] async for document in found])
        if len(different) > LIMIT:
            raise QueryLimitExceeded(f"there are more than {LIMIT:,} of them: select series with match[]")
        return different
