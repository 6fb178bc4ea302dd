"""The functions of histograms: of those that are values of their own, and of classic ones (series with `le`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from vigie_windows import sketch

from vigie_query import rounding
from vigie_query.promql import classic_histograms, distributions
from vigie_query.promql.annotations import Inform
from vigie_query.promql.errors import Place
from vigie_query.promql.histogram_operators import above
from vigie_query.promql.histogram_vectors import Histograms
from vigie_query.promql.joining import joined, nameless
from vigie_query.promql.labels import text
from vigie_query.promql.samples import Floats, Vector, no_series

if TYPE_CHECKING:
    from vigie_query.promql.evaluation import Evaluation

PLAIN: Final[dict[str, Callable[[Histograms, distributions.Check], Floats]]] = {
    "histogram_avg": lambda histograms, _: distributions.average(histograms),
    "histogram_count": lambda histograms, _: histograms.count,
    "histogram_stddev": lambda histograms, check: np.sqrt(distributions.variance(histograms, check)),
    "histogram_stdvar": distributions.variance,
    "histogram_sum": lambda histograms, _: histograms.sum,
}
"""Functions of nothing but histograms. They leave numbers out."""


def plain(evaluation: Evaluation, function: str, vector: Vector) -> Vector:
    if vector.histograms is None:
        return no_series(vector.values.shape[1])
    with np.errstate(all="ignore"):
        return nameless(_of(vector, vector.histograms, PLAIN[function](vector.histograms, evaluation.check)))


def _of(vector: Vector, histograms: Histograms, values: Floats) -> Vector:
    return Vector(vector.labels, values, histograms.present)


def quantile(evaluation: Evaluation, q: Floats, vector: Vector, place: Place) -> Vector:
    """q: of each step."""
    classic = classic_histograms.quantile(q, vector.only_floats().compact())
    if vector.histograms is None:
        return classic
    values, errors = distributions.quantile(vector.histograms, q, evaluation.check)
    bound = rounding.of_quantiles(errors[~np.isnan(errors)])
    evaluation.annotations.inform(
        "values of histogram_quantile have no bound of their error: observations are beyond 1e-12 to 1e18"
        if bound is None
        else f"values of histogram_quantile have a relative error of at most {bound * 100:g} %",
        place=place,
    )
    return _together(classic, nameless(_of(vector, vector.histograms, values)), _warn(evaluation, place))


def fraction(evaluation: Evaluation, lower: Floats, upper: Floats, vector: Vector, place: Place) -> Vector:
    """Which part of the observations lies between two bounds, both included; the bounds: of each step."""
    classic = classic_histograms.fraction(lower, upper, vector.only_floats().compact())
    if vector.histograms is None:
        return classic
    values = distributions.fraction(vector.histograms, lower, upper, evaluation.check)
    text = f"histogram_fraction takes its bounds with a relative error of at most {(sketch.GAMMA - 1) * 100:.3g} %"
    evaluation.annotations.inform(text, place=place)
    return _together(classic, nameless(_of(vector, vector.histograms, values)), _warn(evaluation, place))


def _warn(evaluation: Evaluation, place: Place) -> Inform:
    return partial(evaluation.annotations.warn, place=place)


def _together(classic: Vector, native: Vector, warn: Inform) -> Vector:
    """Where both have a value of the same labels, as of `x` and of `x_bucket`, neither is given, as in Prometheus."""
    both = above(classic, native)
    places = {labels: row for row, labels in enumerate(classic.labels)}
    wanted = np.ones(both.present.shape, np.bool_)
    for row, labels in enumerate(native.labels, len(classic.labels)):
        other = places.get(labels)
        if other is not None and (mixed := both.present[row] & both.present[other]).any():
            wanted[row] &= ~mixed
            wanted[other] &= ~mixed
            warn("vector contains a mix of classic and native histograms")
    return joined(both.where(wanted), text)
