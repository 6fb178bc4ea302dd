"""Histogram samples of observations, and the observations themselves for the slow way."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from vigie_query.promql.observations import Observations
from vigie_windows import sketch

Cell = tuple[int, list[float]]
"""When the last of its observations was, and all of them."""


def observations(cells: Sequence[Sequence[float]]) -> Observations:
    """Of cells none of which is empty."""
    sample = np.repeat(np.arange(len(cells)), [len(cell) for cell in cells])
    flat = np.array([value for cell in cells for value in cell], np.float64)
    places, buckets, weights = sketch.tally(sample, sketch.buckets_of(flat), max(len(cells), 1))
    return Observations(
        np.array([len(cell) for cell in cells], np.int64),
        np.array([math.fsum(cell) for cell in cells]),
        np.array([min(cell) for cell in cells]),
        np.array([max(cell) for cell in cells]),
        places,
        buckets,
        weights,
    )


def nearest_rank(values: Sequence[float], q: float) -> float:
    """The least value that at least q of them do not exceed."""
    return sorted(values)[max(math.ceil(round(q * len(values), 9)) - 1, 0)]
