"""Live messages: which series changed in a commit, and what their newest values are.

A message is msgpack on the channel `vigie:{tenant}:live` and names series of one partition:

| field | type | meaning |
| --- | --- | --- |
| partition | int | partition of all these series |
| fingerprints | bytes | uint64, little-endian |
| ts | bytes | int64, little-endian: time of the newest sample, ms |
| values | bytes | float64, little-endian: its value |
| truncated | bool | more series changed than fit: read the hash `vigie:{tenant}:latest` for the rest |
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from vigie_contracts.latest import live_channel
from vigie_contracts.tiers import CHUNK_SLOTS

from vigie_aggregator.samples.latest import LatestValues
from vigie_aggregator.samples.series_index import SeriesIndex
from vigie_aggregator.samples.window_cache import Int64s

MAX_SERIES: Final = 10_000
"""Series in one message: 24 bytes each, so a message stays below 250 kB."""


class LiveMessage(msgspec.Struct):
    """See the module's text."""

    partition: int
    fingerprints: bytes
    ts: bytes
    values: bytes
    truncated: bool = False


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
        )
    )
