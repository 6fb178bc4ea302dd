"""Quantiles and fractions of classic histograms: series with a label `le`, whose values are the counts up to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from vigie_query.promql.labels import NAME, drop, get, grouped
from vigie_query.promql.quantiles import outside
from vigie_query.promql.samples import Bools, Floats, Ints, Vector

LE: Final = "le"
TOLERANCE: Final = 1e-12
"""Counts may fall by this part of them: the error of sums of floats, and no mistake."""


def upper_bound(text: str) -> float | None:
    """The number of a label `le`; None for what is none."""
    try:
        return float(text) if text.strip() == text and "_" not in text else None
    except ValueError:
        return None


Computation: TypeAlias = Callable[[Floats, Floats, Bools], Floats]
"""[steps], of the upper bounds of the buckets (ascending), their counts and whether they are there [buckets, steps]."""


def quantile(q: Floats, buckets: Vector) -> Vector:
    """The quantile of each histogram; q: of each step."""
    return _of_each(buckets, partial(_quantile, q))


def fraction(lower: Floats, upper: Floats, buckets: Vector) -> Vector:
    """Which part of each histogram's observations lies between two bounds, of each step."""
    return _of_each(buckets, partial(_fraction, lower, upper))


def _of_each(buckets: Vector, compute: Computation) -> Vector:
    """Of each histogram. Series without a usable `le` are left out."""
    bounds = [upper_bound(get(labels, LE)) for labels in buckets.labels]
    usable = [row for row, bound in enumerate(bounds) if bound is not None]
    keys, numbers = grouped(drop(buckets.labels[row], {LE, NAME}) for row in usable)
    members: list[list[int]] = [[] for _ in keys]
    for row, number in zip(usable, numbers, strict=True):
        members[number].append(row)
    steps = buckets.values.shape[1]
    values, present = np.full((len(keys), steps), np.nan), np.zeros((len(keys), steps), np.bool_)
    for number, rows in enumerate(members):
        upper = np.array([bounds[row] for row in rows], np.float64)
        part = buckets.rows(rows)
        values[number] = compute(*_merged(upper, part.values, part.present))
        present[number] = part.present.any(axis=0)
    return Vector(keys, values, present)


def _merged(upper: Floats, counts: Floats, present: Bools) -> tuple[Floats, Floats, Bools]:
    """Sorted by upper bound; those written differently (`1`, `1.0`) added up."""
    distinct, place = np.unique(upper, return_inverse=True)
    merged = np.zeros((len(distinct), counts.shape[1]))
    there = np.zeros(merged.shape, np.bool_)
    np.add.at(merged, place, np.where(present, counts, 0.0))
    np.logical_or.at(there, place, present)
    return distinct, merged, there


def _quantile(q: Floats, upper: Floats, counts: Floats, present: Bools) -> Floats:
    """[steps]; upper: [buckets] ascending; counts, present: [buckets, steps]."""
    last = len(upper) - 1
    steps: Ints = np.arange(counts.shape[1], dtype=np.int64)
    counts, before = _ascending(counts, present)
    observations = counts[last]
    rank = np.nan_to_num(q) * observations
    reached = present & (counts >= rank * (1 - TOLERANCE))
    reached[last] = True
    bucket = np.argmax(reached, axis=0)
    below = before[bucket, steps]
    has_below = below >= 0
    lower = np.where(has_below, upper[below], 0.0)
    beneath = np.where(has_below, counts[below, steps], 0.0)
    inside = counts[bucket, steps] - beneath
    with np.errstate(all="ignore"):
        values = lower + (upper[bucket] - lower) * ((rank - beneath) / inside)
    values = np.where(~has_below & (upper[bucket] <= 0), upper[bucket], values)
    values = np.where(bucket == last, lower, values)
    usable = present[last] & (upper[last] == np.inf) & (_count(present) >= 2) & (observations > 0)
    return outside(q, np.where(usable, values, np.nan))


def _fraction(lower: Floats, upper: Floats, bounds: Floats, counts: Floats, present: Bools) -> Floats:
    """[steps]; bounds: [buckets] ascending; counts, present: [buckets, steps]."""
    counts, before = _ascending(counts, present)
    observations = counts[-1]
    steps: Ints = np.arange(counts.shape[1], dtype=np.int64)

    def up_to(value: Floats) -> Floats:
        above = present & (bounds[:, None] > value)
        bucket = np.argmax(above, axis=0)
        below = before[bucket, steps]
        first = np.where(bounds[bucket] > 0, 0.0, -np.inf)
        least = np.where(below >= 0, bounds[below], first)
        beneath = np.where(below >= 0, counts[below, steps], 0.0)
        with np.errstate(all="ignore"):
            share = np.where(value <= least, 0.0, (value - least) / (bounds[bucket] - least))
            inside = beneath + (counts[bucket, steps] - beneath) * share
        return np.where(above.any(axis=0), inside, observations)

    with np.errstate(all="ignore"):
        found = np.where(lower >= upper, 0.0, (up_to(upper) - up_to(lower)) / observations)
    known = ~np.isnan(lower) & ~np.isnan(upper) & (observations > 0)
    return np.where(known & present[-1] & (bounds[-1] == np.inf), found, np.nan)


def _ascending(counts: Floats, present: Bools) -> tuple[Floats, Ints]:
    """The counts, each at least those below it; and which bucket comes before each at its step, -1 for none."""
    ascending = np.maximum.accumulate(np.where(present, counts, -np.inf), axis=0)
    numbered = np.where(present, np.arange(len(counts), dtype=np.int64)[:, None], -1)
    nothing = np.full((1, counts.shape[1]), -1, np.int64)
    return ascending, np.vstack([nothing, np.maximum.accumulate(numbered, axis=0)[:-1]])


def _count(present: Bools) -> Ints:
    """How many there are at each step."""
    return np.add.reduce(present.astype(np.int64), axis=0)
