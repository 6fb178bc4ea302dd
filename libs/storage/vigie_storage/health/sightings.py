"""How targets last looked from other regions than the one that judges them.

health_sightings  {_id: "<target>/<region>", tenant, target, region, at, data, expires}

`data` is a Sighting, JSON; `at` is Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError
from vigie_contracts.checks import Verdict
from vigie_runtime.clients import Database

from vigie_storage import collections, mongo
from vigie_storage.mongo import bounded, exactly
from vigie_storage.tenancy import TenantCollection, Why

MAX_REGIONS: Final = 16
"""Of a target."""
SIGHTING_LIFE: Final = timedelta(days=2)
"""Of the longest interval, a day, two are waited for."""
_BATCH: Final = 1_000


class Sighting(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """A check of a target, as it was from a region."""

    target: str
    """The id."""
    tenant: str
    region: str
    at_ms: int
    """When it was due."""
    verdict: Verdict
    reason: str = ""


class Sightings:
    """The collection `health_sightings`. All methods raise StoreUnavailable."""

    def __init__(self, db: Database) -> None:
        self._store = TenantCollection(db, collections.HEALTH_SIGHTINGS)
        self._rows = self._store.across(Why.PROBE)

    async def prepare(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(5):
            await self._store.ensure()

    async def write(self, sightings: Sequence[Sighting]) -> None:
        """Store these, but not where a newer one of the region is stored. Repeating it is harmless."""
        for start in range(0, len(sightings), _BATCH):
            with bounded():
                try:
                    await self._rows.bulk_write(
                        [_update(one) for one in sightings[start : start + _BATCH]], ordered=False
                    )
                except BulkWriteError as e:
                    if not mongo.only_duplicates(e):  # those are newer
                        raise

    async def of(self, target: str) -> list[Sighting]:
        """The newest of each region, by region."""
        with bounded():
            found = self._rows.find({"target": exactly(target)}, {"data": 1}).sort("region").limit(MAX_REGIONS)
            return [_decoder.decode(one["data"]) async for one in found]


_decoder: Final = msgspec.json.Decoder(Sighting)


def _update(one: Sighting) -> UpdateOne:
    """Where a newer one is stored, nothing matches, and there is no inserting a second one."""
    fields: Mapping[str, Any] = {
        "tenant": one.tenant,
        "target": one.target,
        "region": one.region,
        "at": one.at_ms,
        "data": msgspec.json.encode(one).decode(),
        "expires": datetime.fromtimestamp(one.at_ms / 1000, UTC) + SIGHTING_LIFE,
    }
    older = {"_id": f"{one.target}/{one.region}", "at": {"$not": {"$gt": one.at_ms}}}
    return UpdateOne(older, {"$set": fields}, upsert=True)
