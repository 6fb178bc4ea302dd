"""The samples of a stretch of the log as columns, and which tiers still need which of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from vigie_contracts.tiers import TIERS, Tier
from vigie_storage.partitions.checkpoint import Checkpoint, Position

from vigie_aggregator.samples.window_cache import Int64s

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of some records, in the order of the log."""

    offsets: Sequence[int]
    """Of each record."""
    ends: Int64s
    """Of each record, where its samples end in the columns."""
    rows: Int64s
    timestamps: Int64s
    values: Floats
    kept: Bools | None = None
    """Which samples count; None when all do."""

    def __len__(self) -> int:
        return len(self.values)

    def begin(self, record: int) -> int:
        """Where the samples of the record begin; for one past the last record, where all end."""
        return int(self.ends[record - 1]) if record else 0

    def find(self, position: Position) -> int:
        """The first sample that is not before the position."""
        record = bisect_left(self.offsets, position.offset)
        begin = self.begin(record)
        if record < len(self.offsets) and self.offsets[record] == position.offset:
            return min(begin + position.sample, int(self.ends[record]))
        return begin

    def behind(self, end: int) -> Position:
        """The place in the log behind sample `end - 1`."""
        record = int(np.searchsorted(self.ends, end))
        offset = self.offsets[record]
        return Position(offset + 1) if end == self.ends[record] else Position(offset, end - self.begin(record))


@dataclass(frozen=True, slots=True)
class TierSlice:
    """Samples begin..end-1, at least one, which the same tiers still need: what one fold takes."""

    tiers: tuple[Tier, ...]
    samples: Samples
    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin

    @property
    def after(self) -> Position:
        """The place in the log behind the slice."""
        return self.samples.behind(self.end)

    def columns(self) -> tuple[Int64s, Int64s, Floats]:
        """Row, timestamp and value of every sample that counts."""
        part, samples = slice(self.begin, self.end), self.samples
        rows, timestamps, values = samples.rows[part], samples.timestamps[part], samples.values[part]
        if samples.kept is None:
            return rows, timestamps, values
        kept = samples.kept[part]
        return rows[kept], timestamps[kept], values[kept]

    def halves(self) -> tuple[TierSlice, TierSlice]:
        """The slice in two. It must have at least two samples."""
        middle = (self.begin + self.end) // 2
        return replace(self, end=middle), replace(self, begin=middle)


def tier_slices(samples: Samples, position: Position, stored: Checkpoint) -> Iterator[TierSlice]:
    """Everything from `position` on, in order. A tier gets the samples from its own position on."""
    firsts = {tier: samples.find(stored.positions[tier.name]) for tier in TIERS}
    begin = samples.find(position)
    edges = {begin, len(samples), *(first for first in firsts.values() if first > begin)}
    for at, end in pairwise(sorted(edges)):
        yield TierSlice(tuple(tier for tier in TIERS if firsts[tier] <= at), samples, at, end)
