"""Aggregation operators: one series of several, at each step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Labels

from vigie_query.errors import QueryLimitExceeded
from vigie_query.promql.errors import ExecutionError
from vigie_query.promql.label_sets import LabelSets, remembered
from vigie_query.promql.labels import NAME, check_label, drop, grouped, keep, put
from vigie_query.promql.numbers import number_text, short_text
from vigie_query.promql.quantiles import between_ranks
from vigie_query.promql.samples import Bools, Floats, Ints, Vector
from vigie_query.promql.windows import CANCELLATION, exact_sum, go_on

MAX_VALUES: Final = 10_000
"""Different values that `count_values` makes series of."""
CHECK_EVERY: Final = 100
"""Sums of many numbers between two looks at the time."""
PIECE: Final = 1 << 18
"""Values that are sorted between two looks at the time."""
MAX_COUNTS: Final = 5_000_000
"""Of all of them together, over all steps."""
Array = TypeVar("Array", bound=npt.NDArray[Any])


@dataclass(frozen=True, slots=True)
class Groups:
    """The series of a vector, sorted by group."""

    labels: list[Labels]
    """Of each group."""
    order: Ints
    """Rows of the vector."""
    begins: Ints
    """Where each group begins in `order`."""
    vector: Vector
    check: Callable[[], None] = go_on
    """Called now and then in what may take long; raises when the time is over."""

    @property
    def values(self) -> Floats:
        """[rows in order, steps]"""
        return self.vector.values[self.order]

    @property
    def present(self) -> Bools:
        return self.vector.present[self.order]

    def spread(self, per_group: Floats) -> Floats:
        """[groups, steps] to [rows in order, steps]."""
        return np.repeat(per_group, np.diff(np.append(self.begins, len(self.order))), axis=0)

    def members(self) -> Iterator[Ints]:
        """The rows of each group."""
        for rows in np.split(self.order, self.begins[1:]):
            self.check()
            yield rows


def groups_of(vector: Vector, labels: Collection[str], *, without: bool, check: Callable[[], None] = go_on) -> Groups:
    """Group by these labels, or by all but these."""
    kept = frozenset(labels)
    made = remembered(vector.labels, (kept, without), lambda: _grouped(vector.labels, kept, without=without))
    return Groups(*made, vector, check)


def _grouped(every: Sequence[Labels], labels: frozenset[str], *, without: bool) -> tuple[LabelSets, Ints, Ints]:
    """The labels of each group, the rows in the order of groups, and where each group begins."""
    keys, numbers = grouped(key_of(one, labels, without=without) for one in every)
    numbered = np.array(numbers, np.int64)
    order = np.argsort(numbered, kind="stable")
    return LabelSets(keys), order, np.searchsorted(numbered[order], np.arange(len(keys)))


def key_of(series: Labels, labels: Collection[str], *, without: bool) -> Labels:
    """The labels of the group to which a series belongs."""
    return drop(series, {*labels, NAME}) if without else keep(series, labels)


Reduction = Callable[[Groups], Floats]


def total(groups: Groups) -> Floats:
    """Sums, exact where the parts cancel each other."""
    values = np.where(groups.present, groups.values, 0.0)
    with np.errstate(all="ignore"):
        sums = np.add.reduceat(values, groups.begins, axis=0)
        parts = np.add.reduceat(np.abs(values), groups.begins, axis=0)
        suspect = np.isfinite(sums) & (parts > CANCELLATION * np.abs(sums))
    ends = np.append(groups.begins[1:], len(groups.order))
    for number, (group, step) in enumerate(np.argwhere(suspect)):
        if number % CHECK_EVERY == 0:
            groups.check()
        sums[group, step] = exact_sum(values[groups.begins[group] : ends[group], step])
    return sums


def count(groups: Groups) -> Floats:
    return np.add.reduceat(groups.present.astype(np.float64), groups.begins, axis=0)


def mean(groups: Groups) -> Floats:
    """Finite when all values are, even if their sum is not."""
    counts = count(groups)
    with np.errstate(all="ignore"):
        means = total(groups) / counts
        values = np.where(groups.present, groups.values, 0.0)
        overflown = ~np.isfinite(means) & np.isfinite(np.add.reduceat(values * 0, groups.begins, axis=0)) & (counts > 0)
    ends = np.append(groups.begins[1:], len(groups.order))
    for number, (group, step) in enumerate(np.argwhere(overflown)):
        if number % CHECK_EVERY == 0:
            groups.check()
        part = values[groups.begins[group] : ends[group], step]
        means[group, step] = exact_sum(part / counts[group, step])
    return means


def variance(groups: Groups) -> Floats:
    """Of the population, in two passes."""
    counts = count(groups)
    values = np.where(groups.present, groups.values, 0.0)
    means = np.add.reduceat(values, groups.begins, axis=0) / counts
    squares = np.where(groups.present, (groups.values - groups.spread(means)) ** 2, 0.0)
    return np.add.reduceat(squares, groups.begins, axis=0) / counts


def _extreme(choose: np.ufunc) -> Reduction:
    return lambda groups: choose.reduceat(np.where(groups.present, groups.values, np.nan), groups.begins, axis=0)


PLAIN: Final[dict[str, Reduction]] = {
    "sum": total,
    "count": count,
    "avg": mean,
    "min": _extreme(np.fmin),
    "max": _extreme(np.fmax),
    "stdvar": variance,
    "stddev": lambda groups: np.sqrt(variance(groups)),
    "group": lambda groups: np.ones((len(groups.begins), groups.vector.values.shape[1])),
}
CHOICES: Final = frozenset({"topk", "bottomk", "limitk"})
OF_ANY_VALUE: Final = frozenset({"count", "group", "limitk"})
"""Operators for which a histogram is a value like any other."""
OPERATORS: Final = frozenset(PLAIN) | CHOICES | {"quantile", "count_values"}


def reduced(groups: Groups, function: Reduction) -> Vector:
    """One series per group."""
    if not groups.labels:
        return groups.vector
    with np.errstate(all="ignore"):
        values = function(groups)
    return Vector(groups.labels, values, np.logical_or.reduceat(groups.present, groups.begins, axis=0))


def quantile(groups: Groups, q: Floats) -> Vector:
    """Between the two nearest ranks; q: of each step."""

    def of_groups(groups: Groups) -> Floats:
        return np.stack([_in_pieces(groups, rows, q, _quantile) for rows in groups.members()])

    return reduced(groups, of_groups)


def _in_pieces(groups: Groups, rows: Ints, parameter: Floats, compute: Callable[[Vector, Floats], Array]) -> Array:
    """What is computed of some series and a parameter of each step, a bounded number of values at a time."""
    vector, steps = groups.vector.rows(rows), len(parameter)
    size = max(PIECE // max(len(rows), 1), 1)
    if size >= steps:
        return compute(vector, parameter)
    parts: list[Array] = []
    for first in range(0, steps, size):
        groups.check()
        some = slice(first, first + size)
        part = Vector(vector.labels, vector.values[:, some], vector.present[:, some])
        parts.append(compute(part, parameter[some]))
    return cast(Array, np.concatenate(parts, axis=-1))


def _quantile(vector: Vector, q: Floats) -> Floats:
    order = np.lexsort((vector.values, ~np.isnan(vector.values), ~vector.present), axis=0)
    ordered = np.take_along_axis(vector.values, order, axis=0)
    last = np.maximum(vector.present.sum(axis=0) - 1, 0)

    def at(rows: Ints) -> Floats:
        return np.take_along_axis(ordered, rows[None, :], axis=0)[0]

    return between_ranks(q, last, at)


def chosen(groups: Groups, operator: str, k: Floats) -> Vector:
    """The series of each group that `topk`, `bottomk` or `limitk` chooses at each step, unchanged."""
    if np.isnan(k).any():
        raise ExecutionError(f"{operator}: Parameter value is NaN")
    if (np.abs(k) >= 2.0**63).any():
        raise ExecutionError(
            f"{operator}: Scalar value {short_text(float(k[np.abs(k) >= 2.0**63][0]))} overflows int64"
        )
    present = np.zeros(groups.vector.present.shape, np.bool_)
    for rows in groups.members():
        present[rows] = _in_pieces(groups, rows, k, lambda vector, k: _choice(vector, operator, k))
    return groups.vector.where(present)


def _choice(vector: Vector, operator: str, k: Floats) -> Bools:
    if operator == "limitk":
        return vector.present & (np.cumsum(vector.present, axis=0) <= np.floor(k))
    values = -vector.values if operator == "topk" else vector.values
    order = np.lexsort((values, np.isnan(values), ~vector.present), axis=0)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(len(order))[:, None], order.shape), axis=0)
    return vector.present & (ranks < np.floor(k))


def count_values(groups: Groups, label: str) -> Vector:
    """A series for each value that a group has at some step: how many have it. Raises ExecutionError for a label that
    cannot be one."""
    check_label(label, "count_values")
    rows, steps = np.nonzero(groups.present)
    found = groups.values[rows, steps]
    distinct, place = np.unique(found, return_inverse=True)
    of_group = np.repeat(np.arange(len(groups.begins)), np.diff(np.append(groups.begins, len(groups.order))))
    series, numbers = np.unique(of_group[rows] * max(len(distinct), 1) + place, return_inverse=True)
    if len(series) > MAX_VALUES:
        raise QueryLimitExceeded(f"count_values: {len(series)} different values are more than {MAX_VALUES}", "query")
    if len(series) * groups.vector.values.shape[1] > MAX_COUNTS:
        raise QueryLimitExceeded(
            f"count_values: {len(series)} different values at {groups.vector.values.shape[1]} steps are too many",
            "query",
        )
    counts = np.zeros((len(series), groups.vector.values.shape[1]))
    np.add.at(counts, (numbers, steps), 1.0)
    labels = [
        put(groups.labels[int(key) // len(distinct)], {label: number_text(float(distinct[int(key) % len(distinct)]))})
        for key in series
    ]
    return Vector(labels, counts, counts > 0)
