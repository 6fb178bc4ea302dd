"""What the gateway reads in MongoDB beside the catalogue and identity."""

from __future__ import annotations

from collections.abc import Collection

from vigie_contracts import telemetry
from vigie_runtime.clients import Database
from vigie_runtime.errors import Retryable
from vigie_storage.mongo import retryable

from vigie_ingest.errors import StoreAwayError


class StoredReports:
    """Those that the aggregator has stored."""

    def __init__(self, db: Database) -> None:
        self._reports = db[telemetry.REPORTS]

    async def among(self, ids: Collection[str]) -> set[str]:
        """Which of the reports are stored. An id holds its tenant, as a hash. Raises StoreAwayError."""
        try:
            with retryable("looking up reports"):
                found = await self._reports.find({"_id": {"$in": list(ids)}}, {"_id": 1}).to_list()
        except Retryable as e:
            raise StoreAwayError from e
        return {document["_id"] for document in found}
