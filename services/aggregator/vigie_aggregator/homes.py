"""Where series live, asked of the catalogue's collection for many at once.

MongoDB groups the answer into columns. One document per series costs ten times as much here, and a start with
200,000 series would spend more on this than on counting.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import kind_of
from vigie_runtime import mongo
from vigie_runtime.catalogue import SERIES
from vigie_runtime.clients import Database, Document

from vigie_aggregator.rowmap import Homes

_BATCH: Final = 10_000
"""Fingerprints in one question."""
_GROUP: Final[Document] = {
    "$group": {
        "_id": {"tenant": "$tenant", "partition": "$partition", "type": "$type", "temporality": "$temporality"},
        "fingerprints": {"$push": "$_id"},
        "ordinals": {"$push": "$ordinal"},
    }
}


class SeriesHomes:
    """The `Catalogue` of production."""

    def __init__(self, db: Database) -> None:
        self._series = db[SERIES]

    async def homes(self, fingerprints: npt.NDArray[np.uint64]) -> list[Homes]:
        """See `reading.Catalogue`."""
        wanted: list[int] = fingerprints.view(np.int64).tolist()
        found: list[Homes] = []
        with mongo.retryable("reading the series catalogue"):
            for start in range(0, len(wanted), _BATCH):
                # Plain ints: MongoDB compares numbers by value, and wrapping them as Int64 was half of the cost.
                ids = wanted[start : start + _BATCH]
                cursor = await self._series.aggregate([{"$match": {"_id": {"$in": ids}}}, _GROUP])
                found += [_homes(document) for document in await cursor.to_list()]
        return found


def _homes(document: dict[str, Any]) -> Homes:
    of = document["_id"]
    return Homes(
        tenant=of["tenant"],
        partition=int(of["partition"]),
        kind=int(kind_of(of["type"], of.get("temporality"))),
        fingerprints=np.array(document["fingerprints"], np.int64).view(np.uint64),
        ordinals=np.array(document["ordinals"], np.int64),
    )
