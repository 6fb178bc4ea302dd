"""What may be wrong with a right expression: a quantile of 2, the rate of a gauge, buckets whose counts fall."""

from __future__ import annotations

from typing import Final

import numpy as np
from vigie_contracts.series import Kind, Labels

from vigie_query.promql.annotations import Annotations
from vigie_query.promql.classic_histograms import LE, TOLERANCE, upper_bound
from vigie_query.promql.errors import Place
from vigie_query.promql.labels import NAME, drop, get, grouped
from vigie_query.promql.lexing import quoted
from vigie_query.promql.numbers import short_text
from vigie_query.promql.samples import Floats, Vector
from vigie_query.promql.windows import Windows

OF_COUNTERS: Final = frozenset({"rate", "increase", "irate"})
_COUNTERS: Final = ("_total", "_sum", "_count", "_bucket")
_MONOTONICITY: Final = (
    "input to histogram_quantile needed to be fixed for monotonicity "
    "(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)


def on_quantiles(q: Floats, place: Place, notes: Annotations) -> None:
    """q: of each step."""
    wrong = q[~((q >= 0) & (q <= 1))]
    if len(wrong):
        told = dict.fromkeys(map(short_text, wrong.tolist()))
        notes.warn(*(f"quantile value should be between 0 and 1, got {value}" for value in told), place=place)


def on_rates(windows: Windows, place: Place, notes: Annotations) -> None:
    """Of series that are known to be gauges, unless their names say otherwise."""
    kinds = windows.samples.kinds
    if kinds is None:
        return
    used = (kinds == Kind.GAUGE) & np.logical_or.reduce(windows.counts > 0, axis=1)
    names = dict.fromkeys(get(windows.samples.labels[row], NAME) for row in np.flatnonzero(used).tolist())
    notes.inform(
        *(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: " + quoted(name)
            for name in names
            if name and not name.endswith(_COUNTERS)
        ),
        place=place,
    )


def on_buckets(buckets: Vector, place: Place, notes: Annotations) -> None:
    """Of classic histograms: bounds that are none, and counts that are less than those of a lower bound."""
    bounds = [upper_bound(get(labels, LE)) for labels in buckets.labels]
    unusable = [buckets.labels[row] for row, bound in enumerate(bounds) if bound is None]
    notes.warn(
        *(
            f"bucket label {quoted(LE)} is missing or has a malformed value of {quoted(get(one, LE))}{_named(one)}"
            for one in unusable
        ),
        place=place,
    )
    rows = [row for row, bound in enumerate(bounds) if bound is not None]
    _, numbers = grouped(drop(buckets.labels[row], {LE, NAME}) for row in rows)
    groups = np.array(numbers, np.int64)
    order = np.lexsort((np.array([bounds[row] for row in rows], np.float64), groups))
    ordered, group = buckets.rows(np.array(rows, np.int64)[order]), groups[order]
    before, after = ordered.values[:-1], ordered.values[1:]
    both = ordered.present[:-1] & ordered.present[1:] & (group[:-1] == group[1:])[:, None]
    falling = np.flatnonzero((both & (after < before * (1 - TOLERANCE))).any(axis=1))
    notes.inform(*(f"{_MONOTONICITY}{_named(ordered.labels[row])}" for row in falling.tolist()), place=place)


def _named(labels: Labels) -> str:
    """Nothing where the name was dropped."""
    name = get(labels, NAME)
    return f" for metric name {quoted(name)}" if name else ""
