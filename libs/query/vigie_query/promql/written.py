"""Histograms as Prometheus' API writes them: count, sum, and what is between which bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from vigie_windows import sketch
from vigie_windows.arrays import Floats, Int32s
from vigie_windows.arrays import Int64s as Ints

from vigie_query.promql.histogram_vectors import Histograms
from vigie_query.promql.samples import Samples

MAX_BUCKETS: Final = 160
"""Of one histogram; more are joined with their neighbours."""
OPEN_LEFT, OPEN_RIGHT, CLOSED = 0, 1, 3
"""Which bounds belong to a bucket; the names and numbers are Prometheus'."""


@dataclass(frozen=True, slots=True)
class Bucket:
    rule: int
    lower: float
    upper: float
    count: float


@dataclass(frozen=True, slots=True)
class Written:
    """One histogram. The buckets ascend and none is empty."""

    count: float
    sum: float
    buckets: list[Bucket]


def written(histograms: Histograms) -> Iterator[tuple[int, int, Written]]:
    """Row, step and histogram of each place that has one, in this order within each block of rows."""
    for block in histograms.blocks():
        shown = histograms.present[block.rows, block.steps]
        for row, step in np.argwhere(shown).tolist():
            weights = block.weights[row, step]
            used = np.flatnonzero(weights)
            place = row + block.rows.start, step + block.steps.start
            weights = weights * histograms.factor[place]
            yield (
                *place,
                Written(
                    float(histograms.count[place]),
                    float(histograms.sum[place]),
                    buckets(block.buckets[used], weights[used]),
                ),
            )


def of_samples(samples: Samples) -> Iterator[tuple[int, Written]]:
    """Position and histogram of each sample of a histogram, for the answer of a range selector."""
    sketches = samples.sketches
    rows = np.repeat(samples.histogram, np.diff(samples.bounds))
    if sketches is None:
        return
    places = np.flatnonzero(rows)
    begins, ends = (np.searchsorted(sketches.sample, places, side=side) for side in ("left", "right"))
    count, total = samples.column("count"), samples.column("sum")
    for place, begin, end in zip(places.tolist(), begins, ends, strict=True):
        held = buckets(sketches.bucket[begin:end], sketches.count[begin:end].astype(np.float64))
        yield place, Written(float(count[place]), float(total[place]), held)


def buckets(numbers: Int32s, weights: Floats) -> list[Bucket]:
    """The buckets of one sketch (numbers ascending), at most MAX_BUCKETS: each of 2, 4, 8... beside each other else."""
    together = 1
    groups = _grouped(numbers, together)
    while len(np.unique(groups)) > MAX_BUCKETS:
        together *= 2
        groups = _grouped(numbers, together)
    distinct, place = np.unique(groups, return_inverse=True)
    counts = np.bincount(place, weights, len(distinct))
    far = np.abs(distinct) * together
    _, upper = sketch.edges(np.minimum(far, sketch.BUCKETS).astype(np.int32))
    lower, _ = sketch.edges(np.maximum(far - together + 1, 1).astype(np.int32))
    return [
        _bucket(int(group), float(near), float(end), float(count))
        for group, near, end, count in zip(distinct, lower, upper, counts, strict=True)
    ]


def _grouped(numbers: Int32s, together: int) -> Ints:
    """The same for `together` neighbours on one side of zero."""
    magnitude = np.abs(numbers.astype(np.int64))
    return np.sign(numbers) * ((magnitude + together - 1) // together)


def _bucket(group: int, near: float, far: float, count: float) -> Bucket:
    if group == 0:
        return Bucket(CLOSED, -sketch.MIN_MAGNITUDE, sketch.MIN_MAGNITUDE, count)
    return Bucket(OPEN_LEFT, near, far, count) if group > 0 else Bucket(OPEN_RIGHT, -far, -near, count)
