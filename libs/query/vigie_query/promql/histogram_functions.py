"""The functions of histograms: of those that are values of their own, and of classic ones (series with `le`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from vigie_query import rounding
from vigie_query.promql import classic_histograms, distributions
from vigie_query.promql.annotations import Annotations
from vigie_query.promql.histogram_operators import above
from vigie_query.promql.histogram_vectors import Histograms
from vigie_query.promql.joining import joined, nameless
from vigie_query.promql.labels import text
from vigie_query.promql.samples import Floats, Vector, no_series

PLAIN: Final[dict[str, Callable[[Histograms], Floats]]] = {
    "histogram_avg": distributions.average,
    "histogram_count": lambda histograms: histograms.count,
    "histogram_stddev": lambda histograms: np.sqrt(distributions.variance(histograms)),
    "histogram_stdvar": distributions.variance,
    "histogram_sum": lambda histograms: histograms.sum,
}
"""Functions of nothing but histograms. They leave numbers out."""


def plain(function: str, vector: Vector) -> Vector:
    if vector.histograms is None:
        return no_series(vector.values.shape[1])
    with np.errstate(all="ignore"):
        return nameless(_of(vector, vector.histograms, PLAIN[function](vector.histograms)))


def _of(vector: Vector, histograms: Histograms, values: Floats) -> Vector:
    return Vector(vector.labels, values, histograms.present)


def quantile(q: Floats, vector: Vector, notes: Annotations) -> Vector:
    """q: of each step."""
    classic = classic_histograms.quantile(q, vector.only_floats().compact())
    if vector.histograms is None:
        return classic
    values, errors = distributions.quantile(vector.histograms, q)
    bound = rounding.of_quantiles(errors[~np.isnan(errors)])
    if bound is None:
        notes.inform("values of histogram_quantile have no bound of their error: observations are beyond 1e-12 to 1e18")
    else:
        notes.inform(f"values of histogram_quantile have a relative error of at most {bound * 100:g} %")
    return _together(classic, nameless(_of(vector, vector.histograms, values)), notes)


def fraction(lower: Floats, upper: Floats, vector: Vector, notes: Annotations) -> Vector:
    """Which part of the observations lies between two bounds, both included; the bounds: of each step."""
    classic = classic_histograms.fraction(lower, upper, vector.only_floats().compact())
    if vector.histograms is None:
        return classic
    values = distributions.fraction(vector.histograms, lower, upper)
    notes.inform("histogram_fraction takes its bounds with a relative error of at most 1 %")
    return _together(classic, nameless(_of(vector, vector.histograms, values)), notes)


def _together(classic: Vector, native: Vector, notes: Annotations) -> Vector:
    """Where both have a value of the same labels, as of `x` and of `x_bucket`, neither is given, as in Prometheus."""
    both = above(classic, native)
    places = {labels: row for row, labels in enumerate(classic.labels)}
    wanted = np.ones(both.present.shape, np.bool_)
    for row, labels in enumerate(native.labels, len(classic.labels)):
        other = places.get(labels)
        if other is not None and (mixed := both.present[row] & both.present[other]).any():
            wanted[row] &= ~mixed
            wanted[other] &= ~mixed
            notes.warn("vector contains a mix of classic and native histograms")
    return joined(both.where(wanted), text)
