"""Operators between scalars and vectors, and which series of two vectors belong together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from vigie_contracts.series import Labels

from vigie_query.errors import QueryLimitExceeded
from vigie_query.promql import histogram_operators
from vigie_query.promql.annotations import Inform
from vigie_query.promql.errors import ExecutionError
from vigie_query.promql.joining import joined, nameless, relabelled
from vigie_query.promql.labels import NAME, drop, get, grouped, keep, put, text, without_name
from vigie_query.promql.plan import Cardinality, Matching
from vigie_query.promql.samples import Bools, Floats, Ints, Vector

ARITHMETIC: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,  # the sign of the dividend, as in Go
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISONS: Final[dict[str, Callable[[Floats, Floats], Bools]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
MAX_MATCHED: Final = 5_000_000
"""Values of all pairs of series, over all steps."""
SETS: Final = frozenset({"and", "or", "unless"})


def scalars(operator: str, left: Floats, right: Floats) -> Floats:
    """Between two scalars, of which comparisons always have `bool`."""
    with np.errstate(all="ignore"):
        if operator in COMPARISONS:
            return COMPARISONS[operator](left, right).astype(np.float64)
        return ARITHMETIC[operator](left, right)


def with_scalar(
    operator: str, vector: Vector, scalar: Floats, inform: Inform, *, scalar_is_left: bool, returns_bool: bool
) -> Vector:
    """Between each value of a vector and the scalar of its step."""
    if vector.histograms is not None:
        scaled = histogram_operators.with_scalar(operator, vector, scalar, inform, scalar_is_left=scalar_is_left)
        vector = vector.only_floats()
        if scaled is not None:
            computed = vector.with_values(ARITHMETIC[operator](vector.values, scalar))
            return nameless(histogram_operators.beside(computed, scaled))
    values = vector.values
    left, right = (scalar, values) if scalar_is_left else (values, scalar)
    with np.errstate(all="ignore"):
        if operator in ARITHMETIC:
            result = ARITHMETIC[operator](np.broadcast_to(left, values.shape), right)
            return nameless(vector.with_values(result))
        true = COMPARISONS[operator](left, right)
    if returns_bool:
        return nameless(vector.with_values(true.astype(np.float64)))
    return Vector(vector.labels, values, vector.present & true)


def vectors(
    operator: str, left: Vector, right: Vector, matching: Matching, inform: Inform, *, returns_bool: bool
) -> Vector:
    """Between the series of two vectors that belong together. Raises ExecutionError where it is not clear which do."""
    swapped = matching.cardinality is Cardinality.ONE_TO_MANY
    many, one = (right, left) if swapped else (left, right)
    keys, numbers = grouped([*_signatures(many, matching), *_signatures(one, matching)])
    of_many, of_one = numbers[: len(many.labels)], numbers[len(many.labels) :]
    # Where one side is empty, nothing is going to match.
    met = one.where(np.logical_or.reduce(many.present, axis=0, keepdims=True))
    _check_unique(met, of_one, keys, "left" if swapped else "right")
    partners: dict[int, list[int]] = {}
    for row, number in enumerate(of_one):
        partners.setdefault(number, []).append(row)
    count = sum(len(partners.get(number, ())) for number in of_many)
    if count * many.values.shape[1] > MAX_MATCHED:
        raise QueryLimitExceeded(f"{count:,} pairs of series at {many.values.shape[1]:,} steps are too many", "query")
    pairs = [(row, other) for row, number in enumerate(of_many) for other in partners.get(number, ())]
    rows, others = np.array(pairs, np.int64).reshape(-1, 2).T
    mine, theirs = many.rows(rows), one.rows(others)
    left, right = (theirs, mine) if swapped else (mine, theirs)
    present = left.floats & right.floats
    first, second = left.values, right.values
    with np.errstate(all="ignore"):
        if operator in ARITHMETIC:
            values = ARITHMETIC[operator](first, second)
        elif returns_bool:
            values = COMPARISONS[operator](first, second).astype(np.float64)
        else:
            values = first
            present = present & COMPARISONS[operator](first, second)
    histograms = histogram_operators.between(operator, left, right, inform)
    drops_name = returns_bool or operator in ARITHMETIC
    labels = [_result(many.labels[row], one.labels[other], matching, drops_name=drops_name) for row, other in pairs]
    answer = histogram_operators.beside(Vector(labels, values, present), histograms)
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        _check_single(answer.present, [of_many[row] for row, _ in pairs])
    return joined(
        answer,
        lambda _: "multiple matches for labels: grouping labels must ensure unique matches",
    )


def sets(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """`and`, `or` and `unless`: by signature and step; values are not looked at."""
    keys, numbers = grouped([*_signatures(left, matching), *_signatures(right, matching)])
    of_left, of_right = np.array(numbers[: len(left.labels)], np.int64), np.array(numbers[len(left.labels) :], np.int64)
    if operator == "or":
        unseen = ~_any(left, of_left, len(keys))[of_right]
        both = histogram_operators.above(left, right.where(unseen))
        return relabelled(both, both.labels)
    seen = _any(right, of_right, len(keys))[of_left]
    return left.where(seen if operator == "and" else ~seen)


def _any(vector: Vector, numbers: Ints, count: int) -> Bools:
    """[signatures, steps]: whether a series of the signature has a value."""
    found = np.zeros((count, vector.present.shape[1]), np.bool_)
    np.logical_or.at(found, numbers, vector.present)
    return found


def _signatures(vector: Vector, matching: Matching) -> list[Labels]:
    if matching.on:
        return [keep(labels, matching.labels) for labels in vector.labels]
    ignored = {*matching.labels, NAME}
    return [drop(labels, ignored) for labels in vector.labels]


def _check_unique(one: Vector, numbers: list[int], keys: list[Labels], side: str) -> None:
    """At no step may two series of the one side have the same signature."""
    twice = _first_overlap(one.present, numbers)
    if twice is not None:
        raise ExecutionError(
            f"found duplicate series for the match group {text(keys[numbers[twice]])} on the {side} hand-side of the "
            f"operation: {text(one.labels[twice])}; many-to-many matching not allowed: matching labels must be unique "
            "on one side"
        )


def _check_single(present: Bools, numbers: list[int]) -> None:
    if _first_overlap(present, numbers) is not None:
        raise ExecutionError(
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
        )


def _first_overlap(present: Bools, numbers: list[int]) -> int | None:
    """The first row that has a value at a step at which an earlier row of the same number has one."""
    if len(set(numbers)) == len(numbers):
        return None
    used: dict[int, Bools] = {}
    for row, number in enumerate(numbers):
        before = used.get(number)
        if before is not None and (before & present[row]).any():
            return row
        used[number] = present[row] if before is None else before | present[row]
    return None


def _result(many: Labels, one: Labels, matching: Matching, *, drops_name: bool) -> Labels:
    labels = without_name(many) if drops_name else many
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        labels = keep(labels, matching.labels) if matching.on else drop(labels, matching.labels)
    return put(labels, {name: get(one, name) for name in matching.include}) if matching.include else labels
