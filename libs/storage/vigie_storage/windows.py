"""Reading windows: the documents of a plan, decoded as they come, and never more than a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any, Final, cast

from bson import Int64
from vigie_contracts.tiers import TIERS, Tier
from vigie_query.errors import LimitReached
from vigie_query.planning import Piece, Plan
from vigie_query.series import Selection
from vigie_runtime.cache import TtlCache
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_windows import Cells
from vigie_windows.chunks import Column, decode_many, stored_fields

from vigie_storage.reads import MAX_TIME_MS, reading

MAX_CELLS: Final = 3_000_000
"""Windows of single series held for one answer: about 300 MB."""
_PARTITIONS: Final = "partitions"
_PROGRESS_TTL_S: Final = 0.25
_DOCUMENTS_PER_BATCH: Final = 500
_IDS_PER_READ: Final = 1_000
_SHORT: Final = 32
"""Up to so many windows per chunk are asked for one by one, many chunks in one request; more as a range per chunk."""

Progress = dict[int, dict[str, int | None]]


class WindowsRepository:
    """The collections `windows_*` and `partitions`, read-only."""

    def __init__(self, db: Database, clock: Clock, topic: str, *, concurrent_reads: int = 4) -> None:
        """`topic` is the one whose partitions the windows are of."""
        self._topic = topic
        self._windows = {tier: db[tier.collection] for tier in TIERS}
        self._partitions = db[_PARTITIONS]
        self._progress = TtlCache[Progress](clock, _PROGRESS_TTL_S, 1)
        self._slots = asyncio.Semaphore(concurrent_reads)

    async def dirty_since(self, partitions: Collection[int]) -> dict[str, int | None]:
        """By coarse tier: the oldest moment that one of the partitions has not brought there yet."""
        progress = await self._progress.get("progress", self._load_progress)
        oldest: dict[str, int | None] = {}
        for tier in TIERS[1:]:
            known = [since for p in partitions if (since := progress.get(p, {}).get(tier.name)) is not None]
            oldest[tier.name] = min(known, default=None)
        return oldest

    async def read(
        self, tenant: str, selection: Selection, plan: Plan, columns: Collection[Column]
    ) -> tuple[Cells, ...]:
        """The windows of the selected series. Raises LimitReached when they are more than MAX_CELLS."""
        queries = [(piece.tier, query) for piece in plan.pieces for query in _queries(tenant, selection, piece)]
        reader = _Reading(self._windows, self._slots, selection, frozenset(columns))
        try:
            async with asyncio.TaskGroup() as group:
                for tier, query in queries:
                    group.create_task(reader.run(tier, query))
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        return tuple(reader.cells)

    async def _load_progress(self) -> Progress:
        prefix = f"{self._topic}/"
        query = {"_id": {"$gte": prefix, "$lt": prefix + "\U0010ffff"}}
        with reading():
            return {
                int(document["_id"].removeprefix(prefix)): dict(document.get("dirty_since") or {})
                async for document in self._partitions.find(query, {"dirty_since": 1}, max_time_ms=MAX_TIME_MS)
            }


class _Reading:
    """One answer's reads; they share the bound."""

    def __init__(
        self, windows: Mapping[Tier, Any], slots: asyncio.Semaphore, selection: Selection, columns: frozenset[Column]
    ) -> None:
        self._windows, self._slots, self._columns = windows, slots, columns
        self._chunks = selection.chunks
        self._rows = frozenset(selection.rows.tolist())
        self._projection = dict.fromkeys(stored_fields(columns), 1)
        self._held = 0
        self.cells: list[Cells] = []

    async def run(self, tier: Tier, query: Document) -> None:
        async with self._slots:
            with reading():
                cursor = self._windows[tier].find(
                    query, self._projection, batch_size=_DOCUMENTS_PER_BATCH, max_time_ms=MAX_TIME_MS
                )
                async with cursor:
                    while documents := await cursor.to_list(_DOCUMENTS_PER_BATCH):
                        await self._take(tier, documents)

    async def _take(self, tier: Tier, documents: list[Document]) -> None:
        parsed = [(self._chunks[d["_id"]["p"], d["_id"]["c"]], int(d["_id"]["w"]), d) for d in documents]
        # In a thread: numpy and long loops, while other requests wait for the event loop.
        cells = await asyncio.to_thread(decode_many, parsed, tier.width_ms, rows=self._rows, columns=self._columns)
        self._held += len(cells)
        if self._held > MAX_CELLS:
            raise LimitReached(
                f"step: more than {MAX_CELLS} windows of single series would have to be read: use a larger step, a "
                "shorter time or fewer series (match=label=value)",
                "step",
            )
        if len(cells):
            self.cells.append(cells)


def _queries(tenant: str, selection: Selection, piece: Piece) -> Iterator[Document]:
    if piece.windows > _SHORT:
        for partition, chunk in selection.chunks:
            home = {"t": tenant, "p": partition, "c": chunk}
            yield {"_id": {"$gte": {**home, "w": Int64(piece.start)}, "$lt": {**home, "w": Int64(piece.end)}}}
        return
    ids = (
        {"t": tenant, "p": partition, "c": chunk, "w": Int64(start)}
        for partition, chunk in selection.chunks
        for start in range(piece.start, piece.end, piece.tier.width_ms)
    )
    while batch := list(islice(ids, _IDS_PER_READ)):
        yield {"_id": {"$in": batch}}


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error = errors.exceptions[0]
    return _first(cast("BaseExceptionGroup[BaseException]", error)) if isinstance(error, BaseExceptionGroup) else error
