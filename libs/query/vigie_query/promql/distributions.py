"""What is computed from each histogram of a vector: quantiles, fractions and deviations, all [series, steps].

The error of a quantile is that of the sketch (`vigie_windows.sketch.ALPHA`), count, sum and extremes are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from vigie_windows import sketch
from vigie_windows.arrays import Floats

from vigie_query.promql.histogram_vectors import Block, Histograms
from vigie_query.promql.quantiles import outside

Check: TypeAlias = Callable[[], None]
"""Called before each block of the work; raises when its time is over."""
RANK_TOLERANCE: Final = 1e-12
"""0.07 * 100 is 7.000000000000001, and the rank 7."""


def average(histograms: Histograms) -> Floats:
    with np.errstate(all="ignore"):
        return histograms.sum / histograms.count


def quantile(histograms: Histograms, q: Floats, check: Check) -> tuple[Floats, Floats]:
    """The least of the observations that at least q of them do not exceed; q: of each step. And its relative error."""
    values, errors = np.full(histograms.present.shape, np.nan), np.full(histograms.present.shape, np.nan)
    whole = not histograms.entries.fractional
    for block in histograms.blocks():
        check()
        places = block.rows, block.steps
        upto = np.add.accumulate(block.weights, axis=2)
        total = upto[:, :, -1]
        rank = np.clip(np.nan_to_num(q[block.steps]), 0, 1) * total * (1 - RANK_TOLERANCE)
        # Rank 0 is in the first bucket that is not empty.
        reached = upto >= np.maximum(rank, np.finfo(np.float64).tiny)[:, :, None]
        bucket = block.buckets[np.argmax(reached, axis=2)]
        last = rank > total - 1 if whole else rank >= total * (1 - 2 * RANK_TOLERANCE)
        first = rank <= 1 if whole else rank <= 0
        there = total > 0
        low, high = histograms.min[places], histograms.max[places]
        least, greatest = np.where(last, high, low)[there], np.where(first, low, high)[there]
        found = sketch.estimates(bucket[there], least, greatest)
        values[places][there], errors[places][there] = found
    return np.where(histograms.present, outside(q, values), np.nan), errors


def fraction(histograms: Histograms, lower: Floats, upper: Floats, check: Check) -> Floats:
    """Which part of the observations is from `lower` to `upper` (of each step), both included.

    Observations are taken to lie evenly in the bucket of a bound, whose share of them is all that is uncertain.
    """
    values = np.full(histograms.present.shape, np.nan)
    for block in histograms.blocks():
        check()
        upto = np.add.accumulate(block.weights, axis=2)
        above = _up_to(upper[block.steps], histograms, block, upto, included=True)
        below = _up_to(lower[block.steps], histograms, block, upto, included=False)
        with np.errstate(all="ignore"):
            values[block.rows, block.steps] = np.maximum(above - below, 0.0) / upto[:, :, -1]
    values = np.where(histograms.present & (histograms.count != 0), values, np.nan)
    values = np.where((lower >= upper) & ~np.isnan(values), 0.0, values)
    return np.where(np.isnan(lower) | np.isnan(upper), np.nan, values)


def _up_to(bounds: Floats, histograms: Histograms, block: Block, upto: Floats, *, included: bool) -> Floats:
    """[rows, steps]: how many observations are up to a bound; it counts itself if `included`."""
    bucket = sketch.buckets_of(np.nan_to_num(bounds))
    steps, place = np.arange(len(bounds)), np.searchsorted(block.buckets, bucket)
    before = np.where(place > 0, upto[:, steps, np.maximum(place - 1, 0)], 0.0)
    place = np.minimum(place, len(block.buckets) - 1)
    inside = np.where(block.buckets[place] == bucket, block.weights[:, steps, place], 0.0)
    least, greatest = histograms.min[block.rows, block.steps], histograms.max[block.rows, block.steps]
    lower, upper = sketch.edges(bucket)
    low, high = np.maximum(lower, least), np.minimum(upper, greatest)
    reached = bounds >= high if included else bounds > high
    with np.errstate(all="ignore"):
        share = np.where(high > low, np.clip((bounds - low) / (high - low), 0, 1), reached)
    found = before + inside * share
    found = np.where(bounds >= greatest if included else bounds > greatest, upto[:, :, -1], found)
    return np.where(bounds < least if included else bounds <= least, 0.0, found)


def variance(histograms: Histograms, check: Check) -> Floats:
    """Of the population, around the exact mean; each observation as the sketch knows it."""
    values, means = np.full(histograms.present.shape, np.nan), average(histograms)
    for block in histograms.blocks():
        check()
        places = block.rows, block.steps
        least, greatest = histograms.min[places][:, :, None], histograms.max[places][:, :, None]
        with np.errstate(all="ignore"):
            distances = np.clip(sketch.representative(block.buckets), least, greatest) - means[places][:, :, None]
            squares = np.add.reduce(block.weights * distances**2, axis=2)
            values[places] = squares / np.add.reduce(block.weights, axis=2)
    return np.where(histograms.present & (histograms.count != 0), values, np.nan)
