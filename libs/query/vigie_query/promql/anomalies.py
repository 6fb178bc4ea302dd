"""How unusual the newest value of a window is: Vigie's own functions of ranges, in the words of statistics.

Each is signed, above 0 for a value that is higher than usual, and 0 where nothing varies. A value that stands out is
one of those that it is compared with: of n samples no standard score is beyond the square root of n - 1.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vigie_query.promql.quantiles import between_ranks
from vigie_query.promql.range_functions import quantile, variance
from vigie_query.promql.samples import Floats, Ints
from vigie_query.promql.windows import Chunk, Reduction

NORMAL_MAD: Final = 0.6745
"""The median distance from the median of a normal distribution, in standard deviations."""
NORMAL_MEAN_AD: Final = 1.253314
"""Its standard deviation, in mean distances from the median."""
ROUNDING: Final = 1e-12
"""A distance that is a smaller part of the value which it is taken from is one of rounding, and counts as none."""


def zscore(chunk: Chunk) -> Floats:
    """Standard deviations (of the population) between the mean and the newest value."""
    mean = chunk.mean()
    return _in_units(chunk.samples.values[chunk.last] - mean, np.sqrt(variance(chunk)), mean)


def mad_zscore(chunk: Chunk) -> Floats:
    """Iglewicz and Hoaglin's modified score: 0.6745 of the distance from the median, by the median of all distances;
    where that is 0, the distance by 1.253314 times their mean."""
    half = np.full(len(chunk.counts), 0.5)
    middle = quantile(chunk, chunk.values, half)
    distances = np.abs(chunk.values - chunk.per_sample(middle))
    mad = quantile(chunk, distances, half)
    unit = np.where(mad <= _noise(middle), NORMAL_MEAN_AD * chunk.add(distances) / chunk.counts, mad / NORMAL_MAD)
    return _in_units(chunk.samples.values[chunk.last] - middle, unit, middle)


def iqr_outlier(chunk: Chunk) -> Floats:
    """Interquartile ranges between the newest value and the nearest of the two quartiles; 0 between them."""
    ordered = chunk.ordered(chunk.values)

    def at(part: float) -> Floats:
        q = np.full(len(chunk.counts), part)
        return between_ranks(q, chunk.counts - 1, lambda ranks: ordered[chunk.begins + ranks])

    low, high, newest = at(0.25), at(0.75), chunk.samples.values[chunk.last]
    outside = np.where(newest > high, newest - high, np.where(newest < low, newest - low, 0.0))
    outside = np.where(np.isnan(newest) | np.isnan(low) | np.isnan(high), np.nan, outside)
    return _in_units(outside, high - low, np.where(newest > high, high, low))


def seasonal_zscore(chunk: Chunk, period: Ints, width: Ints) -> Floats:
    """Standard deviations (of the population) between the mean of the last `width` milliseconds and those of the same
    part of each `period` before.

    period, width: of each window. NaN without samples now, or with samples in fewer than two seasons before."""
    age, each = np.repeat(chunk.ends, chunk.counts) - chunk.times, np.repeat(period, chunk.counts)
    season = age // each
    wanted = np.flatnonzero(age - season * each < np.repeat(width, chunk.counts))
    window = np.repeat(np.arange(len(chunk.counts)), chunk.counts)[wanted]
    season = season[wanted]
    if not len(wanted):
        return np.full(len(chunk.counts), np.nan)
    # The samples of a season lie side by side: each is of one window, and by time.
    begins = np.flatnonzero(np.concatenate([[True], (np.diff(window) != 0) | (np.diff(season) != 0)]))
    counts = np.ones(len(wanted)) if chunk.samples.columns is None else chunk.column("count")[wanted]
    means = np.add.reduceat(chunk.column("sum")[wanted], begins) / np.add.reduceat(counts, begins)
    window, now = window[begins], season[begins] == 0
    current = np.full(len(chunk.counts), np.nan)
    current[window[now]] = means[now]
    of, past = window[~now], means[~now]
    seasons = np.bincount(of, minlength=len(current))
    mean = np.bincount(of, past, len(current)) / seasons
    spread = np.sqrt(np.bincount(of, (past - mean[of]) ** 2, len(current)) / seasons)
    return np.where(seasons < 2, np.nan, _in_units(current - mean, spread, mean))


def _in_units(distance: Floats, unit: Floats, level: Floats) -> Floats:
    """A distance from `level`: 0 where there is none, infinite where there is no unit."""
    noise = _noise(level)
    unit = np.where(unit <= noise, 0.0, unit)
    return np.where(np.abs(distance) <= noise, 0.0, distance / unit)


def _noise(level: Floats) -> Floats:
    return np.where(np.isfinite(level), ROUNDING * np.abs(level), 0.0)


PLAIN: Final[dict[str, tuple[Reduction, int]]] = {
    "iqr_outlier_over_time": (iqr_outlier, 2),
    "mad_zscore_over_time": (mad_zscore, 2),
    "zscore_over_time": (zscore, 2),
}
"""Functions of nothing but a range, as `range_functions.PLAIN`."""
