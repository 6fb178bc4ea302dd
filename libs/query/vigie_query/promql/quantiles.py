"""What every quantile has in common, of the values of a group as of the samples of a window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vigie_query.promql.samples import Floats, Ints


def between_ranks(q: Floats, last: Ints, at: Callable[[Ints], Floats]) -> Floats:
    """Between the two nearest of the sorted values, of which `at` gives those of the ranks 0 to `last`."""
    rank = np.clip(np.nan_to_num(q), 0, 1) * last
    below = np.floor(rank).astype(np.int64)
    weight = rank - below
    return outside(q, at(below) * (1 - weight) + at(np.minimum(below + 1, last)) * weight)


def outside(q: Floats, inside: Floats) -> Floats:
    """`inside` where q is 0 to 1; NaN for NaN, -Inf below 0, +Inf above 1."""
    return np.select([np.isnan(q), q < 0, q > 1], [np.full_like(inside, np.nan), -np.inf, np.inf], inside)
