"""PromQL the obvious way: one step and one series at a time, in plain Python, straight from the definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from statistics import fmean

from vigie_contracts.series import Labels
from vigie_query.matchers import predicate
from vigie_query.promql.evaluation import LOOKBACK_MS, SUBQUERY_STEP_MS
from vigie_query.promql.labels import NAME, get
from vigie_query.promql.plan import (
    Aggregation,
    Binary,
    Call,
    Negation,
    Node,
    Number,
    Parentheses,
    Range,
    Selector,
    Subquery,
    ValueType,
)

Points = list[tuple[int, float]]
Database = dict[Labels, Points]
Values = dict[Labels, float]


def nameless(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != NAME)


def increase(points: Points) -> float:
    change = points[-1][1] - points[0][1]
    for (_, before), (_, after) in itertools.pairwise(points):
        if after < before:
            change += before
    return change


def rate(points: Points, start: int, end: int) -> float | None:
    if len(points) < 2:
        return None
    change = increase(points)
    sampled = (points[-1][0] - points[0][0]) / 1000
    interval = sampled / (len(points) - 1)
    before, after = (points[0][0] - start) / 1000, (end - points[-1][0]) / 1000
    before = interval / 2 if before >= interval * 1.1 else before
    after = interval / 2 if after >= interval * 1.1 else after
    if change > 0 and points[0][1] >= 0:
        before = min(before, sampled * points[0][1] / change)
    return change * ((sampled + before + after) / sampled) / ((end - start) / 1000)


def variance(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / len(values)


def quantile(q: float, values: list[float]) -> float:
    ordered = sorted(values)
    rank = q * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] * (1 - (rank - below)) + ordered[above] * (rank - below)


def of_values(function: Callable[[list[float]], float]) -> Callable[[Points, int, int], float | None]:
    return lambda points, _start, _end: function([value for _, value in points]) if points else None


RANGES: dict[str, Callable[[Points, int, int], float | None]] = {
    "rate": rate,
    "sum_over_time": of_values(math.fsum),
    "avg_over_time": of_values(fmean),
    "min_over_time": of_values(min),
    "max_over_time": of_values(max),
    "count_over_time": of_values(lambda values: float(len(values))),
    "last_over_time": of_values(lambda values: values[-1]),
    "stdvar_over_time": of_values(variance),
    "changes": of_values(lambda values: float(sum(a != b for a, b in itertools.pairwise(values)))),
    "resets": of_values(lambda values: float(sum(b < a for a, b in itertools.pairwise(values)))),
}
AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "avg": fmean,
    "min": min,
    "max": max,
    "count": lambda values: float(len(values)),
    "stdvar": variance,
    "group": lambda _: 1.0,
}
OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {">": lambda a, b: a > b, "<=": lambda a, b: a <= b}


class Slow:
    """A query over a database of points, evaluated step by step."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def scalar(self, node: Node) -> float:
        match node:
            case Number(value):
                return value
            case Parentheses(of):
                return self.scalar(of)
            case _:
                raise NotImplementedError(node)

    def vector(self, node: Node, now: int) -> Values:
        match node:
            case Selector():
                return {
                    labels: points[-1][1]
                    for labels, points in self._points(node, now - node.when.offset_ms, LOOKBACK_MS).items()
                    if points
                }
            case Parentheses(of):
                return self.vector(of, now)
            case Negation(of):
                return {nameless(labels): -value for labels, value in self.vector(of, now).items()}
            case Call("quantile_over_time", (q, argument)):
                ranged = of_values(lambda values: quantile(self.scalar(q), values))
                return self._over_time(ranged, argument, now, keeps_name=False)
            case Call(function, (argument,)):
                return self._over_time(RANGES[function], argument, now, keeps_name=function == "last_over_time")
            case Aggregation():
                return self._aggregated(node, now)
            case Binary():
                return self._binary(node, now)
            case _:
                raise NotImplementedError(node)

    def _points(self, selector: Selector, end: int, range_ms: int) -> Database:
        test = predicate(selector.matchers)
        return {
            labels: [(at, value) for at, value in points if end - range_ms < at <= end]
            for labels, points in self._database.items()
            if test(dict(labels))
        }

    def _over_time(
        self, function: Callable[[Points, int, int], float | None], argument: Node, now: int, *, keeps_name: bool
    ) -> Values:
        assert isinstance(argument, Range | Subquery)
        end = now - argument.when.offset_ms
        start = end - argument.range_ms
        if isinstance(argument, Range):
            ranges = self._points(argument.selector, end, argument.range_ms)
        else:
            step = argument.step_ms or SUBQUERY_STEP_MS
            ranges = {}
            for at in range((start // step + 1) * step, end + 1, step):
                for labels, value in self.vector(argument.of, at).items():
                    ranges.setdefault(labels, []).append((at, value))
        found = {labels: function(points, start, end) for labels, points in ranges.items()}
        return {
            labels if keeps_name else nameless(labels): value for labels, value in found.items() if value is not None
        }

    def _aggregated(self, node: Aggregation, now: int) -> Values:
        groups: dict[Labels, list[float]] = {}
        for labels, value in self.vector(node.of, now).items():
            kept = tuple(
                (name, text)
                for name, text in labels
                if (name not in node.labels and name != NAME if node.without else name in node.labels)
            )
            groups.setdefault(kept, []).append(value)
        if node.operator == "quantile":
            assert node.parameter is not None
            q = self.scalar(node.parameter)
            return {labels: quantile(q, values) for labels, values in groups.items()}
        return {labels: AGGREGATIONS[node.operator](values) for labels, values in groups.items()}

    def _binary(self, node: Binary, now: int) -> Values:
        left = self.vector(node.left, now)
        if node.right.type is ValueType.SCALAR:
            right = dict.fromkeys(left, self.scalar(node.right))
        else:
            on = node.matching.labels
            others = {
                self._signature(labels, on, node.matching.on): value
                for labels, value in self.vector(node.right, now).items()
            }
            signatures = {labels: self._signature(labels, on, node.matching.on) for labels in left}
            if node.operator in ("and", "unless"):
                wanted = node.operator == "and"
                return {labels: value for labels, value in left.items() if (signatures[labels] in others) == wanted}
            right = {labels: others[signatures[labels]] for labels in left if signatures[labels] in others}
        result: Values = {}
        for labels, value in left.items():
            if labels not in right:
                continue
            if node.operator in COMPARISONS:
                true = COMPARISONS[node.operator](value, right[labels])
                if node.returns_bool:
                    result[nameless(labels)] = float(true)
                elif true:
                    result[labels] = value
            else:
                result[nameless(labels)] = OPERATORS[node.operator](value, right[labels])
        return result

    def _signature(self, labels: Labels, names: frozenset[str], on: bool) -> Labels:
        return tuple(
            (name, get(labels, name))
            for name, _ in labels
            if (name in names if on else name not in names and name != NAME)
        )
