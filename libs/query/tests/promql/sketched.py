"""Histogram samples of observations, and what they give the slow way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from vigie_contracts.series import Kind, Labels
from vigie_query.promql.samples import Columns, Samples, Sketches
from vigie_windows import sketch

Cell: TypeAlias = tuple[int, list[float]]
"""When the last of its observations was, and all of them."""


def histogram_samples(labels: Sequence[Labels], series: Sequence[Sequence[Cell]]) -> Samples:
    """Series of cells, by time, none of which is empty."""
    cells = [cell for one in series for cell in one]
    times, held = np.array([at for at, _ in cells], np.int64), [values for _, values in cells]
    sample = np.repeat(np.arange(len(cells)), [len(values) for values in held])
    flat = np.array([value for values in held for value in values], np.float64)
    last = np.array([values[-1] for values in held], np.float64)
    nothing = np.zeros(len(cells))
    columns = Columns(
        np.array([len(values) for values in held], np.int64),
        np.array([math.fsum(values) for values in held]),
        np.array([min(values) for values in held]),
        np.array([max(values) for values in held]),
        np.array([values[0] for values in held]),
        times,
        nothing,
        nothing.astype(np.int64),
        nothing,
    )
    sketches = Sketches(*sketch.tally(sample, sketch.buckets_of(flat), max(len(cells), 1)))
    bounds = np.cumsum([0, *(len(one) for one in series)]).astype(np.int64)
    kinds = np.full(len(series), Kind.HISTOGRAM, np.uint8)
    return Samples(list(labels), bounds, times, last, columns, kinds, sketches)


def nearest_rank(values: Sequence[float], q: float) -> float:
    """The least value that at least q of them do not exceed."""
    return sorted(values)[max(math.ceil(round(q * len(values), 9)) - 1, 0)]
