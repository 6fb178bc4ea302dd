"""What operators do with histograms: they are added, scaled and kept; what has no meaning for them leaves them out."""

from __future__ import annotations

from typing import Final

import numpy as np

from vigie_query.promql.aggregation import PLAIN, Groups, reduced
from vigie_query.promql.annotations import Inform
from vigie_query.promql.histogram_vectors import Histograms
from vigie_query.promql.samples import Bools, Floats, Vector

SIGNS: Final = {"+": 1.0, "-": -1.0}


def beside(floats: Vector, histograms: Histograms | None) -> Vector:
    """Numbers, and histograms at other places."""
    if histograms is None:
        return floats
    return Vector(floats.labels, floats.values, floats.present | histograms.present, histograms)


def above(one: Vector, other: Vector) -> Vector:
    """The series of one, then those of the other."""
    histograms = None
    if one.histograms is not None or other.histograms is not None:
        histograms = _histograms(one).above(_histograms(other))
    return Vector(
        [*one.labels, *other.labels],
        np.concatenate([one.values, other.values]),
        np.concatenate([one.present, other.present]),
        histograms,
    )


def _histograms(vector: Vector) -> Histograms:
    return Histograms.none(vector.present.shape) if vector.histograms is None else vector.histograms


def with_scalar(
    operator: str, vector: Vector, scalar: Floats, inform: Inform, *, scalar_is_left: bool
) -> Histograms | None:
    """A histogram times a number, or by one; None, with a note, for anything else."""
    if operator == "*" or (operator == "/" and not scalar_is_left):
        with np.errstate(all="ignore"):
            return _histograms(vector).scaled(scalar if operator == "*" else 1 / scalar)
    _differ(operator, inform, ("float", "histogram") if scalar_is_left else ("histogram", "float"))
    return None


def between(operator: str, left: Vector, right: Vector, inform: Inform) -> Histograms | None:
    """Of the places of both, of which a row of one belongs to that of the other: sums, and multiples by numbers."""
    if left.histograms is None and right.histograms is None:
        return None
    first, second = _histograms(left), _histograms(right)
    of_one, of_other, of_both = (
        first.present & right.floats,
        left.floats & second.present,
        first.present & second.present,
    )
    answer = Histograms.none(first.present.shape)
    with np.errstate(all="ignore"):
        if of_both.any() and operator in SIGNS:
            answer = first.plus(second.scaled(SIGNS[operator]))
        elif of_both.any():
            _differ(operator, inform, ("histogram", "histogram"))
        if of_one.any() and operator in ("*", "/"):
            answer = answer.or_else(first.where(of_one).scaled(right.values if operator == "*" else 1 / right.values))
        elif of_one.any():
            _differ(operator, inform, ("histogram", "float"))
        if of_other.any() and operator == "*":
            answer = answer.or_else(second.where(of_other).scaled(left.values))
        elif of_other.any():
            _differ(operator, inform, ("float", "histogram"))
    return answer


def _differ(operator: str, inform: Inform, types: tuple[str, str]) -> None:
    left, right = types
    inform(f'incompatible sample types encountered for binary operator "{operator}": {left} {operator} {right}')


def aggregated(groups: Groups, operator: str, warn: Inform) -> Vector:
    """`sum` and `avg`: of a group that has both at a step neither."""
    vector = groups.vector
    numbers = np.empty(len(groups.order), np.int64)
    sizes = np.diff(np.append(groups.begins, len(groups.order)))
    numbers[groups.order] = np.repeat(np.arange(len(groups.begins)), sizes)
    floats = reduced(Groups(groups.labels, groups.order, groups.begins, vector.only_floats()), PLAIN[operator])
    histograms = _histograms(vector)
    total = histograms.merged(numbers, len(groups.labels))
    if operator == "avg":
        series = np.add.reduceat(histograms.present.astype(np.float64)[groups.order], groups.begins, axis=0)
        total = total.scaled(1 / np.maximum(series, 1))
    mixed: Bools = floats.present & total.present
    if mixed.any():
        warn("encountered a mix of histograms and floats for aggregation")
    return beside(floats, total).where(~mixed)
