"""Live messages: which series changed in a commit, and what their newest values are.

A message is msgpack on the Redis channel `vigie_contracts.latest.live_channel` and names series of one partition:

| field | type | meaning |
| --- | --- | --- |
| partition | int | partition of all these series |
| fingerprints | bytes | uint64, little-endian |
| ts | bytes | int64, little-endian: time of the newest sample, ms |
| values | bytes | float64, little-endian: its value |
| truncated | bool | more series changed than fit: read the hash `vigie:{tenant}:latest` for the rest |
| sums | bytes | float64, little-endian: the sum of every sample ever counted |
| counts | bytes | int64, little-endian: how many those are |
"""

from __future__ import annotations

from typing import Final

import msgspec

MAX_SERIES: Final = 10_000
"""Series in one message: 40 bytes each, so a message stays below 410 kB."""


class LiveMessage(msgspec.Struct):
    """See the module's text. `sums` and `counts` are empty in messages of older versions."""

    partition: int
    fingerprints: bytes
    ts: bytes
    values: bytes
    truncated: bool = False
    sums: bytes = b""
    counts: bytes = b""
