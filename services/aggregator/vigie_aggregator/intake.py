"""From decoded records to columns that can be folded: joined while small, split while too wide."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from vigie_contracts.samples import SampleBatch
from vigie_contracts.tiers import TIERS, Tier

from vigie_aggregator.progress import Mark, Progress

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Taken:
    """A record that was read: its samples, the row of each of its series, and which of its samples count."""

    offset: int
    batch: SampleBatch
    rows: Int64s
    kept: Bools | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples begin..end-1 of a record."""

    record: Taken
    begin: int
    end: int

    @property
    def after(self) -> Mark:
        """The place in the log behind the segment."""
        done = self.end == len(self.record.batch)
        return Mark(self.record.offset + 1) if done else Mark(self.record.offset, self.end)


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive segments that the same tiers still need: what one fold takes."""

    tiers: tuple[Tier, ...]
    segments: tuple[Segment, ...]

    def __len__(self) -> int:
        return sum(segment.end - segment.begin for segment in self.segments)

    @property
    def after(self) -> Mark:
        """The place in the log behind the run."""
        return self.segments[-1].after

    def columns(self) -> tuple[Int64s, Int64s, Floats]:
        """Row, timestamp and value of every sample that counts."""
        parts = [_columns(segment) for segment in self.segments]
        if len(parts) == 1:
            return parts[0]
        rows, timestamps, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return rows, timestamps, values

    def halves(self) -> tuple[Run, Run]:
        """The run in two, by samples. It must have at least two."""
        middle, before = len(self) // 2, 0
        first: list[Segment] = []
        for at, segment in enumerate(self.segments):
            size = segment.end - segment.begin
            if before + size < middle:
                first.append(segment)
                before += size
                continue
            cut = segment.begin + middle - before
            second = [*self.segments[at + 1 :]]
            if cut < segment.end:
                second.insert(0, Segment(segment.record, cut, segment.end))
            return Run(self.tiers, (*first, Segment(segment.record, segment.begin, cut))), Run(
                self.tiers, tuple(second)
            )
        raise ValueError("a run of fewer than two samples has no halves")


def runs(records: Sequence[Taken], position: Mark, stored: Progress, max_samples: int) -> Iterator[Run]:
    """Everything from `position` on, in order, joined to runs of about `max_samples`.

    A tier gets the samples from its own mark on; a tier whose mark is behind the position gets them all.
    """
    marks = set(stored.marks.values())
    tiers: tuple[Tier, ...] = ()
    segments: list[Segment] = []
    size = 0
    for record in records:
        for begin, end in _cuts(record, {*marks, position}):
            start = Mark(record.offset, begin)
            if start < position:
                continue
            needed = tuple(tier for tier in TIERS if stored.marks[tier.name] <= start)
            if segments and (needed != tiers or size + end - begin > max_samples):
                yield Run(tiers, tuple(segments))
                segments, size = [], 0
            tiers = needed
            segments.append(Segment(record, begin, end))
            size += end - begin
    if segments:
        yield Run(tiers, tuple(segments))


def _cuts(record: Taken, marks: Collection[Mark]) -> Iterator[tuple[int, int]]:
    samples = len(record.batch)
    inside = {mark.sample for mark in marks if mark.offset == record.offset and 0 < mark.sample < samples}
    edges = [0, *sorted(inside), samples]
    return pairwise(edges)


def _columns(segment: Segment) -> tuple[Int64s, Int64s, Floats]:
    record, batch, part = segment.record, segment.record.batch, slice(segment.begin, segment.end)
    rows, timestamps, values = record.rows[batch.index[part]], batch.timestamps[part], batch.values[part]
    if record.kept is None:
        return rows, timestamps, values
    kept = record.kept[part]
    return rows[kept], timestamps[kept], values[kept]
