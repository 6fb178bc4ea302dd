"""Series with a past in the store, as the aggregator leaves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from vigie_contracts.series import Kind, SeriesKey
from vigie_contracts.tiers import FINE, TIERS
from vigie_query.series import Series
from vigie_storage import collections
from vigie_storage.series.writer import Registered, SeriesWriter
from vigie_storage.windows import document as documents
from vigie_windows import chunks, fold, widen

Samples = Sequence[tuple[int, float]]


async def store(database: Any, tenant: str, partitions: int, sent: Mapping[SeriesKey, Samples]) -> None:
    """Register the series, and write all windows of theirs."""
    writer = SeriesWriter(database, partitions)
    await writer.ensure_indexes()
    placed = await writer.register(list(sent))
    series: dict[Series, Samples] = {}
    for key, at in zip(sent, placed, strict=True):
        assert isinstance(at, Registered)
        one = Series(key.fingerprint, key.name, key.kind, key.labels, at.partition, at.ordinal, 0)
        series[one] = sent[key]
    for chunk in {one.chunk for one in series}:
        own = {one: points for one, points in series.items() if one.chunk == chunk}
        kinds = np.full(256, Kind.GAUGE, np.uint8)
        for one in own:
            kinds[one.slot] = one.kind
        rows = np.repeat([one.slot for one in own], [len(points) for points in own.values()]).astype(np.int64)
        times = np.array([at for points in own.values() for at, _ in points], np.int64)
        values = np.array([value for points in own.values() for _, value in points], np.float64)
        fine = fold(rows, times, values, kinds, FINE.width_ms)
        for tier in TIERS:
            windows = [
                documents.document(chunk[0], tier, documents.Window(documents.Place(tenant, chunk[1], start), packed))
                for _, start, packed in chunks.encode_all(widen(fine, tier.width_ms))
            ]
            await database[collections.windows(tier).name].insert_many(windows)
