"""Aggregation operators: one series of several, at each step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from vigie_contracts.series import Labels

from vigie_query.errors import QueryLimitExceeded
from vigie_query.promql.errors import ExecutionError
from vigie_query.promql.labels import NAME, LabelSets, drop, grouped, keep, put, remembered
from vigie_query.promql.numbers import number_text
from vigie_query.promql.quantiles import between_ranks
from vigie_query.promql.samples import Bools, Floats, Ints, Vector
from vigie_query.promql.windows import CANCELLATION, exact_sum

MAX_VALUES: Final = 10_000
"""Different values that `count_values` makes series of."""


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
        yield from np.split(self.order, self.begins[1:])


def groups_of(vector: Vector, labels: Collection[str], *, without: bool) -> Groups:
    """Group by these labels, or by all but these."""
    kept = frozenset(labels)
    made = remembered(vector.labels, (kept, without), lambda: _grouped(vector.labels, kept, without=without))
    return Groups(*made, vector)


def _grouped(every: Sequence[Labels], labels: frozenset[str], *, without: bool) -> tuple[LabelSets, Ints, Ints]:
    """The labels of each group, the rows in the order of groups, and where each group begins."""
    dropped = labels | {NAME}
    keys, numbers = grouped(drop(one, dropped) if without else keep(one, labels) for one in every)
    numbered = np.array(numbers, np.int64)
    order = np.argsort(numbered, kind="stable")
    return LabelSets(keys), order, np.searchsorted(numbered[order], np.arange(len(keys)))


Reduction = Callable[[Groups], Floats]


def total(groups: Groups) -> Floats:
    """Sums, exact where the parts cancel each other."""
    values = np.where(groups.present, groups.values, 0.0)
    with np.errstate(all="ignore"):
        sums = np.add.reduceat(values, groups.begins, axis=0)
        parts = np.add.reduceat(np.abs(values), groups.begins, axis=0)
        suspect = np.isfinite(sums) & (parts > CANCELLATION * np.abs(sums))
    ends = np.append(groups.begins[1:], len(groups.order))
    for group, step in np.argwhere(suspect):
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
    for group, step in np.argwhere(overflown):
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
        return np.stack([_quantile(groups.vector.rows(rows), q) for rows in groups.members()])

    return reduced(groups, of_groups)


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
        raise ExecutionError(f"{operator}: the parameter is NaN")
    present = np.zeros(groups.vector.present.shape, np.bool_)
    for rows in groups.members():
        present[rows] = _choice(groups.vector.rows(rows), operator, k)
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
    """A series for each value that a group has at some step: how many have it."""
    rows, steps = np.nonzero(groups.present)
    found = groups.values[rows, steps]
    distinct, place = np.unique(found, return_inverse=True)
    of_group = np.repeat(np.arange(len(groups.begins)), np.diff(np.append(groups.begins, len(groups.order))))
    series, numbers = np.unique(of_group[rows] * max(len(distinct), 1) + place, return_inverse=True)
    if len(series) > MAX_VALUES:
        raise QueryLimitExceeded(f"count_values: {len(series)} different values are more than {MAX_VALUES}", "query")
    counts = np.zeros((len(series), groups.vector.values.shape[1]))
    np.add.at(counts, (numbers, steps), 1.0)
    labels = [
        put(groups.labels[int(key) // len(distinct)], {label: number_text(float(distinct[int(key) % len(distinct)]))})
        for key in series
    ]
    return Vector(labels, counts, counts > 0)
