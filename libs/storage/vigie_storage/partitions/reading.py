"""How far the partitions of a log are counted, for whoever looks on: nothing is taken over by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vigie_contracts.days import to_ms
from vigie_runtime.clients import Database

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, bounded
from vigie_storage.partitions import document as documents
from vigie_storage.partitions.checkpoint import Checkpoint
from vigie_storage.tenancy import shared

MAX_PARTITIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Counted:
    """A partition's checkpoint, and when it was committed."""

    checkpoint: Checkpoint
    committed_ms: int


async def counted(db: Database, topic: str) -> dict[int, Counted]:
    """By partition, of those of which something was counted. Raises StoreUnavailable."""
    with bounded():
        found = shared(db, collections.PARTITIONS).find(documents.of_topic(topic), max_time_ms=MAX_TIME_MS)
        return {
            documents.partition_of(document): Counted(documents.parse(document), to_ms(document["updated"]))
            for document in await found.limit(MAX_PARTITIONS).to_list()
        }
