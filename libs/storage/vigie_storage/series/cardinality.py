"""Which label makes a tenant's series so many: for whoever is told that there may be no more.

The questions are bounded in series and in time, and their answers are kept for some seconds: a sender whose labels
explode brings a new refusal with every request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pymongo.errors import PyMongoError
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.cache import TtlCache
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Busy, reason_of

from vigie_storage import collections
from vigie_storage.tenancy import TenantCollection

log = logging.get(__name__)

MAX_SERIES: Final = 20_000
"""Series of one metric that are looked at."""
MAX_NAMES: Final = 200_000
"""Series of a tenant that are looked at for its largest metric."""
QUESTION_MS: Final = 1_000
WAIT_S: Final = 1.5
KEPT_S: Final = 10.0
MAX_KEPT: Final = 1_000
MAX_RUNNING: Final = 2
"""Questions at the same time; who comes meanwhile goes without."""
_MINOR: Final = 10
"""A metric with fewer series than this part of the largest one's is not what fills the quota."""


@dataclass(frozen=True, slots=True)
class Explosion:
    """The label of a metric with the most different values; `complete`: all series of the metric were looked at."""

    metric: str
    label: str
    values: int
    series: int
    complete: bool

    def __str__(self) -> str:
        least = "" if self.complete else "at least "
        return f"label {self.label} of {self.metric} has {least}{self.values:,} different values"


class Cardinality:
    """Finds the label with the most values, for one service and one event loop."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._series = TenantCollection(db, collections.SERIES)
        self._answers = TtlCache[Explosion | None](
            clock, KEPT_S, MAX_KEPT, max_running=MAX_RUNNING, name="questions about cardinality"
        )

    async def explain(self, tenant: str, metric: str) -> Explosion | None:
        """The label of `metric` that has the most values, or of the tenant's largest metric when `metric` is small
        beside it. None when it is not known, in time or at all."""
        try:
            async with asyncio.timeout(WAIT_S):
                return await self._answers.get((tenant, metric), lambda: self._ask(TenantId(tenant), metric))
        except (Busy, TimeoutError):
            return None

    async def close(self) -> None:
        """End what is under way."""
        await self._answers.close()

    async def _ask(self, tenant: TenantId, metric: str) -> Explosion | None:
        found: Explosion | None = None
        try:
            found = await self._widest(tenant, metric)
            largest = await self._largest(tenant)
            if largest is not None and largest[0] != metric and (found.series if found else 0) * _MINOR < largest[1]:
                found = await self._widest(tenant, largest[0]) or found
        except PyMongoError as e:
            log.info("it cannot be told now which label makes so many series", tenant=tenant, reason=reason_of(e))
        return found

    async def _widest(self, tenant: TenantId, metric: str) -> Explosion | None:
        looked_at: Document = {"$match": {"name": metric}}
        some = [looked_at, {"$limit": MAX_SERIES}]
        counted = await self._first(tenant, [*some, {"$count": "series"}])
        widest = await self._first(
            tenant,
            [
                *some,
                {"$project": {"_id": 0, "lv": 1}},
                {"$unwind": "$lv"},
                {"$group": {"_id": "$lv"}},
                {"$group": {"_id": {"$first": {"$split": ["$_id", "="]}}, "values": {"$sum": 1}}},
                {"$sort": {"values": -1, "_id": 1}},
                {"$limit": 1},
            ],
        )
        if counted is None or widest is None:
            return None
        series = int(counted["series"])
        return Explosion(metric, widest["_id"], int(widest["values"]), series, series < MAX_SERIES)

    async def _largest(self, tenant: TenantId) -> tuple[str, int] | None:
        """The tenant's metric with the most series, and how many; read from the index alone."""
        found = await self._first(
            tenant,
            [
                {"$project": {"_id": 0, "name": 1}},
                {"$limit": MAX_NAMES},
                {"$group": {"_id": "$name", "series": {"$sum": 1}}},
                {"$sort": {"series": -1, "_id": 1}},
                {"$limit": 1},
            ],
        )
        return None if found is None else (found["_id"], int(found["series"]))

    async def _first(self, tenant: TenantId, pipeline: Sequence[Document]) -> dict[str, Any] | None:
        found = [one async for one in self._series.of(tenant).aggregate(pipeline, max_time_ms=QUESTION_MS)]
        return found[0] if found else None
