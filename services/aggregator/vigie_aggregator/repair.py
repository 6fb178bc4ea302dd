"""When the log that a coarse tier still wanted to read is gone: its windows are made from the fine ones instead."""

from __future__ import annotations

from dataclasses import replace

from vigie_contracts.limits import MAX_FUTURE_SKEW_MS
from vigie_contracts.tiers import FINE
from vigie_windows import Cells, chunks, widen

from vigie_aggregator.commit import encoded
from vigie_aggregator.partition import Partition
from vigie_aggregator.store import Place, Store, Transaction


async def repair(partition: Partition, store: Store, now_ms: int) -> None:
    """Bring every coarse tier up to the fine one, and store the partition's new marks.

    To be called with nothing pending and equal marks in all tiers. Raises Fenced, Retryable.
    """
    windows = {}
    for tier, lagging in partition.lagging.items():
        if (since := lagging.dirty_since) is not None:
            fine = await _fine_since(partition, tier.floor(since), now_ms + MAX_FUTURE_SKEW_MS, store)
            windows[tier] = encoded(widen(fine, tier.width_ms), partition.rows)
            lagging.caught_up()
    progress = replace(partition.progress, dirty_since=dict.fromkeys(partition.progress.dirty_since))
    await store.commit(Transaction(partition.number, partition.stored, progress, windows, [], {}))
    partition.stored = partition.progress = progress


async def _fine_since(partition: Partition, start_ms: int, end_ms: int, store: Store) -> Cells:
    """All fine windows of the partition in the range; every chunk it ever counted is known by its latest values."""
    starts = range(start_ms, end_ms, FINE.width_ms)
    places = [Place(tenant, chunk, start) for tenant, chunk in partition.rows.chunks for start in starts]
    found = await store.windows(FINE, partition.number, places)
    rows = partition.rows
    documents = [(rows.chunk(w.place.tenant, w.place.chunk), w.place.start_ms, w.document) for w in found]
    return chunks.decode_many(documents, FINE.width_ms)
