"""What the gateway reads in MongoDB beside the catalogue and identity."""

from __future__ import annotations

from collections.abc import Collection

from vigie_runtime.clients import Database
from vigie_runtime.errors import Retryable
from vigie_storage.reports import reader

from vigie_ingest.errors import StoreAwayError


class StoredReports:
    """Those that the aggregator has stored."""

    def __init__(self, db: Database) -> None:
        self._reports = reader.StoredReports(db)

    async def among(self, ids: Collection[str]) -> set[str]:
        """Which of the reports are stored. Raises StoreAwayError."""
        try:
            return await self._reports.among(ids)
        except Retryable as e:
            raise StoreAwayError from e
