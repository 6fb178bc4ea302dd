"""Which series changed in a commit, as live messages (`vigie_contracts.live`)."""

from __future__ import annotations

import msgspec
import numpy as np
from vigie_contracts.latest import live_channel
from vigie_contracts.live import MAX_SERIES, LiveMessage
from vigie_contracts.tiers import CHUNK_SLOTS

from vigie_aggregator.samples.latest import LatestValues
from vigie_aggregator.samples.series_index import SeriesIndex
from vigie_aggregator.samples.window_cache import Int64s

_encoder = msgspec.msgpack.Encoder()


def messages(partition: int, changed: Int64s, series: SeriesIndex, latest: LatestValues) -> list[tuple[str, bytes]]:
    """(channel, message) for each tenant that has changed rows (ascending)."""
    by_tenant: dict[str, list[Int64s]] = {}
    locals_, begins = np.unique(changed // CHUNK_SLOTS, return_index=True)
    for local, part in zip(locals_.tolist(), np.split(changed, begins[1:]), strict=True):
        by_tenant.setdefault(series.chunks[local][0], []).append(part)
    return [
        (live_channel(tenant), _message(partition, np.concatenate(parts), series, latest))
        for tenant, parts in by_tenant.items()
    ]


def _message(partition: int, changed: Int64s, series: SeriesIndex, latest: LatestValues) -> bytes:
    part = changed[:MAX_SERIES]
    return _encoder.encode(
        LiveMessage(
            partition,
            series.fingerprints[part].astype("<u8").tobytes(),
            latest.timestamps[part].astype("<i8").tobytes(),
            latest.values[part].astype("<f8").tobytes(),
            truncated=len(changed) > MAX_SERIES,
            sums=latest.sums[part].astype("<f8").tobytes(),
            counts=latest.counts[part].astype("<i8").tobytes(),
        )
    )
