"""Evaluating a plan: every node gives its values at all steps at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np

from vigie_query.errors import QueryLimitExceeded
from vigie_query.promql import aggregation, binary, calls, histogram_operators, histogram_windows, remarks
from vigie_query.promql.annotations import Annotations
from vigie_query.promql.errors import ExecutionError
from vigie_query.promql.joining import nameless
from vigie_query.promql.label_sets import listed
from vigie_query.promql.plan import (
    Aggregation,
    At,
    Binary,
    Call,
    Negation,
    Node,
    Number,
    Parentheses,
    Range,
    Selector,
    Subquery,
    Text,
    ValueType,
    When,
)
from vigie_query.promql.samples import EMPTY, Floats, Ints, Samples, Vector, is_stale
from vigie_query.promql.windows import Windows, cut, go_on, newest

LOOKBACK_MS: Final = 300_000
SUBQUERY_STEP_MS: Final = 60_000
MAX_POINTS: Final = 5_000_000
"""Values that one node of a plan may have, over all series and steps."""
MAX_HELD: Final = 4 * MAX_POINTS
"""Values of all nodes that are kept until another one is evaluated too."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One query: what was read for it, and its range."""

    data: Mapping[Selector, Samples]
    """What `reading.wanted` asked for; a selector that is missing has no series."""
    start_ms: int
    end_ms: int
    lookback_ms: int = LOOKBACK_MS
    """How old the newest sample of a series may be."""
    subquery_step_ms: int = SUBQUERY_STEP_MS
    max_points: int = MAX_POINTS
    held: int = 0
    """Values that are kept meanwhile."""
    annotations: Annotations = field(default_factory=Annotations)
    check: Callable[[], None] = go_on
    """Called before each part of the work; raises when its time is over."""

    def scalar(self, node: Node, times: Ints) -> Floats:
        """[steps]"""
        match node:
            case Number(value):
                return np.full(len(times), value)
            case Parentheses(of):
                return self.scalar(of, times)
            case Negation(of):
                return -self.scalar(of, times)
            case Binary(operator, left, right):
                return binary.scalars(operator, self.scalar(left, times), self.scalar(right, times))
            case Call():
                return calls.scalar(self, node, times)
            case _:
                raise AssertionError(f"{node.type} where a scalar was checked for")

    def text(self, node: Node) -> str:
        """A string literal."""
        match node:
            case Text(value):
                return value
            case Parentheses(of):
                return self.text(of)
            case _:
                raise AssertionError(f"{node.type} where a string was checked for")

    def vector(self, node: Node, times: Ints) -> Vector:
        """The values of each series at each step. Raises ExecutionError, QueryLimitExceeded."""
        self.check()
        match node:
            case Selector():
                vector = self._selected(node, times)
            case Parentheses(of):
                return self.vector(of, times)
            case Negation(of):
                found = self.vector(of, times)
                histograms = None if found.histograms is None else found.histograms.scaled(-1.0)
                vector = nameless(histogram_operators.beside(found.with_values(-found.values), histograms))
            case Binary():
                vector = self._binary(node, times)
            case Aggregation():
                vector = self._aggregated(node, times)
            case Call():
                vector = calls.vector(self, node, times)
            case _:
                raise AssertionError(f"{node.type} where a vector was checked for")
        self._check(vector.values.size)
        return vector.compact()

    def windows(self, node: Node, times: Ints) -> Windows:
        """The samples that a range or subquery has at each step."""
        self.check()
        match node:
            case Parentheses(of):
                return self.windows(of, times)
            case Range(selector, range_ms):
                samples = self.data.get(selector, EMPTY).without_stale()
                ends = self.reference(selector.when, times)
            case Subquery(_, range_ms, _, when):
                ends = self.reference(when, times)
                samples = self._stepped(node, ends)
            case _:
                raise AssertionError(f"{node.type} where a range was checked for")
        self._check(len(samples.labels) * len(times))
        return cut(samples, ends - range_ms, ends, self.check)

    def newest(self, selector: Selector, times: Ints) -> tuple[Vector, Floats]:
        """The newest value of each series at each step, and its time in Unix seconds."""
        samples = self.data.get(selector, EMPTY)
        self._check(len(samples.labels) * len(times))
        ends = self.reference(selector.when, times)
        windows = cut(samples, ends - self.lookback_ms, ends, self.check)
        if not len(samples.times):
            nothing = np.zeros(windows.low.shape)
            return Vector(listed(samples.labels), nothing, nothing.astype(np.bool_)), nothing
        self.check()
        places, present = newest(windows)
        self.check()
        values = samples.values[places]
        seconds = samples.times[places] / 1000
        found = Vector(listed(samples.labels), values, present & ~is_stale(values))
        if not samples.histogram.any():
            return found, seconds
        # The newest of a histogram are the observations of the last look-back.
        histograms = histogram_windows.merged(windows, self.check)
        return histogram_operators.beside(found.where(~samples.histogram[:, None]), histograms), seconds

    def beside(self, kept: Vector) -> Evaluation:
        """To evaluate something else while a vector is kept. Raises QueryLimitExceeded when it is one too many."""
        held = self.held + kept.size
        if held > MAX_HELD:
            raise QueryLimitExceeded(
                f"the query would hold {held:,} values of its parts, more than {MAX_HELD:,}: use fewer operators one "
                "inside the other, fewer series or a longer step",
                "query",
            )
        return replace(self, held=held)

    def reference(self, when: When, times: Ints) -> Ints:
        """The times at which something is looked up, for each step."""
        return times - when.offset_ms if when.at is None else np.full_like(times, self.looked_up_ms(when, 0))

    def looked_up_ms(self, when: When, time_ms: int) -> int:
        """The time at which something is looked up, for one step."""
        match when.at:
            case None:
                base = time_ms
            case At.START:
                base = self.start_ms
            case At.END:
                base = self.end_ms
            case fixed:
                base = fixed
        return base - when.offset_ms

    def _selected(self, selector: Selector, times: Ints) -> Vector:
        return self.newest(selector, times)[0]

    def _stepped(self, node: Subquery, ends: Ints) -> Samples:
        """The values of a subquery's expression at its own steps, as samples."""
        step = node.step_ms or self.subquery_step_ms
        first, end = subquery_range(int(ends.min()), int(ends.max()), node.range_ms, step)
        self._check((end - first) // step)
        times = np.arange(first, end, step, dtype=np.int64)
        if node.of.type is ValueType.SCALAR:
            values = self.scalar(node.of, times)[None, :]
            vector = Vector([()], values, np.ones(values.shape, np.bool_))
        else:
            vector = self.vector(node.of, times)
        if vector.histograms is not None:
            return histogram_windows.stepped(vector, times)
        _, steps = np.nonzero(vector.present)
        bounds = np.concatenate([[0], np.cumsum(vector.present.sum(axis=1))]).astype(np.int64)
        return Samples(vector.labels, bounds, times[steps], vector.values[vector.present])

    def _binary(self, node: Binary, times: Ints) -> Vector:
        operator, left, right = node.operator, node.left, node.right
        inform = partial(self.annotations.inform, place=node.place)
        if ValueType.SCALAR in (left.type, right.type):
            scalar_is_left = left.type is ValueType.SCALAR
            of_vector, of_scalar = (right, left) if scalar_is_left else (left, right)
            vector = self.vector(of_vector, times)
            return binary.with_scalar(
                operator, vector, self.beside(vector).scalar(of_scalar, times), inform,
                scalar_is_left=scalar_is_left, returns_bool=node.returns_bool,
            )  # fmt: skip
        one = self.vector(left, times)
        other = self.beside(one).vector(right, times)
        if operator in binary.SETS:
            return binary.sets(operator, one, other, node.matching)
        return binary.vectors(operator, one, other, node.matching, inform, returns_bool=node.returns_bool)

    def _aggregated(self, node: Aggregation, times: Ints) -> Vector:
        found = self.vector(node.of, times)
        if found.histograms is not None and node.operator not in aggregation.OF_ANY_VALUE:
            if node.operator in ("sum", "avg"):
                groups = aggregation.groups_of(found, node.labels, without=node.without, check=self.check)
                warn = partial(self.annotations.warn, place=node.of.place)
                return histogram_operators.aggregated(groups, node.operator, warn)
            self.annotations.inform(f"ignored histogram in {node.operator} aggregation", place=node.of.place)
            found = found.only_floats().compact()
        groups = aggregation.groups_of(found, node.labels, without=node.without, check=self.check)
        if node.operator in aggregation.PLAIN:
            return aggregation.reduced(groups, aggregation.PLAIN[node.operator])
        if node.parameter is None:
            raise ExecutionError(f"{node.operator} needs a parameter")
        if node.operator == "count_values":
            return aggregation.count_values(groups, self.text(node.parameter))
        parameter = self.beside(found).scalar(node.parameter, times)
        if node.operator == "quantile":
            remarks.on_quantiles(parameter, node.parameter.place, self.annotations)
            return aggregation.quantile(groups, parameter)
        return aggregation.chosen(groups, node.operator, parameter)

    def _check(self, points: int) -> None:
        if points > self.max_points:
            raise QueryLimitExceeded(
                f"the query would compute {points:,} values at once, more than {self.max_points:,}: "
                "select fewer series, a shorter range or a longer step",
                "query",
            )


def subquery_range(first_end: int, last_end: int, range_ms: int, step_ms: int) -> tuple[int, int]:
    """First step after the earliest start, and the end (not a step any more): steps are multiples of the step."""
    return ((first_end - range_ms) // step_ms + 1) * step_ms, last_end + 1
