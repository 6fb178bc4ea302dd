"""Request keys: which samples of a repeated request were counted already.

A sample is dropped if its key was first seen in an earlier record of the partition, or in an earlier log. The same
record read again (for a tier that lags, or after a crash) is the original and counts. A key that one record carries
twice was repeated before the first was acknowledged: its second entry does not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from vigie_contracts.samples import KeyedBatch
from vigie_storage.partitions.document import FirstUse

from vigie_aggregator.samples.columns import Bools


@dataclass(slots=True)
class RequestKeys:
    """The keys of one partition that are not committed yet; committed ones are in the store."""

    epoch: int
    pending: dict[bytes, int] = field(default_factory=dict[bytes, int])
    """Key -> offset of the record that carried it first."""

    def unknown(self, keys: Iterable[bytes]) -> set[bytes]:
        """The keys that only the store can tell about."""
        return {key for key in keys if key not in self.pending}

    def duplicates(self, offset: int, keys: Collection[bytes], stored: Mapping[bytes, FirstUse]) -> list[int]:
        """Positions in `keys` of those that an earlier record carried, or an earlier entry of this one. The others
        become pending unless stored."""
        found: list[int] = []
        met: set[bytes] = set()
        for position, key in enumerate(keys):
            use = stored.get(key)
            if use is not None:
                counted = use.epoch != self.epoch or use.offset < offset
            else:
                counted = self.pending.setdefault(key, offset) < offset
            if counted or key in met:
                found.append(position)
            met.add(key)
        return found


def kept(keyed: KeyedBatch, duplicates: Collection[int]) -> Bools:
    """bool[samples of the record]: which of them count."""
    counts = np.ones(len(keyed.keys) + 1, np.bool_)  # one more at the end, where index -1 (no key) points
    counts[list(duplicates)] = False
    return counts[keyed.key_index]
