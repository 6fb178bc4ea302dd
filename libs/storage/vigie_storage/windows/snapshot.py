"""Windows and the offsets that they contain, as of one moment: what somebody needs who reads the log on from there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from vigie_contracts.latest import unpack
from vigie_contracts.limits import MAX_FUTURE_SKEW_MS
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import CHUNK_SLOTS, TIERS, Tier
from vigie_query.planning import covering
from vigie_query.series import Selection
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_windows import Cells, merge, widen
from vigie_windows.chunks import Column

from vigie_storage import collections, latest, mongo
from vigie_storage.mongo import Session
from vigie_storage.partitions import document as checkpoints
from vigie_storage.partitions.checkpoint import Checkpoint, Log, Position
from vigie_storage.partitions.document import FirstUse
from vigie_storage.tenancy import TenantCollection, Why, shared
from vigie_storage.windows.reader import WindowReader

_EVERYTHING: Final = frozenset(Column)
_IDS_PER_READ: Final = 1_000


@dataclass(frozen=True, slots=True)
class Counted:
    """How far a partition is counted."""

    log: Log
    position: Position
    """Before it, everything is in the windows; from it on, nothing."""


class Snapshots:
    """Makes snapshots of what the aggregators have committed. Errors that pass by themselves become Retryable."""

    def __init__(self, db: Database, clock: Clock, topic: str) -> None:
        self._db, self._clock, self._topic = db, clock, topic
        self._partitions = shared(db, collections.PARTITIONS)
        self._keys = shared(db, collections.REQUEST_KEYS)

    async def counted(self, session: Session | None = None) -> dict[int, Counted]:
        """How far each partition is counted; those that never were are missing."""
        query = checkpoints.of_topic(self._topic)
        with mongo.retryable("reading how far partitions are counted"):
            found = self._partitions.find(query, max_time_ms=mongo.MAX_TIME_MS, session=session)
            return {checkpoints.partition_of(one): _counted(checkpoints.parse(one)) async for one in found}

    async def request_keys(self, limit: int) -> list[tuple[int, bytes, FirstUse]]:
        """The request keys that were counted last, at most so many: partition, key and first use in the log of now."""
        query = checkpoints.of_topic(self._topic)
        with mongo.retryable("reading request keys"):
            partitions = self._partitions.find(query, {"epoch": 1}, max_time_ms=mongo.MAX_TIME_MS)
            epoch_of = {checkpoints.partition_of(one): one["epoch"] async for one in partitions}
            found = self._keys.find({}, checkpoints.FIRST_USES, max_time_ms=mongo.MAX_TIME_MS)
            latest = await found.sort("expires", -1).limit(limit).to_list()
        keys = [
            (int(one["_id"]["p"]), key, uses[-1])
            for one in latest
            for key, uses in checkpoints.parse_keys([one]).items()
        ]
        return [one for one in keys if one[2].epoch == epoch_of.get(one[0])]

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Snapshot]:
        """A snapshot. It can be read from for some minutes."""
        async with self._db.client.start_session(snapshot=True) as session:
            counted = await self.counted(session)  # the first read chooses the moment
            yield Snapshot(self._db, self._clock, self._topic, session, counted)


class Snapshot:
    """One moment."""

    def __init__(
        self, db: Database, clock: Clock, topic: str, session: Session, counted: Mapping[int, Counted]
    ) -> None:
        self.counted = counted
        self.taken_ms = clock.now_ms()
        self._windows = WindowReader(db, clock, topic, session=session)
        self._latest = TenantCollection(db, collections.LATEST).across(Why.IDS)
        self._session = session

    async def windows(
        self,
        tenant: TenantId,
        selection: Selection,
        tier: Tier,
        since_ms: int,
        columns: Collection[Column] = _EVERYTHING,
    ) -> Cells:
        """The windows of a tier that begin at `since_ms` or later, made of finer ones where the tier lags behind; rows
        as in the selection. `since_ms` is within what the tier keeps. Raises QueryLimitExceeded."""
        if not selection.series:
            return Cells.empty(tier.width_ms)
        with mongo.retryable("reading windows"):
            whole = await self._windows.completeness(selection.partitions)
            edges = [tier.floor(since_ms), tier.floor(self.taken_ms + MAX_FUTURE_SKEW_MS) + tier.width_ms]
            plan, _ = covering(
                edges, whole.dirty_since, self.taken_ms, whole_since=whole.whole_since, coarsest=TIERS.index(tier)
            )
            cells = await self._windows.read(tenant, selection, plan, columns)
        return merge(Cells.empty(tier.width_ms), *(widen(one, tier.width_ms) for one in cells))

    async def totals(self, tenant: TenantId, selection: Selection) -> npt.NDArray[np.float64]:
        """[rows]: the sum of all that was counted of each series; nan where nothing is known."""
        found = np.full(len(selection.chunks) * CHUNK_SLOTS, np.nan)
        ids = {place: latest.chunk_id(tenant, *place) for place in selection.chunks}
        wanted = list(ids.values())
        with mongo.retryable("reading latest values"):
            for start in range(0, len(wanted), _IDS_PER_READ):
                query = {"_id": {"$in": wanted[start : start + _IDS_PER_READ]}}
                cursor = self._latest.find(query, session=self._session, max_time_ms=mongo.MAX_TIME_MS)
                async for document in cursor:
                    partition, chunk = latest.parse(document)
                    values = unpack(chunk.data)
                    rows = selection.chunks[partition, chunk.chunk] * CHUNK_SLOTS + values.slots.astype(np.int64)
                    found[rows] = values.sums
        return found


def _counted(checkpoint: Checkpoint) -> Counted:
    return Counted(checkpoint.log, checkpoint.fine)
