"""Series that became the same by losing labels are one, as long as they never have a value at the same step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from vigie_contracts.series import Labels

from vigie_query.promql.errors import ExecutionError
from vigie_query.promql.label_sets import LabelSets, remembered
from vigie_query.promql.labels import grouped, text, without_name
from vigie_query.promql.samples import Vector


def relabelled(vector: Vector, labels: Sequence[Labels]) -> Vector:
    """The same values under other labels, one series per set of labels. Raises ExecutionError where two meet."""
    return joined(
        vector.under(labels),
        lambda same: f"vector cannot contain metrics with the same labelset: {text(same)}",
    )


def nameless(vector: Vector) -> Vector:
    """Without the names of the metrics, which a computed value has no more. Raises ExecutionError as `relabelled`."""
    labels = vector.labels
    return relabelled(vector, remembered(labels, "nameless", lambda: LabelSets(map(without_name, labels))))


def joined(vector: Vector, complaint: Callable[[Labels], str]) -> Vector:
    """Series of equal labels as one. `complaint` makes the sentence about labels that two have at one step."""
    keys, numbers = remembered(vector.labels, "distinct", lambda: grouped(vector.labels))
    if len(keys) == len(numbers):
        return vector
    values = np.full((len(keys), vector.values.shape[1]), np.nan)
    present = np.zeros(values.shape, np.bool_)
    for row, number in enumerate(numbers):
        here = vector.present[row]
        if (present[number] & here).any():
            raise ExecutionError(complaint(keys[number]))
        values[number] = np.where(here, vector.values[row], values[number])
        present[number] |= here
    histograms = None if vector.histograms is None else vector.histograms.merged(numbers, len(keys))
    return Vector(keys, values, present, histograms)
