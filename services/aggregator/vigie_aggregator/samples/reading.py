"""From records to samples that can be folded: decoded, with the rows of their series, without what must not count."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from vigie_contracts.samples import JoinedBatches, join
from vigie_runtime import logging, tracing
from vigie_runtime.backoff import Backoff
from vigie_runtime.bus.dead_letters import DeadLetters
from vigie_runtime.clients import KafkaRecord
from vigie_runtime.clock import Clock
from vigie_runtime.errors import DeadReason, InvalidMessage
from vigie_storage.partitions.checkpoint import Position
from vigie_storage.series.catalogue import SeriesCatalogue

from vigie_aggregator.metrics import Metrics
from vigie_aggregator.samples.columns import Bools, Samples
from vigie_aggregator.samples.keys import kept
from vigie_aggregator.samples.partition import MAX_LINKS, Partition
from vigie_aggregator.samples.series_index import UInt64s
from vigie_aggregator.samples.store import Store
from vigie_aggregator.samples.window_cache import Int64s, distinct

log = logging.get(__name__)

_LOOKUPS: Final = 4
_LOOKUP_BACKOFF: Final = Backoff(0.2, 0.8, jitter=0.0)


class RecordReader:
    """Decodes records into samples. A record that cannot be counted becomes a dead letter."""

    def __init__(
        self, catalogue: SeriesCatalogue, store: Store, dead_letters: DeadLetters, clock: Clock, metrics: Metrics
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._dead_letters = dead_letters
        self._clock = clock
        self._metrics = metrics

    async def samples(self, state: Partition, records: Sequence[KafkaRecord]) -> Samples:
        """The samples of the records that can be counted. The others are dead letters."""
        self._metrics.records.inc(len(records))
        for record in records:
            if record.headers and len(state.links) < MAX_LINKS:
                state.links += filter(None, [tracing.extract(record.headers)])
        joined, errors = join([record.value or b"" for record in records])
        dead = {at: InvalidMessage(DeadReason.UNDECODABLE, str(error)) for at, error in errors.items()}
        decoded = [at for at in range(len(records)) if at not in errors]
        rows = await self._rows(state, joined.fingerprints)
        unknown = _with_unknown(joined, rows)
        dead |= {decoded[at]: poison for at, poison in unknown.items()}
        # First: a limit stops the service when most records are dead, so it must know of those that are not.
        self._dead_letters.good(len(records) - len(dead))
        for at, poison in sorted(dead.items()):
            await self._bury(state, records[at], poison)
        records = [records[at] for at in decoded]
        offsets = [record.offset for record in records]
        kept = await self._kept(state, joined, offsets, unknown) if unknown or joined.keyed else None
        return Samples(offsets, joined.ends, rows[joined.index], joined.timestamps, joined.values, kept)

    async def _bury(self, state: Partition, record: KafkaRecord, poison: InvalidMessage) -> None:
        if Position(record.offset) < state.checkpoint.fine:
            return  # it was buried when the fine tier passed it
        log.warning("a record cannot be counted", partition=state.number, offset=record.offset, reason=str(poison))
        await self._dead_letters.send(record, str(poison))
        self._metrics.dead[poison.reason].inc()
        state.flush_to = max(state.flush_to, Position(record.offset + 1))

    async def _rows(self, state: Partition, fingerprints: UInt64s) -> Int64s:
        """The row of each series; -1 for those that nobody knows."""
        rows = state.series.find(fingerprints)
        if (rows < 0).any():
            await self._learn(state, distinct(fingerprints[rows < 0]))
            rows = state.series.find(fingerprints)
        return rows

    async def _learn(self, state: Partition, unknown: UInt64s) -> None:
        """Ask the catalogue, a few times: the gateway registers a series before it sends its samples."""
        async for _ in _LOOKUP_BACKOFF.attempts(self._clock.sleep, _LOOKUPS):
            placements = await self._catalogue.placements(unknown)
            for found in placements:
                if found.partition == state.number:
                    state.series.add(found)
            if sum(len(found.fingerprints) for found in placements) == len(unknown):
                return
            for found in placements:
                unknown = unknown[np.isin(unknown, found.fingerprints, assume_unique=True, invert=True)]

    async def _kept(
        self, state: Partition, joined: JoinedBatches, offsets: Sequence[int], unknown: Collection[int]
    ) -> Bools:
        """bool[samples]: which samples count. Not those of repeated requests, nor of records with unknown series."""
        counts = np.ones(len(joined), np.bool_)
        begins = np.append(0, joined.ends)
        for at in unknown:
            counts[begins[at] : begins[at + 1]] = False
        keyed = [one for one in joined.keyed if one.record not in unknown]
        open_ = state.keys.unknown(key for one in keyed for key in one.keys)
        stored = await self._store.first_uses(state.number, open_) if open_ else {}
        for one in keyed:
            duplicates = state.keys.duplicates(offsets[one.record], one, stored)
            if duplicates:
                part = kept(one, duplicates)
                counts[begins[one.record] : begins[one.record + 1]] = part
                self._metrics.duplicates.inc(int(np.count_nonzero(~part)))
        return counts


def _with_unknown(joined: JoinedBatches, rows: Int64s) -> dict[int, InvalidMessage]:
    """The records that name a series nobody knows."""
    if not (rows < 0).any():
        return {}
    found: dict[int, InvalidMessage] = {}
    begins = np.append(0, joined.series_ends)
    for at in np.flatnonzero(np.logical_or.reduceat(rows < 0, begins[:-1])).tolist():
        part = slice(begins[at], begins[at + 1])
        names = joined.fingerprints[part][rows[part] < 0]
        detail = f"{len(names)} series are not in the catalogue, {int(names[0]):016x} among them"
        found[at] = InvalidMessage(DeadReason.UNKNOWN_SERIES, detail)
    return found
