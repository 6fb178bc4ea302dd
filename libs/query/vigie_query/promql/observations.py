"""Samples that are histograms, and the histogram of all observations in each window of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from vigie_windows.arrays import Bools, Floats, Int32s
from vigie_windows.arrays import Int64s as Ints

from vigie_query.promql.sketches import Entries, Sketches, check_size


@dataclass(frozen=True, slots=True)
class Observations:
    """What n samples hold, each the observations since the sample before it; a float's count is 0."""

    count: npt.NDArray[Any]
    """[n]: int64, or float64 where they have been computed; so are `weight`."""
    sum: Floats
    min: Floats
    max: Floats
    sample: Ints
    """[m], ascending: which sample a bucket is of."""
    bucket: Int32s
    """As `vigie_windows.sketch` numbers them."""
    weight: npt.NDArray[Any]

    def at(self, places: Ints) -> Observations:
        """Of some of the samples, in this order."""
        begins = np.searchsorted(self.sample, places)
        counts = np.searchsorted(self.sample, places, side="right") - begins
        sample = np.repeat(np.arange(len(places), dtype=np.int64), counts)
        chosen = np.repeat(begins - (np.cumsum(counts) - counts), counts) + np.arange(len(sample))
        return Observations(
            self.count[places],
            self.sum[places],
            self.min[places],
            self.max[places],
            sample,
            self.bucket[chosen],
            self.weight[chosen],
        )


def in_windows(observations: Observations, bounds: Ints, low: Ints, high: Ints, present: Bools) -> Sketches:
    """Window [i, j] has the samples low[i, j] to high[i, j] - 1, which ascend along the steps.

    bounds: where the samples of each series begin, and end. present: which windows to look at.
    """
    size, steps = len(observations.sum), low.shape[1]
    present = present & (high > low)
    pairs = np.column_stack((low.ravel(), high.ravel())).ravel()

    def over(function: np.ufunc, column: npt.NDArray[Any], nothing: float) -> Floats:
        if not size or not len(pairs):
            return np.full(low.shape, nothing)
        with np.errstate(all="ignore"):
            # Every other part is what is between two windows; the last element is for those that end with the samples.
            parts = function.reduceat(np.append(column, column[-1:]), pairs)[::2].reshape(low.shape)
        return np.where(present, parts, nothing)

    return Sketches(
        present,
        over(np.add, observations.count, 0.0),
        over(np.add, observations.sum, 0.0),
        over(np.minimum, observations.min, np.inf),
        over(np.maximum, observations.max, -np.inf),
        _entries(observations, bounds, low, high, steps),
    )


def _entries(observations: Observations, bounds: Ints, low: Ints, high: Ints, steps: int) -> Entries:
    size = len(observations.sum)
    row_of_sample = np.repeat(np.arange(len(bounds) - 1, dtype=np.int64), np.diff(bounds))

    def passed(edges: Ints) -> Ints:
        """Of each sample, at how many steps its series has this edge at it or before it."""
        counted = np.cumsum(np.bincount(edges.ravel(), minlength=size + 1))[:size]
        return counted - row_of_sample * steps

    sample, weight = observations.sample, observations.weight
    row, begin, end = row_of_sample[sample], passed(high)[sample], passed(low)[sample]
    if weight.dtype == np.float64:  # each entry of one step
        lengths = np.maximum(end - begin, 0)
        check_size(int(lengths.sum()))
        of = np.repeat(np.arange(len(sample)), lengths)
        step = np.arange(len(of)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + begin[of]
        return Entries(row[of], step, step + 1, observations.bucket[of], weight[of])
    seen = begin < end
    entries = Entries(row, begin, end, observations.bucket, weight)
    return entries if seen.all() else entries.only(seen)
