"""Request keys: which samples of a repeated request were counted already.

A sample is dropped if its key was first seen in an earlier record of the partition, or in an earlier log, and was
received less than `IDEMPOTENCY_TTL_S` before: the gateway says when, and says the same to every partition, so they all
judge a repeat alike, whenever each of them reads it and whatever the store has removed by then. The same record read
again (for a tier that lags, or after a crash) is the original and counts. A key that one record carries twice was
repeated before the first was acknowledged: its second entry does not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from vigie_contracts.limits import IDEMPOTENCY_TTL_S
from vigie_contracts.samples import KeyedBatch
from vigie_storage.collections import REQUEST_KEY_LIFE
from vigie_storage.partitions.document import FirstUse, Uses

from vigie_aggregator.samples.columns import Bools

_RECOGNISED_MS: Final = IDEMPOTENCY_TTL_S * 1000
_KEPT_MS: Final = REQUEST_KEY_LIFE.total_seconds() * 1000


@dataclass(slots=True)
class RequestKeys:
    """The keys of one partition that are not committed yet; committed ones are in the store."""

    epoch: int
    pending: dict[bytes, Uses] = field(default_factory=dict[bytes, Uses])

    def unknown(self, keys: Iterable[bytes]) -> set[bytes]:
        """The keys that only the store can tell about."""
        return {key for key in keys if key not in self.pending}

    def duplicates(self, offset: int, keyed: KeyedBatch, stored: Mapping[bytes, Uses]) -> list[int]:
        """Positions, in the keys of the record at `offset`, of those that an earlier record carried, or an earlier
        entry of this one. The others become pending unless they are known as used by this record."""
        found: list[int] = []
        met: set[bytes] = set()
        for position, (key, received_ms) in enumerate(zip(keyed.keys, keyed.key_times, strict=True)):
            uses = self.pending.get(key) or stored.get(key, ())
            use = FirstUse(self.epoch, offset, received_ms)
            if key in met or any(_repeats(use, before) for before in uses):
                found.append(position)
            elif use not in uses:
                self.pending[key] = (*_kept_uses(uses, use), use)
            met.add(key)
        return found


def _repeats(use: FirstUse, before: FirstUse) -> bool:
    earlier = before.epoch != use.epoch or before.offset < use.offset
    return earlier and not _older(before, use, _RECOGNISED_MS)


def _kept_uses(uses: Uses, use: FirstUse) -> Uses:
    """The uses to keep beside a new one: those since which a record may still be read again, and the last in any case:
    the store may still have its document, and a key with one use is inserted as new."""
    return (*(before for before in uses[:-1] if not _older(before, use, _KEPT_MS)), *uses[-1:])


def _older(before: FirstUse, use: FirstUse, ms: float) -> bool:
    """Whether `before` was received at least so long before. Nobody knows where one of them does not say."""
    said = before.received_ms > 0 and use.received_ms > 0
    return said and use.received_ms - before.received_ms >= ms


def kept(keyed: KeyedBatch, duplicates: Collection[int]) -> Bools:
    """bool[samples of the record]: which of them count."""
    counts = np.ones(len(keyed.keys) + 1, np.bool_)  # one more at the end, where index -1 (no key) points
    counts[list(duplicates)] = False
    return counts[keyed.key_index]
