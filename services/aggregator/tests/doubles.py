"""Doubles of what the handler talks to: a store in memory that can fail, a catalogue, a log to read from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from vigie_aggregator.metrics import ALL, Metrics
from vigie_aggregator.samples.handler import Limits, SamplesHandler
from vigie_aggregator.samples.schedule import Intervals
from vigie_contracts.samples import SampleBatch, encode
from vigie_contracts.series import Kind
from vigie_contracts.tiers import TIERS, Tier
from vigie_runtime.bus.dead_letters import Limit, Ratio
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Fenced, Retryable
from vigie_runtime.metrics import MetricSet
from vigie_storage.latest import LatestChunk
from vigie_storage.partitions.checkpoint import Checkpoint, Log
from vigie_storage.partitions.document import Uses
from vigie_storage.partitions.store import Transaction
from vigie_storage.series.placement import SeriesPlacement
from vigie_storage.windows.document import Place, Window
from vigie_windows import Cells, chunks

LOG = Log("cluster-1", "topic-1")


class MemoryStore:
    """A `Store` with the compare-and-set of the real one. `fail` fails the next commit: "before" or "after" it."""

    def __init__(self) -> None:
        self.partitions: dict[int, Checkpoint] = {}
        self.tiers: dict[Tier, dict[tuple[int, Place], dict[str, Any]]] = {tier: {} for tier in TIERS}
        self.chunks: dict[tuple[int, str, int], bytes] = {}
        self.keys: dict[tuple[int, bytes], Uses] = {}
        self.fail: str | None = None
        self.commits = 0

    async def checkpoint(self, partition: int) -> Checkpoint | None:
        return self.partitions.get(partition)

    async def latest(self, partition: int) -> list[LatestChunk]:
        return [LatestChunk(t, c, data) for (p, t, c), data in self.chunks.items() if p == partition]

    async def first_uses(self, partition: int, keys: Collection[bytes]) -> dict[bytes, Uses]:
        return {key: self.keys[partition, key] for key in keys if (partition, key) in self.keys}

    async def windows(self, tier: Tier, partition: int, places: Sequence[Place]) -> list[Window]:
        found = self.tiers[tier]
        return [Window(place, found[partition, place]) for place in places if (partition, place) in found]

    async def commit(self, transaction: Transaction) -> None:
        failure, self.fail = self.fail, None
        if failure == "before":
            raise Retryable("the store is away")
        if self.partitions.get(transaction.partition) != transaction.expected:
            raise Fenced(transaction.partition)
        new = [key for key, uses in transaction.keys.items() if len(uses) == 1]
        if any((transaction.partition, key) in self.keys for key in new):
            raise Fenced(transaction.partition)
        self._apply(copy.deepcopy(transaction))
        if failure == "after":
            raise Retryable("the outcome is unknown")

    def _apply(self, transaction: Transaction) -> None:
        partition, self.commits = transaction.partition, self.commits + 1
        self.partitions[partition] = transaction.checkpoint
        for tier, windows in transaction.windows.items():
            self.tiers[tier].update({(partition, window.place): dict(window.document) for window in windows})
        self.chunks.update({(partition, chunk.tenant, chunk.chunk): chunk.data for chunk in transaction.latest})
        self.keys.update({(partition, key): uses for key, uses in transaction.keys.items()})

    def cells(self, tier: Tier, tenants: Sequence[str]) -> Cells:
        """All windows of a tier; the row of a series is (tenant number * 2^10 + chunk) * 256 + slot."""
        documents = [
            (tenants.index(place.tenant) << 10 | place.chunk, place.start_ms, document)
            for (_, place), document in self.tiers[tier].items()
        ]
        return chunks.decode_many(documents, tier.width_ms)


@dataclass(frozen=True)
class Series:
    fingerprint: int
    tenant: str
    ordinal: int
    kind: Kind
    partition: int = 0

    @property
    def placement(self) -> SeriesPlacement:
        fingerprints, ordinals = np.array([self.fingerprint], np.uint64), np.array([self.ordinal], np.int64)
        return SeriesPlacement(self.tenant, self.partition, int(self.kind), fingerprints, ordinals)


class MemoryCatalogue:
    def __init__(self, series: Iterable[Series]) -> None:
        self.known = {one.fingerprint: one.placement for one in series}
        self.lookups = 0

    async def placements(self, fingerprints: npt.NDArray[np.uint64]) -> list[SeriesPlacement]:
        self.lookups += 1
        return [self.known[fingerprint] for fingerprint in fingerprints.tolist() if fingerprint in self.known]


@dataclass
class Recorded:
    """What was sent, of dead letters and of the view."""

    dead: list[tuple[int, str]] = field(default_factory=list)
    pushed: list[tuple[int, Sequence[LatestChunk], Sequence[tuple[str, bytes]]]] = field(default_factory=list)
    ratio: Ratio = field(default_factory=lambda: Ratio(Limit(), Clock(0)))
    failure: Exception | None = None
    """What the next dead letter fails with."""

    def good(self, messages: int = 1) -> None:
        self.ratio.good(messages)

    async def send(self, record: Any, reason: str) -> None:
        self.ratio.dead()
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        self.dead.append((record.offset, reason))

    def adopt(self, partition: int) -> None: ...
    def forget(self, partition: int) -> None: ...

    def push(self, partition: int, chunks: Sequence[LatestChunk], messages: Sequence[tuple[str, bytes]]) -> None:
        self.pushed.append((partition, chunks, messages))


class Clock(ManualClock):
    """Sleeping moves the time on."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


@dataclass(frozen=True)
class Record:
    offset: int
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int = 0


def record(
    offset: int, samples: Sequence[tuple[int, int, float]], keys: Sequence[bytes] = (), key_index: Sequence[int] = (),
    key_times: Sequence[int] = (),
) -> Record:  # fmt: skip
    """A record of (fingerprint, timestamp, value) samples."""
    fingerprints, index = np.unique(np.array([s[0] for s in samples], np.uint64), return_inverse=True)
    batch = SampleBatch(
        fingerprints,
        index.astype(np.uint32),
        np.array([s[1] for s in samples], np.int64),
        np.array([s[2] for s in samples], np.float64),
        tuple(keys),
        np.array(key_index, np.int32) if keys else None,
        tuple(key_times),
    )
    return Record(offset, encode(batch))


FAST = Limits(intervals=Intervals(fine_s=1.0, coarse_s=30.0), inbox_bytes=0)
"""Records are looked at as soon as they come."""


def handler(
    store: Any,
    catalogue: Any,
    clock: Clock,
    sent: Recorded | None = None,
    *,
    limits: Limits = FAST,
    log: Log = LOG,
    lag: Callable[[], Mapping[int, int]] = dict,
) -> SamplesHandler:
    sent = sent or Recorded()
    return SamplesHandler(
        log,
        store=store,
        catalogue=catalogue,
        dead_letters=sent,
        clock=clock,
        metrics=Metrics(MetricSet(ALL, registry=_registry())),
        view=sent,
        limits=limits,
        lag=lag,
    )


def _registry() -> Any:
    from prometheus_client import CollectorRegistry

    return CollectorRegistry()


class Reader:
    """What the log reader does, without Kafka: reload after Fenced and Retryable, never skip, never reorder."""

    def __init__(self, handler: SamplesHandler, log: Sequence[Record], partition: int = 0) -> None:
        self.handler = handler
        self._log = log
        self._partition = partition
        self._next: int | None = None

    async def poll(self, count: int) -> bool:
        """Give the handler up to `count` records; whether there were any."""
        try:
            if self._next is None:
                self._next = await self.handler.assigned(self._partition) or 0
            some = list(self._log[self._next : self._next + count])
            await self.handler.records(self._partition, some)
            self._next += len(some)
            return bool(some)
        except (Fenced, Retryable):
            self._next = None
            return True

    async def tick(self) -> None:
        try:
            await self.handler.tick()
        except (Fenced, Retryable):
            self._next = None

    async def revoke(self) -> None:
        self._next = None
        with suppress(KeyError):
            await self.handler.revoked([self._partition])

    async def drain(self) -> None:
        """Read all there is and commit it."""
        while await self.poll(1000):
            pass
        await self.revoke()


def batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


NOW = 1_700_000_000_000
ONE = Series(7, "acme", 0, Kind.COUNTER)
TWO = Series(8, "beta", 300, Kind.GAUGE)


def counted(store: MemoryStore, tier: Tier) -> int:
    return int(store.cells(tier, ("acme", "beta")).count.sum())


def parts(*series: Series) -> tuple[MemoryStore, MemoryCatalogue, Clock, Recorded]:
    return MemoryStore(), MemoryCatalogue(series or (ONE, TWO)), Clock(NOW), Recorded()
