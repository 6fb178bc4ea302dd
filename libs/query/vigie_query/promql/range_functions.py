"""The functions of a range: what `rate`, `avg_over_time` and the like compute from the samples of a window."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from vigie_query.promql.samples import Floats
from vigie_query.promql.windows import Chunk, Reduction

NEARLY: Final = 1.1
"""A series is taken to go on to the edge of its window if that is at most this many of its intervals away."""


def increase_of(chunk: Chunk, *, counter: bool) -> Floats:
    """Last value minus first one; of a counter, with what was counted before each reset."""
    change = chunk.values[chunk.lasts] - chunk.values[chunk.begins]
    if not counter:
        return change
    inside, before, value = chunk.pairs()
    reset = inside & (value < before)
    return change + chunk.add(np.where(reset, before, 0.0)) if reset.any() else change


def extrapolated(chunk: Chunk, *, counter: bool) -> Floats:
    """Prometheus' estimate of the change over the whole window: the series is taken to go on to its edges."""
    change = increase_of(chunk, counter=counter)
    first, last = chunk.times[chunk.begins], chunk.times[chunk.lasts]
    sampled = (last - first) / 1000
    interval = sampled / (chunk.counts - 1)
    before, after = (first - chunk.starts) / 1000, (chunk.ends - last) / 1000
    before = np.where(before >= interval * NEARLY, interval / 2, before)
    after = np.where(after >= interval * NEARLY, interval / 2, after)
    if counter:  # it began at 0, and not before that
        value = chunk.values[chunk.begins]
        begun = np.where((change > 0) & (value >= 0), sampled * (value / change), before)
        before = np.minimum(before, begun)
    return change * ((sampled + before + after) / sampled)


def rate(chunk: Chunk) -> Floats:
    return extrapolated(chunk, counter=True) / ((chunk.ends - chunk.starts) / 1000)


def instant_change(chunk: Chunk, *, counter: bool) -> Floats:
    """The change from the last sample but one to the last."""
    last, before = chunk.values[chunk.lasts], chunk.values[chunk.lasts - 1]
    return np.where(last < before, last, last - before) if counter else last - before


def irate(chunk: Chunk) -> Floats:
    seconds = (chunk.times[chunk.lasts] - chunk.times[chunk.lasts - 1]) / 1000
    return instant_change(chunk, counter=True) / seconds


def least(chunk: Chunk) -> Floats:
    return np.fmin.reduceat(chunk.values, chunk.begins)


def greatest(chunk: Chunk) -> Floats:
    return np.fmax.reduceat(chunk.values, chunk.begins)


def variance(chunk: Chunk) -> Floats:
    """Of the population, in two passes: differences of large sums of squares would be noise."""
    means = chunk.add(chunk.values) / chunk.counts
    return chunk.add((chunk.values - chunk.per_sample(means)) ** 2) / chunk.counts


def changes(chunk: Chunk) -> Floats:
    inside, before, value = chunk.pairs()
    return chunk.add((inside & (before != value) & ~(np.isnan(before) & np.isnan(value))).astype(np.float64))


def resets(chunk: Chunk) -> Floats:
    inside, before, value = chunk.pairs()
    return chunk.add((inside & (value < before)).astype(np.float64))


def quantile(chunk: Chunk, q: Floats) -> Floats:
    """Between the two nearest ranks; q: of each window. NaN for NaN, -Inf below 0, +Inf above 1."""
    ordered = chunk.ordered()
    rank = np.clip(np.nan_to_num(q), 0, 1) * (chunk.counts - 1)
    below = np.floor(rank).astype(np.int64)
    above = np.minimum(below + 1, chunk.counts - 1)
    weight = rank - below
    between = ordered[chunk.begins + below] * (1 - weight) + ordered[chunk.begins + above] * weight
    return np.select([np.isnan(q), q < 0, q > 1], [np.full_like(rank, np.nan), -np.inf, np.inf], between)


def mad(chunk: Chunk) -> Floats:
    """The median of the distances from the median."""
    half = np.full(len(chunk.begins), 0.5)
    middle = quantile(chunk, half)
    distances = np.abs(chunk.values - chunk.per_sample(middle))
    return quantile(replace(chunk, values=distances), half)


def line(chunk: Chunk, origin: Floats) -> tuple[Floats, Floats]:
    """Slope per second, and value at `origin` (Unix milliseconds, one per window), of the line of least squares."""
    seconds = (chunk.times - chunk.per_sample(origin)) / 1000
    mean_x, mean_y = chunk.add(seconds) / chunk.counts, chunk.add(chunk.values) / chunk.counts
    x, y = seconds - chunk.per_sample(mean_x), chunk.values - chunk.per_sample(mean_y)
    slope = chunk.add(x * y) / chunk.add(x * x)
    intercept = mean_y - slope * mean_x
    value = chunk.values[chunk.begins]
    flat = chunk.add((chunk.values != chunk.per_sample(value)).astype(np.float64)) == 0
    endless = np.isinf(value)
    return (
        np.where(flat, np.where(endless, np.nan, 0.0), slope),
        np.where(flat, np.where(endless, np.nan, value), intercept),
    )


def deriv(chunk: Chunk) -> Floats:
    return line(chunk, chunk.times[chunk.begins].astype(np.float64))[0]


PLAIN: Final[dict[str, tuple[Reduction, int]]] = {
    "rate": (rate, 2),
    "increase": (lambda chunk: extrapolated(chunk, counter=True), 2),
    "delta": (lambda chunk: extrapolated(chunk, counter=False), 2),
    "irate": (irate, 2),
    "idelta": (lambda chunk: instant_change(chunk, counter=False), 2),
    "deriv": (deriv, 2),
    "changes": (changes, 1),
    "resets": (resets, 1),
    "sum_over_time": (lambda chunk: chunk.total(chunk.values), 1),
    "avg_over_time": (Chunk.mean, 1),
    "min_over_time": (least, 1),
    "max_over_time": (greatest, 1),
    "count_over_time": (lambda chunk: chunk.counts.astype(np.float64), 1),
    "present_over_time": (lambda chunk: np.ones(len(chunk.begins)), 1),
    "last_over_time": (lambda chunk: chunk.values[chunk.lasts], 1),
    "first_over_time": (lambda chunk: chunk.values[chunk.begins], 1),
    "stddev_over_time": (lambda chunk: np.sqrt(variance(chunk)), 1),
    "stdvar_over_time": (variance, 1),
    "mad_over_time": (mad, 1),
}
"""Functions of nothing but a range -> what they compute, and of how many samples at least."""
KEEP_NAME: Final = frozenset({"last_over_time", "first_over_time"})
