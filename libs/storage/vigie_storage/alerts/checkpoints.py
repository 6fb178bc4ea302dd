"""Up to when the rules of a partition were evaluated: from there on its next owner looks back.

alert_checkpoints  {_id: "<topic>/<partition>", evaluated: date}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from pymongo import UpdateOne
from vigie_runtime.clients import Database

from vigie_storage import collections, mongo
from vigie_storage.tenancy import shared


class Checkpoints:
    """The collection `alert_checkpoints`. Errors that pass by themselves become Retryable."""

    def __init__(self, db: Database, topic: str, take_over: Callable[[int], Awaitable[None]] | None = None) -> None:
        """`topic` is that of the rules. `take_over` ends what the owner before left open of a partition."""
        self._checkpoints = shared(db, collections.ALERT_CHECKPOINTS)
        self._topic, self._take_over = topic, take_over

    async def of(self, partition: int) -> int | None:
        """Unix milliseconds; None when they never were. For its owner: takes the partition over."""
        with mongo.retryable("reading up to when rules were evaluated"):
            if self._take_over is not None:
                await self._take_over(partition)
            found = await self._checkpoints.find_one({"_id": self._id(partition)})
        return None if found is None else round(found["evaluated"].timestamp() * 1000)

    async def keep(self, evaluated_ms: Mapping[int, int]) -> None:
        """By partition. It never goes back."""
        updates = [
            UpdateOne(
                {"_id": self._id(partition)},
                {"$max": {"evaluated": datetime.fromtimestamp(at / 1000, UTC)}},
                upsert=True,
            )
            for partition, at in evaluated_ms.items()
        ]
        if updates:
            with mongo.retryable("keeping up to when rules were evaluated"):
                await self._checkpoints.bulk_write(updates, ordered=False)

    def _id(self, partition: int) -> str:
        return f"{self._topic}/{partition}"
