"""The numbers of an app over time, from the windows of their series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from vigie_contracts import apps as words
from vigie_contracts import names
from vigie_contracts.series import Kind
from vigie_query.functions import QUANTILES, Function
from vigie_query.matchers import Matcher, Operator
from vigie_query.series import Series
from vigie_storage.reader import SelectedSamples
from vigie_storage.series.filter import Filter

from vigie_api.apps.schemas import Aggregate, Step

FUNCTIONS: Final = (
    Function.COUNT, Function.MIN, Function.MAX, Function.AVG, Function.LAST,
    Function.P50, Function.P90, Function.P95, Function.P99,
)  # fmt: skip
ASKED: Final = [(function, Kind.GAUGE) for function in FUNCTIONS]
_PATHS: Final = {metric: path for path, metric in words.NUMBERS.items()}


def series_of(app: str) -> Filter:
    """The series of an app's numbers."""
    return Filter(
        names=tuple(sorted(names.APPS)),
        matchers=(Matcher(words.APP_LABEL, Operator.EQUAL, app),),
        kinds=frozenset({Kind.GAUGE}),
    )


def path_of(series: Series) -> str:
    """Where the number of a series stands in `metrics`."""
    return _PATHS.get(series.name) or series.label(words.KEY_LABEL) or ""


def own(found: Sequence[Series], wanted: Sequence[str]) -> list[Series]:
    """Those that stand for a number of an app: somebody's own series of the name have other labels. Of `wanted` paths,
    if any are."""
    kept = [one for one in found if len(one.labels) == (1 if one.name in _PATHS else 2) and path_of(one)]
    return [one for one in kept if not wanted or path_of(one) in wanted]


def aggregates(answer: SelectedSamples) -> tuple[list[Aggregate], float | None]:
    """Each number by its path, and the error of the percentiles."""
    series = answer.selection.series
    groups, group_of_row = answer.selection.grouped([(path_of(one), one.name) for one in series])
    if not groups:
        return [], None
    evaluation = answer.samples.grouped(group_of_row, len(groups))
    values = {function: evaluation.run(function) for function in FUNCTIONS}
    errors = [evaluation.error_bound(function) for function in QUANTILES]
    starts = answer.samples.grid.edges[:-1].tolist()
    made = [
        _aggregate(path, name, starts, {function: rows[at] for function, rows in values.items()})
        for at, (path, name) in enumerate(groups)
    ]
    known = [error for error in errors if error is not None]
    return sorted(made, key=lambda one: one.path), max(known) if len(known) == len(errors) else None


def _aggregate(path: str, name: str, starts: Sequence[int], of: dict[Function, np.ndarray]) -> Aggregate:
    counts = np.nan_to_num(of[Function.COUNT])
    present = np.flatnonzero(counts > 0)
    total = float(counts.sum())
    average = float((of[Function.AVG][present] * counts[present]).sum() / total) if total else None
    return Aggregate(
        path=path,
        metric=name,
        count=int(total),
        min=_finite(of[Function.MIN][present].min()) if total else None,
        max=_finite(of[Function.MAX][present].max()) if total else None,
        avg=_finite(average),
        steps=[
            Step(
                at=starts[at],
                count=int(counts[at]),
                **{function.value: _finite(of[function][at]) for function in FUNCTIONS[1:]},
            )
            for at in present.tolist()
        ],
    )


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
