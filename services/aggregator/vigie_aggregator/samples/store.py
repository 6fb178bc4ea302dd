"""What the aggregator asks of its store, and what one transaction writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from vigie_contracts.tiers import Tier
from vigie_storage.checkpoints import Checkpoint

from vigie_aggregator.samples.keys import FirstUse


class Place(NamedTuple):
    """The chunk-window of a document in one tier and partition."""

    tenant: str
    chunk: int
    start_ms: int


@dataclass(frozen=True, slots=True)
class Window:
    """A whole chunk-window, as stored."""

    place: Place
    document: Mapping[str, Any]


class LatestChunk(NamedTuple):
    """The latest values of a chunk, packed (`vigie_contracts.latest`)."""

    tenant: str
    chunk: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Transaction:
    """Everything that becomes visible together. Windows and latest values are absolute; keys are new."""

    partition: int
    expected: Checkpoint | None
    """What the store must still say; None when it must know nothing of the partition."""
    progress: Checkpoint
    windows: Mapping[Tier, Sequence[Window]]
    latest: Sequence[LatestChunk]
    keys: Mapping[bytes, int]
    """Request key -> offset of the record that carried it first."""


class Store(Protocol):
    """Reads give what a majority has; every method raises Retryable when the store is away for now."""

    async def progress(self, partition: int) -> Checkpoint | None:
        """How far the partition is counted; None when it never was."""
        ...

    async def latest(self, partition: int) -> list[LatestChunk]:
        """The latest values of all chunks of the partition."""
        ...

    async def first_uses(self, partition: int, keys: Collection[bytes]) -> dict[bytes, FirstUse]:
        """The first use of those keys that were counted in the partition."""
        ...

    async def windows(self, tier: Tier, partition: int, places: Sequence[Place]) -> list[Window]:
        """Those of the windows that exist."""
        ...

    async def commit(self, transaction: Transaction) -> None:
        """All of it or nothing. Raises Fenced when the store does not say `expected`; Retryable also when the outcome
        is unknown: load again to know it."""
        ...
