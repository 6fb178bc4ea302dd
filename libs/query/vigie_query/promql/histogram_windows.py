"""Samples that are histograms, and the histogram of all observations in each of their windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Kind

from vigie_query.promql.annotations import Inform
from vigie_query.promql.histogram_vectors import NO_ENTRIES, Entries, Histograms, check_size
from vigie_query.promql.samples import Bools, Columns, Floats, Ints, Samples, Sketches, Vector, spread
from vigie_query.promql.windows import Windows, go_on

OF_EACH_OBSERVATION: Final = frozenset({"count_over_time", "present_over_time", "min_over_time", "max_over_time"})
"""Functions that give a number for a histogram too, from what its samples stand for."""
PIECE: Final = 1 << 22
"""Samples that are looked at between two looks at the time."""
SUMS: Final = frozenset({"increase", "sum_over_time", "last_over_time"})
"""Functions that give the histogram of all observations in the window."""


def apart(
    function: str, windows: Windows, inform: Inform, check: Callable[[], None]
) -> tuple[Windows, Histograms | None]:
    """The windows of which a function computes numbers, and what it gives for those of histograms."""
    samples = windows.samples
    if function in OF_EACH_OBSERVATION or not samples.histogram.any():
        return windows, None
    floats = replace(windows, high=np.where(samples.histogram[:, None], windows.low, windows.high))
    if function in SUMS:
        return floats, merged(windows, check)
    if function == "rate":
        return floats, merged(windows, check).scaled(1000 / np.maximum(windows.ends - windows.starts, 1))
    if function == "avg_over_time":
        held = samples.held[windows.high] - samples.held[windows.low]
        return floats, merged(windows, check).scaled(1 / np.maximum(held, 1))
    inform(f"ignored histograms in {function}")
    return floats, None


def merged(windows: Windows, check: Callable[[], None] = go_on) -> Histograms:
    """Of all observations in each window of a histogram. `check` is called now and then; it may raise."""
    samples, low, high = windows.samples, windows.low, windows.high
    present = samples.histogram[:, None] & (high > low)
    begins, ends = low[present], high[present]
    reach = np.cumsum(ends - begins)

    def over(function: np.ufunc, column: npt.NDArray[Any], nothing: float) -> Floats:
        found = np.full(present.shape, nothing)
        parts = np.empty(len(begins))
        # The last element is for those that end with the samples.
        padded = np.append(column, column[-1:])
        first = 0
        while first < len(begins):
            check()
            base = int(reach[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(reach, base + PIECE, side="right")))
            own = ends[first:last]
            pairs = np.column_stack((begins[first:last], own)).ravel()
            with np.errstate(all="ignore"):
                # Every other part is what is between two windows.
                parts[first:last] = function.reduceat(padded[: own.max() + 1], pairs)[::2]
            first = last
        found[present] = parts
        return found

    return Histograms(
        present,
        np.ones(present.shape),
        over(np.add, _observed(samples), 0.0),
        over(np.add, samples.column("sum"), 0.0),
        over(np.minimum, samples.column("min"), np.inf),
        over(np.maximum, samples.column("max"), -np.inf),
        NO_ENTRIES if samples.sketches is None else _entries(samples, samples.sketches, low, high),
    )


def _observed(samples: Samples) -> npt.NDArray[Any]:
    """How many observations each sample has: as many as samples that it stands for, unless they were computed."""
    sketches = samples.sketches
    if sketches is None or sketches.count.dtype != np.float64:
        return samples.column("count")
    return np.bincount(sketches.sample, sketches.count, len(samples.times))


def _entries(samples: Samples, sketches: Sketches, low: Ints, high: Ints) -> Entries:
    """A sample is in the windows of the steps from the first that ends after it to the last that begins before it."""
    steps = low.shape[1]
    row_of_sample = np.repeat(np.arange(len(samples.labels), dtype=np.int64), np.diff(samples.bounds))

    def passed(edges: Ints) -> Ints:
        """Of each sample, at how many steps its series has this edge at it or before it."""
        counted = np.cumsum(np.bincount(edges.ravel(), minlength=len(samples.times) + 1))
        return counted[: len(samples.times)] - row_of_sample * steps

    row = row_of_sample[sketches.sample]
    begin, end = passed(high)[sketches.sample], passed(low)[sketches.sample]
    seen = (begin < end) & samples.histogram[row]
    entries = Entries(row, begin, end, sketches.bucket, sketches.count)
    if not seen.all():
        entries = entries.only(seen)
    return _each_step(entries) if entries.fractional else entries


def _each_step(entries: Entries) -> Entries:
    """Those of several steps once for each."""
    sizes = entries.end - entries.begin
    check_size(int(sizes.sum()))
    step = spread(entries.begin, sizes)
    repeated = entries.only(np.repeat(np.arange(len(sizes)), sizes))
    return replace(repeated, begin=step, end=step + 1)


def stepped(vector: Vector, times: Ints) -> Samples:
    """The values of a vector with histograms, as samples. Of a series that has histograms, its numbers are left out."""
    histograms = vector.histograms
    assert histograms is not None  # noqa: S101 - the caller has looked
    of_histograms: Bools = np.logical_or.reduce(histograms.present, axis=1)
    vector = vector.where(histograms.present | ~of_histograms[:, None])
    present = vector.present
    _, steps = np.nonzero(present)
    bounds = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64)

    def either(of_histogram: Floats) -> Floats:
        return np.where(histograms.present, of_histogram, vector.values)[present]

    at, values, nothing = times[steps], vector.values[present], np.zeros(len(steps))
    of_each = either(histograms.sum), either(histograms.min), either(histograms.max), values, at
    columns = Columns(np.ones(len(steps), np.int64), *of_each, nothing, nothing.astype(np.int64), nothing)
    kinds = np.where(of_histograms, np.uint8(Kind.HISTOGRAM), np.uint8(Kind.GAUGE)).astype(np.uint8)
    entries = histograms.fractions()
    sample = (np.cumsum(present.ravel()) - 1)[entries.row * present.shape[1] + entries.begin]
    order = np.lexsort((entries.bucket, sample))
    sketches = Sketches(sample[order], entries.bucket[order], entries.weight[order])
    return Samples(vector.labels, bounds, at, values, columns, kinds, sketches)
