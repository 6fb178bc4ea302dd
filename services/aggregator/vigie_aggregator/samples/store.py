"""What the samples handler asks of its store; in production `vigie_storage.partitions.store.PartitionStore`.

The double of the tests and MongoDB are held to the same behaviour: `tests/test_store_behaviour.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from vigie_contracts.tiers import Tier
from vigie_storage.latest import LatestChunk
from vigie_storage.partitions.checkpoint import Checkpoint
from vigie_storage.partitions.document import Uses
from vigie_storage.partitions.store import Transaction
from vigie_storage.windows.document import Place, Window


class Store(Protocol):
    """Reads give what a majority has; every method raises Retryable when the store is away for now."""

    async def checkpoint(self, partition: int) -> Checkpoint | None:
        """How far the partition is counted; None when it never was."""
        ...

    async def latest(self, partition: int) -> list[LatestChunk]:
        """The latest values of all chunks of the partition."""
        ...

    async def first_uses(self, partition: int, keys: Collection[bytes]) -> dict[bytes, Uses]:
        """The first uses of those keys that were counted in the partition."""
        ...

    async def windows(self, tier: Tier, partition: int, places: Sequence[Place]) -> list[Window]:
        """Those of the windows that exist."""
        ...

    async def commit(self, transaction: Transaction) -> None:
        """All of it or nothing. Raises Fenced when the store does not say `expected`, or has one of the keys; Retryable
        also when the outcome is unknown: load again to know it."""
        ...
