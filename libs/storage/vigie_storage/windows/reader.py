"""Reading windows: the documents of a plan, decoded as they come, and never more than a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, cast

import numpy as np
import numpy.typing as npt
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import TIERS, Tier
from vigie_query.errors import QueryLimitExceeded
from vigie_query.planning import Plan, TierRange
from vigie_query.series import Selection
from vigie_runtime.cache import TtlCache
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_windows import Cells
from vigie_windows.chunks import Column, decode_many, stored_fields

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, Session, batches, reading
from vigie_storage.partitions import document as checkpoints
from vigie_storage.tenancy import Rows, TenantCollection, Why, shared
from vigie_storage.windows import document as documents

MAX_CELLS: Final = 3_000_000
"""Windows of single series held for one answer: about 300 MB."""
_COMPLETENESS_TTL_S: Final = 0.25
_DOCUMENTS_PER_BATCH: Final = 1_000
_IDS_PER_READ: Final = 1_000
_RANGES_PER_READ: Final = 16
_SHORT: Final = 32
"""Up to so many windows per chunk are asked for one by one, many chunks in one request; more as a range per chunk."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """By tier, as `vigie_query.planning.plan` wants it."""

    dirty_since: Mapping[str, int | None]
    whole_since: Mapping[str, int]


class WindowReader:
    """Reads the collections `windows_*`, and of `partitions` what tells how far a coarse tier lags."""

    def __init__(
        self, db: Database, clock: Clock, topic: str, *, concurrent_reads: int = 4, session: Session | None = None
    ) -> None:
        """`topic` is the one whose partitions the windows are of. `session`: one of snapshot reads, which are then made
        one after the other."""
        self._topic = topic
        self._session = session
        # Every window is asked for by its id, or a range of ids, of one tenant: `documents.window_id`.
        self._windows = {tier: TenantCollection(db, collections.windows(tier)).across(Why.IDS) for tier in TIERS}
        self._partitions = shared(db, collections.PARTITIONS)
        self._completeness = TtlCache[dict[int, Completeness]](clock, _COMPLETENESS_TTL_S, 1)
        self._slots = asyncio.Semaphore(concurrent_reads if session is None else 1)

    async def completeness(self, partitions: Collection[int]) -> Completeness:
        """What coarse tiers lack of these partitions: not brought there yet, or counted before there was the tier."""
        known = await self._completeness.get("all", self._load)
        found = [known[partition] for partition in partitions if partition in known]
        dirty: dict[str, int | None] = {}
        whole: dict[str, int] = {}
        for name in (tier.name for tier in TIERS[1:]):
            dirty[name] = min((ms for one in found if (ms := one.dirty_since.get(name)) is not None), default=None)
            whole[name] = max((one.whole_since.get(name, 0) for one in found), default=0)
        return Completeness(dirty, whole)

    async def read(
        self,
        tenant: TenantId,
        selection: Selection,
        plan: Plan,
        columns: Collection[Column],
        rows: npt.NDArray[np.int64] | None = None,
    ) -> tuple[Cells, ...]:
        """The windows of the selected series, or of those in `rows` only. Raises QueryLimitExceeded when they are more
        than MAX_CELLS."""
        wanted = selection.rows if rows is None else rows
        chunks = selection.chunks_of(wanted)
        queries = [(piece.tier, query) for piece in plan.pieces for query in _queries(tenant, chunks, piece)]
        reader = _Reading(self._windows, self._slots, chunks, wanted, frozenset(columns), session=self._session)
        try:
            async with asyncio.TaskGroup() as group:
                for tier, query in queries:
                    group.create_task(reader.run(tier, query))
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        return tuple(reader.cells)

    async def count(
        self,
        tenant: TenantId,
        selection: Selection,
        plan: Plan,
        limit: int,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> int:
        """How many documents `read` would read; counting stops at `limit`."""
        chunks = selection.chunks if rows is None else selection.chunks_of(rows)
        counted = 0
        for piece in plan.pieces:
            for query in _queries(tenant, chunks, piece):
                async with reading():
                    counted += await self._windows[piece.tier].count_documents(
                        query, limit=limit - counted, maxTimeMS=MAX_TIME_MS
                    )
                if counted >= limit:
                    return counted
        return counted

    async def _load(self) -> dict[int, Completeness]:
        query = checkpoints.of_topic(self._topic)
        async with reading():
            return {
                checkpoints.partition_of(document): Completeness(
                    checkpoints.dirty_since(document), checkpoints.whole_since(document)
                )
                async for document in self._partitions.find(
                    query, checkpoints.COMPLETENESS, max_time_ms=MAX_TIME_MS, session=self._session
                )
            }


class _Reading:
    """One answer's reads; they share the bound."""

    def __init__(
        self,
        windows: Mapping[Tier, Rows],
        slots: asyncio.Semaphore,
        chunks: Mapping[tuple[int, int], int],
        rows: npt.NDArray[np.int64],
        columns: frozenset[Column],
        *,
        session: Session | None,
    ) -> None:
        self._windows, self._slots, self._columns, self._session = windows, slots, columns, session
        self._chunks, self._rows = chunks, rows
        self._projection = dict.fromkeys(stored_fields(columns), 1)
        self._held = 0
        self.cells: list[Cells] = []

    async def run(self, tier: Tier, query: Document) -> None:
        async with self._slots:
            cursor = self._windows[tier].find(
                query, self._projection, batch_size=_DOCUMENTS_PER_BATCH, max_time_ms=MAX_TIME_MS, session=self._session
            )
            async for found in batches(cursor, _DOCUMENTS_PER_BATCH):
                await self._take(tier, found)

    async def _take(self, tier: Tier, found: list[Document]) -> None:
        # In a thread: numpy and long loops, while other requests wait for the event loop.
        cells = await asyncio.to_thread(self._decoded, tier, found)
        self._held += len(cells)
        if self._held > MAX_CELLS:
            raise QueryLimitExceeded(
                f"step: more than {MAX_CELLS} windows of single series would have to be read: use a larger step, a "
                "shorter time or fewer series (match=label=value)",
                "step",
            )
        if len(cells):
            self.cells.append(cells)

    def _decoded(self, tier: Tier, found: list[Document]) -> Cells:
        located = ((documents.located(document), document) for document in found)
        parsed = ((self._chunks[partition, chunk], start, one) for (partition, chunk, start), one in located)
        return decode_many(parsed, tier.width_ms, rows=self._rows, columns=self._columns)


def _queries(tenant: TenantId, chunks: Iterable[tuple[int, int]], piece: TierRange) -> Iterator[Document]:
    if piece.windows > _SHORT:
        ranges = iter([documents.between(tenant, *chunk, piece.start, piece.end) for chunk in chunks])
        while some := list(islice(ranges, _RANGES_PER_READ)):
            yield {"_id": some[0]} if len(some) == 1 else {"$or": [{"_id": one} for one in some]}
        return
    ids = (
        documents.window_id(tenant, partition, chunk, start)
        for partition, chunk in chunks
        for start in range(piece.start, piece.end, piece.tier.width_ms)
    )
    while batch := list(islice(ids, _IDS_PER_READ)):
        yield {"_id": {"$in": batch}}


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error = errors.exceptions[0]
    return _first(cast("BaseExceptionGroup[BaseException]", error)) if isinstance(error, BaseExceptionGroup) else error
