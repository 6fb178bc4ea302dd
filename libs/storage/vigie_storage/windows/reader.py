"""Reading windows: the documents of a plan, decoded as they come, and never more than a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final, cast

import numpy as np
import numpy.typing as npt
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import TIERS, Tier
from vigie_query.errors import QueryLimitExceeded
from vigie_query.planning import Plan, TierRange
from vigie_query.series import Selection
from vigie_runtime import tasks
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
from vigie_storage.windows.settled import SettledWindows

MAX_CELLS: Final = 3_000_000
"""Windows of single series held for one answer: about 300 MB."""
_COMPLETENESS_TTL_S: Final = 0.25
_DOCUMENTS_PER_BATCH: Final = 1_000
_FEW_DOCUMENTS: Final = 8
"""Decoded in less than a millisecond."""
_IDS_PER_READ: Final = 1_000
_RANGES_PER_READ: Final = 16
_SHORT: Final = 32
"""Up to so many windows per chunk are asked for one by one, many chunks in one request; more as a range per chunk."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """By tier, as `vigie_query.planning.plan` wants it."""

    dirty_since: Mapping[str, int | None]
    whole_since: Mapping[str, int]
    corrections: Mapping[str, int] = field(default_factory=dict[str, int])
    """How often settled windows were written; of tiers of which that is known."""


class WindowReader:
    """Reads the collections `windows_*`, and of `partitions` what tells how far a coarse tier lags."""

    def __init__(
        self, db: Database, clock: Clock, topic: str, *, concurrent_reads: int = 4, session: Session | None = None
    ) -> None:
        """`topic` is the one whose partitions the windows are of. `session`: one of snapshot reads, which are then made
        one after the other."""
        self._db, self._clock, self._topic = db, clock, topic
        self.session = session
        # Every window is asked for by its id, or a range of ids, of one tenant: `documents.window_id`.
        self._windows = {tier: TenantCollection(db, collections.windows(tier)).across(Why.IDS) for tier in TIERS}
        self._partitions = shared(db, collections.PARTITIONS)
        self._completeness = TtlCache[dict[int, Completeness]](clock, _COMPLETENESS_TTL_S, 1)
        self._slots = asyncio.Semaphore(concurrent_reads if session is None else 1)
        self._settled = SettledWindows(clock)

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncGenerator[WindowReader]:
        """A reader that sees, with all that is read in its `session`, what was committed at one moment."""
        async with self._db.client.start_session(snapshot=True) as session:
            yield WindowReader(self._db, self._clock, self._topic, session=session)

    async def completeness(self, partitions: Collection[int]) -> Completeness:
        """What coarse tiers lack of these partitions: not brought there yet, or counted before there was the tier."""
        known = await self._known()
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
        reader = _Reading(self._windows, self._slots, self.session, tenant, chunks, wanted, frozenset(columns))
        known = await self._known() if self.session is None else {}
        try:
            async with asyncio.TaskGroup() as group:
                reads = [group.create_task(self._piece(reader, at, plan, known)) for at in range(len(plan.pieces))]
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        return tuple(cells for read in reads for cells in read.result())

    async def _piece(self, reader: _Reading, at: int, plan: Plan, known: Mapping[int, Completeness]) -> list[Cells]:
        """The windows of one piece of the plan, of which those that are settled may be known."""
        piece = plan.pieces[at]
        settled = self._settled.of(piece, len(reader.rows))
        key = None if settled is None else reader.key(piece.tier, known)
        if settled is None or key is None:
            return await reader.read(piece)
        before = sum(one.tier is piece.tier for one in plan.pieces[:at])
        kept = self._settled.find((key, before), settled)
        for gap in kept.gaps:
            kept.add(await reader.read(gap))
        self._settled.keep((key, before), kept)
        found = kept.within(settled)
        reader.hold(sum(map(len, found)))
        return [*found, *await reader.read(piece._replace(start=settled.end))]

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

    async def _known(self) -> dict[int, Completeness]:
        return await self._completeness.get("all", self._load)

    async def _load(self) -> dict[int, Completeness]:
        query = checkpoints.of_topic(self._topic)
        async with reading():
            return {
                checkpoints.partition_of(document): Completeness(
                    checkpoints.dirty_since(document),
                    checkpoints.whole_since(document),
                    checkpoints.corrections(document),
                )
                async for document in self._partitions.find(
                    query, checkpoints.COMPLETENESS, max_time_ms=MAX_TIME_MS, session=self.session
                )
            }


@dataclass(slots=True)
class _Reading:
    """One answer's reads; they share the bound."""

    windows: Mapping[Tier, Rows]
    slots: asyncio.Semaphore
    session: Session | None
    tenant: TenantId
    chunks: Mapping[tuple[int, int], int]
    rows: npt.NDArray[np.int64]
    columns: frozenset[Column]
    held: int = 0

    def key(self, tier: Tier, known: Mapping[int, Completeness]) -> Hashable | None:
        """By what the settled windows of a tier are known; None where nobody counts corrections."""
        counted: list[int] = []
        for partition, _ in self.chunks:
            count = known[partition].corrections.get(tier.name) if partition in known else None
            if count is None:
                return None
            counted.append(count)
        return self.tenant, tier.name, self.columns, tuple(self.chunks.items()), self.rows.tobytes(), tuple(counted)

    async def read(self, piece: TierRange) -> list[Cells]:
        """The windows of a range."""
        async with asyncio.TaskGroup() as group:
            reads = [
                group.create_task(self._found(piece.tier, query)) for query in _queries(self.tenant, self.chunks, piece)
            ]
        return [cells for read in reads for cells in read.result()]

    async def _found(self, tier: Tier, query: Document) -> list[Cells]:
        found: list[Cells] = []
        projection = dict.fromkeys(stored_fields(self.columns), 1)
        async with self.slots:
            cursor = self.windows[tier].find(
                query, projection, batch_size=_DOCUMENTS_PER_BATCH, max_time_ms=MAX_TIME_MS, session=self.session
            )
            async for batch in batches(cursor, _DOCUMENTS_PER_BATCH):
                cells = await tasks.beside(partial(self._decoded, tier, batch), short=len(batch) <= _FEW_DOCUMENTS)
                self.hold(len(cells))
                if len(cells):
                    found.append(cells)
        return found

    def hold(self, cells: int) -> None:
        """More are held for the answer. Raises QueryLimitExceeded."""
        self.held += cells
        if self.held > MAX_CELLS:
            raise QueryLimitExceeded(
                f"step: more than {MAX_CELLS} windows of single series would have to be read: use a larger step, a "
                "shorter time or fewer series (match=label=value)",
                "step",
            )

    def _decoded(self, tier: Tier, found: list[Document]) -> Cells:
        located = ((documents.located(document), document) for document in found)
        parsed = ((self.chunks[partition, chunk], start, one) for (partition, chunk, start), one in located)
        return decode_many(parsed, tier.width_ms, rows=self.rows, columns=self.columns)


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
