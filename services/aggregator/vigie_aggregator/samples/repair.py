"""When the log that a coarse tier still wanted to read is gone: its windows are made from the fine ones instead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from vigie_contracts.limits import MAX_FUTURE_SKEW_MS
from vigie_contracts.tiers import FINE, Tier
from vigie_runtime import logging
from vigie_storage.partitions.store import Transaction
from vigie_storage.windows.document import Place, Window
from vigie_windows import Cells, chunks, merge, widen

from vigie_aggregator.samples.commit import encoded
from vigie_aggregator.samples.partition import Partition
from vigie_aggregator.samples.store import Store

log = logging.get(__name__)

_READ: Final = 2_000
"""Fine documents read at once."""
_WRITE: Final = 500
"""Coarse documents written at once, about."""
_EXPIRY_MARGIN_MS: Final = 5 * 60_000
"""Fine windows that expire so soon may be gone before they are read."""


async def repair(partition: Partition, store: Store, now_ms: int) -> int:
    """Bring every coarse tier up to the fine one, then store the partition's new checkpoint. How many coarse windows
    could not be repaired, because their fine ones have expired: they keep what they have.

    To be called with nothing pending and all tiers at one offset. Raises Fenced, Retryable.
    """
    given_up = 0
    for tier, lagging in partition.lagging.items():
        stored, since = partition.stored, lagging.dirty_since
        if stored is None or since is None:
            continue
        begin = max(tier.floor(since), _whole_from(tier, now_ms))
        given_up += _given_up(partition.number, tier, since, begin)
        async for windows in _coarse(partition, tier, range(begin, now_ms + MAX_FUTURE_SKEW_MS, tier.width_ms), store):
            # Absolute, so it may be done again: the checkpoint stays until everything is repaired.
            await store.commit(Transaction(partition.number, stored, stored, {tier: windows}, [], {}))
        lagging.caught_up()
    checkpoint = replace(partition.checkpoint, dirty_since=dict.fromkeys(partition.checkpoint.dirty_since))
    await store.commit(Transaction(partition.number, partition.stored, checkpoint, {}, [], {}))
    partition.stored = partition.checkpoint = checkpoint
    return given_up


def _whole_from(tier: Tier, now_ms: int) -> int:
    """Start of the first coarse window of which no fine one has expired: others would be overwritten by a part."""
    kept_from = now_ms + _EXPIRY_MARGIN_MS - FINE.retention_ms - FINE.width_ms
    return tier.floor(kept_from + tier.width_ms - 1)


def _given_up(partition: int, tier: Tier, since: int, begin: int) -> int:
    windows = (begin - tier.floor(since)) // tier.width_ms
    if windows:
        log.error(
            "windows lack samples that were counted in no other tier, or in expired windows; their log is gone",
            partition=partition, tier=tier.name, windows=windows, from_ms=tier.floor(since), to_ms=begin,
        )  # fmt: skip
    return windows


async def _coarse(partition: Partition, tier: Tier, starts: range, store: Store) -> AsyncIterator[list[Window]]:
    """The documents of the coarse windows, made of the fine ones, some at a time."""
    ready: list[Window] = []
    for start in starts:
        cells = await _widened(partition, tier, start, store)
        ready += encoded(cells, partition.series)
        if len(ready) >= _WRITE:
            yield ready
            ready = []
    if ready:
        yield ready


async def _widened(partition: Partition, tier: Tier, start_ms: int, store: Store) -> Cells:
    """One coarse window of all chunks; every chunk the partition ever counted is known by its latest values."""
    rows, cells = partition.series, Cells.empty(tier.width_ms)
    starts = range(start_ms, start_ms + tier.width_ms, FINE.width_ms)
    places = [Place(tenant, chunk, fine) for tenant, chunk in rows.chunks for fine in starts]
    for at in range(0, len(places), _READ):
        found = await store.windows(FINE, partition.number, places[at : at + _READ])
        documents = [(rows.chunk(w.place.tenant, w.place.chunk), w.place.start_ms, w.document) for w in found]
        cells = merge(cells, widen(chunks.decode_many(documents, FINE.width_ms), tier.width_ms))
    return cells
