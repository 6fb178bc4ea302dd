"""A commit: pending cells merged onto the stored windows, and written with the offsets they belong to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
from vigie_contracts.tiers import CHUNK_SLOTS, FINE, HOUR, TIERS, Tier
from vigie_storage.latest import LatestChunk
from vigie_storage.partitions.checkpoint import COARSE, SETTLED_MS, Checkpoint
from vigie_storage.partitions.store import Transaction
from vigie_storage.windows.document import Place, Window
from vigie_windows import Cells, chunks, merge

from vigie_aggregator.samples.partition import Partition
from vigie_aggregator.samples.series_index import SeriesIndex
from vigie_aggregator.samples.store import Store
from vigie_aggregator.samples.window_cache import distinct, groups_of

Int64s = npt.NDArray[np.int64]

INLINE_CELLS: Final = 10_000
"""Cells up to which merging them takes a few milliseconds: less than a thread is worth."""
_WINDOW_BITS: Final = 32
_READ: Final = 500
"""Stored windows read and decoded at once."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit did. rows: local rows with new latest values, ascending. expired: cells per tier that came after
    their retention and were not written."""

    tiers: tuple[Tier, ...]
    rows: Int64s
    latest: list[LatestChunk]
    documents: int
    cells: int
    expired: dict[Tier, int]


async def commit(
    partition: Partition, tiers: tuple[Tier, ...], store: Store, now_ms: int, cache_bytes: int
) -> Committed:
    """Commit everything that is pending for `tiers` (always the fine one; others stay pending), and its offsets.

    After any exception the partition's state is worthless: drop it. Raises Fenced, Retryable.
    """
    before = partition.checkpoint
    deltas = _deltas(partition, tiers)
    counted = _unexpired(deltas[FINE], HOUR, now_ms)
    rows = await _offloaded(len(counted), partition.latest.add, counted)
    written: dict[Tier, Cells] = {}
    windows: dict[Tier, list[Window]] = {}
    expired: dict[Tier, int] = {}
    for tier, delta in deltas.items():
        fit = _unexpired(delta, tier, now_ms)
        expired[tier] = len(delta) - len(fit)
        written[tier] = await _absolute(partition, tier, fit, store)
        windows[tier] = await _offloaded(len(written[tier]), encoded, written[tier], partition.series)
    checkpoint = _next_checkpoint(
        partition, tiers, [tier for tier in written if _corrects(written[tier], tier, now_ms)]
    )
    changed_chunks = distinct(rows // CHUNK_SLOTS).tolist()
    latest = await _offloaded(len(changed_chunks) * CHUNK_SLOTS, partition.latest_chunks, changed_chunks)
    await store.commit(
        Transaction(
            partition.number,
            partition.stored,
            checkpoint,
            windows,
            latest,
            partition.keys.pending,
        )
    )
    partition.stored = partition.checkpoint = checkpoint
    partition.keys.pending = {}
    for tier, documents in windows.items():
        partition.sizes.saw(tier, documents)
    for tier, cells in written.items():
        others = sum(cache.nbytes for other, cache in partition.window_caches.items() if other is not tier)
        partition.window_caches[tier].put(cells, max(0, cache_bytes - others), now_ms)
    changed = tuple(tier for tier in tiers if before.positions[tier.name] != checkpoint.positions[tier.name])
    cells = sum(len(cells) for cells in written.values())
    return Committed(changed, rows, latest, sum(map(len, windows.values())), cells, expired)


def _deltas(partition: Partition, tiers: tuple[Tier, ...]) -> dict[Tier, Cells]:
    """What each tier has to add, finest first. What stays pending goes to the tiers that lag."""
    oldest = partition.fresh.oldest
    wide = fresh = partition.fresh.take()
    for lagging in partition.lagging.values():  # the widths are multiples of each other, and the wider the fewer
        wide = lagging.cells.add(wide, oldest=oldest)
    return {tier: fresh if tier is FINE else partition.lagging[tier].cells.take() for tier in TIERS if tier in tiers}


def _next_checkpoint(partition: Partition, tiers: tuple[Tier, ...], corrected: Collection[Tier]) -> Checkpoint:
    """What the store will say when the pending cells of `tiers` are in it, of which some correct settled windows."""
    before, position = partition.checkpoint, partition.position
    if position >= before.fine:
        for lagging in partition.lagging.values():
            lagging.caught_up()
    names = {tier.name for tier in tiers}
    return replace(
        before,
        positions={name: max(at, position) if name in names else at for name, at in before.positions.items()},
        dirty_since={tier.name: lagging.dirty_since for tier, lagging in partition.lagging.items()},
        corrections={tier.name: before.corrections.get(tier.name, 0) + (tier in corrected) for tier in COARSE},
    )


def _corrects(cells: Cells, tier: Tier, now_ms: int) -> bool:
    """Whether there is a settled window among them."""
    return len(cells) > 0 and int(cells.starts.min()) + tier.width_ms <= now_ms - SETTLED_MS


async def _absolute(partition: Partition, tier: Tier, delta: Cells, store: Store) -> Cells:
    """The delta merged onto the stored state of every chunk-window it touches."""
    cache = partition.window_caches[tier]
    groups = groups_of(delta)
    places = [_place(group, tier, partition.series) for group in cache.missing(groups).tolist()]
    stored: list[Cells] = []
    for at in range(0, len(places), _READ):  # documents are larger than their cells: not all at once in memory
        found = await store.windows(tier, partition.number, places[at : at + _READ])
        stored.append(await _offloaded(len(found) * CHUNK_SLOTS, _decoded, found, tier, partition.series))
    cells = len(delta) + sum(map(len, stored))
    return await _offloaded(cells, merge, *stored, cache.take(groups), delta)


def _decoded(stored: list[Window], tier: Tier, series: SeriesIndex) -> Cells:
    documents = [(series.chunk(w.place.tenant, w.place.chunk), w.place.start_ms, w.document) for w in stored]
    return chunks.decode_many(documents, tier.width_ms)


def encoded(cells: Cells, series: SeriesIndex) -> list[Window]:
    """The documents of whole chunk-windows."""
    return [
        Window(Place(*series.chunks[local], start_ms), document)
        for local, start_ms, document in chunks.encode_all(cells)
    ]


def _place(group: int, tier: Tier, series: SeriesIndex) -> Place:
    window = group & ((1 << _WINDOW_BITS) - 1)
    return Place(*series.chunks[group >> _WINDOW_BITS], window * tier.width_ms)


def _unexpired(cells: Cells, tier: Tier, now_ms: int) -> Cells:
    """The cells that belong to windows which the tier still keeps."""
    if not len(cells):
        return cells
    starts = cells.starts
    if int(starts.min()) + tier.retention_ms > now_ms:  # as nearly always: no need to ask for each window's end
        return cells
    kept = starts - starts % tier.width_ms + tier.width_ms + tier.retention_ms > now_ms
    return cells if kept.all() else cells.select(kept)


async def _offloaded(cells: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run it here, or in a thread when it is long: heartbeats and health must live."""
    if cells <= INLINE_CELLS:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
