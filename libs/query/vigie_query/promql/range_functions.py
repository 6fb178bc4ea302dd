"""The functions of a range: what `rate`, `avg_over_time` and the like compute from the samples of a window."""

from __future__ import annotations

from typing import Final

import numpy as np

from vigie_query.promql.quantiles import between_ranks
from vigie_query.promql.samples import Floats, Ints
from vigie_query.promql.windows import Chunk, Reduction

NEARLY: Final = 1.1
"""A series is taken to go on to the edge of its window if that is at most this many of its intervals away."""


def increase_of(chunk: Chunk, *, counter: bool) -> Floats:
    """Last value minus first one; of a counter, with what was counted before each reset."""
    samples = chunk.samples
    change = samples.values[chunk.last] - samples.column("first")[chunk.first]
    if counter and (reset := _between(chunk, samples.falls, "resets") > 0).any():
        change[reset] += _before_resets(chunk.only(reset))
    return change


def _before_resets(chunk: Chunk) -> Floats:
    """The sum of the values after which a counter began anew."""
    before = np.concatenate([[np.inf], chunk.values[:-1]])
    fell = chunk.column("first") < before
    fell[chunk.begins] = False
    lost = np.where(fell, before, 0.0)
    return chunk.add(lost if chunk.samples.columns is None else lost + chunk.column("before_resets"))


def extrapolated(chunk: Chunk, *, counter: bool, seconds: Floats | float = 1.0) -> Floats:
    """Prometheus' estimate of the change over the whole window: the series is taken to go on to its edges. By so many
    `seconds`, rounded where Prometheus rounds."""
    change = increase_of(chunk, counter=counter)
    first, last = chunk.samples.column("first_ms")[chunk.first], chunk.samples.times[chunk.last]
    sampled = (last - first) / 1000
    interval = sampled / (chunk.held - 1)
    before, after = (first - chunk.starts) / 1000, (chunk.ends - last) / 1000
    before = np.where(before >= interval * NEARLY, interval / 2, before)
    after = np.where(after >= interval * NEARLY, interval / 2, after)
    if counter:  # it began at 0, and not before that
        value = chunk.samples.column("first")[chunk.first]
        begun = np.where((change > 0) & (value >= 0), sampled * (value / change), before)
        before = np.minimum(before, begun)
    return change * ((sampled + before + after) / sampled / seconds)


def increase(chunk: Chunk, seconds: Floats | float = 1.0) -> Floats:
    """Of a counter, by so many `seconds`. Where it consists of increments: their exact sum, without an estimate."""
    increments = chunk.incremental
    if increments.all():
        return _incremented(chunk) / seconds
    change = extrapolated(chunk, counter=True, seconds=seconds)
    if increments.any():
        change[increments] = (_incremented(chunk) / seconds)[increments]
    return change


def _incremented(chunk: Chunk) -> Floats:
    grown = chunk.samples.grown
    if grown is None:
        return chunk.total(chunk.column("increase"))
    return grown[chunk.first + chunk.counts] - grown[chunk.first] + 0.0  # not -0, whatever was counted before


def rate(chunk: Chunk) -> Floats:
    return increase(chunk, (chunk.ends - chunk.starts) / 1000)


def _newest_two(chunk: Chunk) -> tuple[Floats, Floats, Floats]:
    """The last value but one, the last, and the seconds between them: of several in one sample, the first stands for
    those before the last when there is no other sample."""
    samples, last = chunk.samples, chunk.last
    before = np.maximum(last - 1, 0)
    value, at = samples.values[before], samples.times[before]
    alone = chunk.counts == 1
    if alone.any():
        value = np.where(alone, samples.column("first")[last], value)
        at = np.where(alone, samples.column("first_ms")[last], at)
    return value, samples.values[last], (samples.times[last] - at) / 1000


def instant_change(chunk: Chunk, *, counter: bool) -> Floats:
    """The change from the last sample but one to the last."""
    before, last, _ = _newest_two(chunk)
    return np.where((last < before) & ~chunk.incremental, last, last - before) if counter else last - before


def irate(chunk: Chunk) -> Floats:
    _, _, seconds = _newest_two(chunk)
    return instant_change(chunk, counter=True) / seconds


def least(chunk: Chunk) -> Floats:
    return np.fmin.reduceat(chunk.column("min"), chunk.begins)


def greatest(chunk: Chunk) -> Floats:
    return np.fmax.reduceat(chunk.column("max"), chunk.begins)


def variance(chunk: Chunk) -> Floats:
    """Of the population, in two passes: differences of large sums of squares would be noise. Samples that stand for
    several count as so many of their mean."""
    if chunk.samples.columns is None:
        values, weights = chunk.values, 1
    else:
        weights = chunk.column("count")
        values = chunk.column("sum") / weights
    means = chunk.add(values * weights) / chunk.held
    return chunk.add((values - chunk.per_sample(means)) ** 2 * weights) / chunk.held


def quantile(chunk: Chunk, values: Floats, q: Floats) -> Floats:
    """Of values of samples, between the two nearest ranks.

    q: of each window. NaN for NaN, -Inf below 0, +Inf above 1."""
    ordered = chunk.ordered(values)
    return between_ranks(q, chunk.counts - 1, lambda ranks: ordered[chunk.begins + ranks])


def mad(chunk: Chunk) -> Floats:
    """The median of the distances from the median."""
    half = np.full(len(chunk.counts), 0.5)
    middle = quantile(chunk, chunk.values, half)
    return quantile(chunk, np.abs(chunk.values - chunk.per_sample(middle)), half)


def line(chunk: Chunk, origin: Floats) -> tuple[Floats, Floats]:
    """Slope per second, and value at `origin` (Unix milliseconds, one per window), of the line of least squares."""
    seconds = (chunk.times - chunk.per_sample(origin)) / 1000
    mean_x, mean_y = chunk.add(seconds) / chunk.counts, chunk.add(chunk.values) / chunk.counts
    x, y = seconds - chunk.per_sample(mean_x), chunk.values - chunk.per_sample(mean_y)
    slope = chunk.add(x * y) / chunk.add(x * x)
    intercept = mean_y - slope * mean_x
    value = chunk.samples.values[chunk.first]
    flat = chunk.samples.changes[chunk.first] == chunk.samples.changes[chunk.last]
    endless = np.isinf(value)
    return (
        np.where(flat, np.where(endless, np.nan, 0.0), slope),
        np.where(flat, np.where(endless, np.nan, value), intercept),
    )


def deriv(chunk: Chunk) -> Floats:
    return line(chunk, chunk.samples.times[chunk.first].astype(np.float64))[0]


def _between(chunk: Chunk, counted: Ints, inside: str) -> Floats:
    """What was counted after the first value of each window, up to its last. inside: the column that says how much of
    it is within a sample."""
    between = counted[chunk.last] - counted[chunk.first]
    if chunk.samples.columns is not None:
        between = between + chunk.samples.column(inside)[chunk.first]
    return between.astype(np.float64)


def smoothed(chunk: Chunk, smoothing: Floats, trend: Floats) -> Floats:
    """Double exponential smoothing of the values of each window, of which each has its two factors."""
    value, slope = chunk.values[chunk.begins], np.zeros(len(chunk.counts))
    before = value.copy()
    for i in range(1, int(chunk.counts.max(initial=0))):
        on = np.flatnonzero(chunk.counts > i)
        factor, raw = smoothing[on], chunk.values[chunk.begins[on] + i]
        if i == 1:
            slope[on] = raw - value[on]
        else:
            slope[on] = trend[on] * (value[on] - before[on]) + (1 - trend[on]) * slope[on]
        before[on], value[on] = value[on], factor * raw + (1 - factor) * (value[on] + slope[on])
    return value


def time_of(chunk: Chunk, extreme: Floats, column: str) -> Floats:
    """Unix seconds of the last sample whose value in a column is that of its window."""
    values, wanted = chunk.column(column), chunk.per_sample(extreme)
    found = (values == wanted) | np.isnan(wanted)
    return np.maximum.reduceat(np.where(found, chunk.times, np.iinfo(np.int64).min), chunk.begins) / 1000


PLAIN: Final[dict[str, tuple[Reduction, int]]] = {
    "rate": (rate, 2),
    "increase": (increase, 2),
    "delta": (lambda chunk: extrapolated(chunk, counter=False), 2),
    "irate": (irate, 2),
    "idelta": (lambda chunk: instant_change(chunk, counter=False), 2),
    "deriv": (deriv, 2),
    "changes": (lambda chunk: _between(chunk, chunk.samples.changes, "inner_changes"), 1),
    "resets": (lambda chunk: _between(chunk, chunk.samples.falls, "resets"), 1),
    "sum_over_time": (lambda chunk: chunk.total(chunk.column("sum")), 1),
    "avg_over_time": (Chunk.mean, 1),
    "min_over_time": (least, 1),
    "max_over_time": (greatest, 1),
    "count_over_time": (lambda chunk: chunk.held.astype(np.float64), 1),
    "present_over_time": (lambda chunk: np.ones(len(chunk.counts)), 1),
    "last_over_time": (lambda chunk: chunk.samples.values[chunk.last], 1),
    "first_over_time": (lambda chunk: chunk.samples.column("first")[chunk.first], 1),
    "stddev_over_time": (lambda chunk: np.sqrt(variance(chunk)), 1),
    "stdvar_over_time": (variance, 1),
    "mad_over_time": (mad, 1),
    "ts_of_first_over_time": (lambda chunk: chunk.samples.column("first_ms")[chunk.first] / 1000, 1),
    "ts_of_last_over_time": (lambda chunk: chunk.samples.times[chunk.last] / 1000, 1),
    "ts_of_max_over_time": (lambda chunk: time_of(chunk, greatest(chunk), "max"), 1),
    "ts_of_min_over_time": (lambda chunk: time_of(chunk, least(chunk), "min"), 1),
}
"""Functions of nothing but a range -> what they compute, and of how many samples at least."""
OF_INCREMENTS: Final = frozenset({"rate", "increase"})
"""Functions that need one sample only of a counter of increments: what it counted from before that is known."""
KEEP_NAME: Final = frozenset({"last_over_time", "first_over_time"})
