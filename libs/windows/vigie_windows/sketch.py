"""The percentile sketch: logarithmic buckets (the DDSketch rule) with relative error ALPHA.

A bucket is an int32 whose order is the order of the values it holds:
    0                  |v| < MIN_MAGNITUDE
    i  (1..BUCKETS)    gamma^(i + LOWEST - 2) < v <= gamma^(i + LOWEST - 1)
    -i                 the same for -v
with gamma = (1 + ALPHA) / (1 - ALPHA). Magnitudes above MAX_MAGNITUDE go to the last bucket, so a sketch never has
more than 2 * BUCKETS + 1 buckets. Sketches are merged by adding the counts of equal buckets.

Error: a quantile differs from the exact one by at most ALPHA of its magnitude between MIN_MAGNITUDE and MAX_MAGNITUDE.
Beyond, a sketch only knows that a value is in its outermost bucket and between the exact minimum and maximum; what
that leaves open is the error. `Quantiles` tells it for each number. Where there are zeros, or both signs, beside larger
values, magnitudes below MIN_MAGNITUDE count as zero.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vigie_windows.arrays import Floats, Int32s, Int64s, run_starts

ALPHA = 0.01
"""Largest relative error of a quantile."""
MIN_MAGNITUDE = 1e-12
MAX_MAGNITUDE = 1e18
GAMMA = (1 + ALPHA) / (1 - ALPHA)
_PER_E = 1 / math.log(GAMMA)
LOWEST = math.ceil(math.log(MIN_MAGNITUDE) * _PER_E)
BUCKETS = math.ceil(math.log(MAX_MAGNITUDE) * _PER_E) - LOWEST + 1
"""Buckets on each side of zero."""
_OUTERMOST = math.exp((BUCKETS + LOWEST - 2) / _PER_E)
"""The lower edge of the last bucket."""

CODE_BITS = 13
_HALF = 1 << (CODE_BITS - 1)
_MASK = (1 << CODE_BITS) - 1
_GRID_PER_ENTRY = 6
_GRID_RUNS = 6
"""Grid squares per entry up to which, and ascending runs from which, a direct grid beats sorting (measured)."""
assert BUCKETS < _HALF  # noqa: S101 - a property of the constants above, checked where they stand


def buckets_of(values: Floats) -> Int32s:
    """int32[n]: the bucket of each value (float64[n], finite)."""
    magnitude = np.abs(values)
    index = np.log(np.maximum(magnitude, MIN_MAGNITUDE))
    index *= _PER_E
    np.ceil(index, out=index)
    index -= LOWEST - 1
    np.minimum(index, BUCKETS, out=index)
    np.maximum(index, 1, out=index)
    if len(values) and values.min() < MIN_MAGNITUDE:
        index = np.where(magnitude < MIN_MAGNITUDE, 0.0, np.copysign(index, values))
    return index.astype(np.int32)


def bound_places(bounds: Sequence[float]) -> Int64s:
    """By bucket, from the lowest (-BUCKETS) on: the place of the first of these ascending bounds that is not below it,
    len(bounds) when all are. A bound must be the upper edge of a bucket; it may be written a little off."""
    # A little below the edge is surely inside the bucket.
    upper = buckets_of(np.array(bounds) * (1 - 1e-9))
    return np.searchsorted(upper, np.arange(-BUCKETS, BUCKETS + 1)).astype(np.int64)


def representative(buckets: Int32s) -> Floats:
    """float64[m]: the value in each bucket with the smallest worst-case relative error."""
    magnitude = np.abs(buckets).astype(np.float64)
    middle = 2 / (1 + GAMMA) * np.exp((magnitude + (LOWEST - 1)) / _PER_E)
    return np.where(buckets == 0, 0.0, np.copysign(middle, buckets))


def edges(buckets: Int32s) -> tuple[Floats, Floats]:
    """float64[m] twice: what each bucket's values are above, and what they are up to (below zero the other way)."""
    magnitude = np.abs(buckets).astype(np.float64)
    far = np.where(magnitude == BUCKETS, np.inf, np.exp((magnitude + (LOWEST - 1)) / _PER_E))
    near = np.exp((magnitude + (LOWEST - 2)) / _PER_E)
    zero = buckets == 0
    low = np.where(zero, 0.0, np.where(buckets > 0, near, -far))
    return low, np.where(zero, 0.0, np.where(buckets > 0, far, -near))


def codes(cell: Int64s, bucket: Int32s) -> Int64s:
    """int64[m]: (cell, bucket) packed so that numbers sort like pairs; cell below 2^50."""
    return (cell << CODE_BITS) | (bucket + np.int64(_HALF))


def uncode(code: Int64s) -> tuple[Int64s, Int32s]:
    """The inverse of `codes`."""
    return code >> CODE_BITS, ((code & _MASK) - _HALF).astype(np.int32)


def tally(cell: Int64s, bucket: Int32s, cells: int) -> tuple[Int64s, Int32s, Int64s]:
    """Count equal (cell, bucket) pairs: cell, bucket and count columns sorted by (cell, bucket)."""
    if cells <= 1 << (32 - CODE_BITS):  # half the bytes to sort
        code = (cell.astype(np.uint32) << CODE_BITS) | (bucket + np.int32(_HALF)).astype(np.uint32)
    else:
        code = codes(cell, bucket)
    code.sort()
    begins = run_starts(code)
    counts = np.diff(np.append(begins, len(code)))
    return *uncode(code[begins].astype(np.int64)), counts


def combine(cell: Int64s, bucket: Int32s, count: Int64s) -> tuple[Int64s, Int32s, Int64s]:
    """Add the counts of equal (cell, bucket) pairs, given in any order; sorted by (cell, bucket)."""
    code = codes(cell, bucket)
    runs = 1 + np.count_nonzero(code[1:] <= code[:-1])
    if runs == 1:
        return cell, bucket, count
    lowest, cells = bucket.min(), int(cell.max()) + 1
    span = int(bucket.max()) - int(lowest) + 1
    if runs >= _GRID_RUNS and cells * span <= _GRID_PER_ENTRY * len(cell):
        return _combined_in_grid(cell, bucket - lowest, count, cells=cells, span=span, lowest=int(lowest))
    order = np.argsort(code, kind="stable")
    code = code[order]
    begins = run_starts(code)
    return *uncode(code[begins]), np.add.reduceat(count[order], begins)


def _combined_in_grid(
    cell: Int64s, place: Int32s, count: Int64s, *, cells: int, span: int, lowest: int
) -> tuple[Int64s, Int32s, Int64s]:
    """The same by a direct grid of cells x buckets: several times as fast when many batches hold the same buckets."""
    total = np.bincount(cell * span + place, count, cells * span)  # float64: exact, since counts stay below 2^53
    used = np.flatnonzero(total > 0)  # on the comparison: five times as fast as on floats
    cell = used // span
    return cell, (used - cell * span + lowest).astype(np.int32), total[used].astype(np.int64)


def quantile(buckets: Int32s, counts: Int64s, q: float, minimum: float, maximum: float) -> float:
    """The q-quantile of one sketch, q in 0..1; nan when the sketch is empty.

    Rank rule: the nearest rank, rounded up: the least of the n values that at least q * n of them do not exceed. So
    the greatest of few values is their p99, and 0 and 1 are the exact minimum and maximum. Buckets may repeat and come
    in any order.
    """
    group = np.zeros(len(buckets), np.int64)
    return float(quantiles_by_group(group, buckets, counts, (q,), minimum=(minimum,), maximum=(maximum,)).value[0, 0])


class Quantiles(NamedTuple):
    """Of each group (row) and quantile (column), nan without values."""

    value: Floats
    error: Floats
    """The largest relative error that the value may have; infinite when all that is known is that it is near zero."""


def quantiles_by_group(
    group: Int64s,
    buckets: Int32s,
    counts: Int64s,
    qs: Sequence[float],
    *,
    minimum: ArrayLike,
    maximum: ArrayLike,
) -> Quantiles:
    """float64[g, len(qs)] twice: quantiles of g sketches at once, by the rank rule of `quantile`, and their errors.

    `group` (int64[m], 0..g-1, any order) says which sketch a bucket belongs to; several cells of one group are merged
    by that. `minimum` and `maximum` (float64[g]) are the exact extremes of each group. A group without buckets gives
    nan. ValueError for a q outside 0..1.
    """
    if any(not 0 <= q <= 1 for q in qs):
        raise ValueError(f"quantiles must be between 0 and 1: {list(qs)}")
    low, high = np.asarray(minimum, np.float64), np.asarray(maximum, np.float64)
    value, error = np.full((len(low), len(qs)), np.nan), np.full((len(low), len(qs)), np.nan)
    if not len(group):
        return Quantiles(value, error)
    order = np.argsort(codes(group, buckets), kind="stable")
    group, buckets = group[order], buckets[order]
    upto = np.cumsum(counts[order])
    begins = run_starts(group)
    present = group[begins]
    before = np.append(0, upto)[begins]
    total = np.append(before[1:], upto[-1]) - before
    low, high = low[present], high[present]
    for column, q in enumerate(qs):
        # Rounded first: 0.07 * 100 is 7.000000000000001, and the rank 7.
        rank = np.clip(np.ceil(np.round(q * total, 9)).astype(np.int64) - 1, 0, total - 1)
        found = buckets[np.searchsorted(upto, before + rank, side="right")]
        least, greatest = np.where(rank == total - 1, high, low), np.where(rank == 0, low, high)
        value[present, column], error[present, column] = estimates(found, least, greatest)
    return Quantiles(value, error)


def estimates(bucket: Int32s, least: Floats, greatest: Floats) -> Quantiles:
    """A value of each bucket, which is known to be between `least` and `greatest`, and its largest relative error."""
    value = np.clip(representative(bucket), least, greatest)
    # Inside the range of the sketch a bucket is as wide as ALPHA allows; exact extremes may leave no choice at all.
    error = np.where(least == greatest, 0.0, ALPHA)
    outside = (least != greatest) & ((bucket == 0) | (np.abs(bucket) == BUCKETS))
    if not outside.any():
        return Quantiles(value, error)
    edge = np.where(bucket == 0, MIN_MAGNITUDE, _OUTERMOST)
    bucket, least, greatest, edge = bucket[outside], least[outside], greatest[outside], edge[outside]
    low = np.maximum(least, np.where(bucket > 0, edge, np.where(bucket == 0, -edge, -np.inf)))
    high = np.minimum(greatest, np.where(bucket < 0, -edge, np.where(bucket == 0, edge, np.inf)))
    # Of what is between a and b, 2ab / (a + b) is off by at most (b - a) / (a + b) of it; written without overflow.
    same_sign = (low > 0) | (high < 0)
    near, far = np.where(low > 0, (low, high), (high, low))
    ratio = np.divide(near, far, out=np.zeros_like(far), where=same_sign)
    exact = low == high
    # Around zero: beside larger values what is below MIN_MAGNITUDE counts as zero; among its like zero says nothing.
    tiny = np.maximum(-least, greatest) < MIN_MAGNITUDE
    value[outside] = np.where(exact, low, np.where(same_sign, near * (2 / (1 + ratio)), 0.0))
    error[outside] = np.where(exact, 0.0, np.where(same_sign, (1 - ratio) / (1 + ratio), np.where(tiny, np.inf, ALPHA)))
    return Quantiles(value, error)
