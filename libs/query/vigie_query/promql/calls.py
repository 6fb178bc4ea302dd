"""The functions of PromQL: which there are, and how each gets its arguments."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from vigie_query.matchers import Operator
from vigie_query.promql import (
    aggregation,
    anomalies,
    histogram_functions,
    histogram_operators,
    histogram_windows,
    instant_functions,
    range_functions,
    relabelling,
    remarks,
)
from vigie_query.promql.errors import ExecutionError
from vigie_query.promql.histogram_vectors import Histograms
from vigie_query.promql.joining import nameless
from vigie_query.promql.labels import NAME, get, grouped, labels_of
from vigie_query.promql.plan import Aggregation, Call, Node, Range, Selector, Text, unwrapped
from vigie_query.promql.samples import Bools, Floats, Ints, Vector
from vigie_query.promql.windows import Chunk, Windows, reduce

if TYPE_CHECKING:
    from vigie_query.promql.evaluation import Evaluation

_SCALARS: Final = frozenset({"time", "pi", "scalar"})
_BOUNDED: Final = frozenset({"clamp", "clamp_min", "clamp_max"})
_SLOT_S: Final = 3_600.0
"""The part of a season that `seasonal_zscore` compares, where it is not said."""
_LONGEST_S: Final = 400 * 86_400.0
_NUMBERS: Final = re.compile(r"([0-9]{1,300})")
SORTS: Final = frozenset({"sort", "sort_desc", "sort_by_label", "sort_by_label_desc"})
_OTHERS: Final = frozenset(
    {
        "absent",
        "absent_over_time",
        "double_exponential_smoothing",
        "histogram_fraction",
        "histogram_quantile",
        "label_join",
        "label_replace",
        "predict_linear",
        "quantile_over_time",
        "round",
        "seasonal_zscore",
        "timestamp",
        "vector",
    }
)
OF_RANGES: Final = range_functions.PLAIN | anomalies.PLAIN
"""Functions of nothing but a range: what they compute, and of how many samples at least."""
OWN: Final = frozenset({*anomalies.PLAIN, "seasonal_zscore"})
"""Those that only Vigie has."""
NAMES: Final = (
    frozenset(OF_RANGES)
    | frozenset(instant_functions.ARITHMETIC)
    | frozenset(instant_functions.DATES)
    | frozenset(histogram_functions.PLAIN)
    | _SCALARS
    | _BOUNDED
    | SORTS
    | _OTHERS
)


def scalar(evaluation: Evaluation, call: Call, times: Ints) -> Floats:
    """[steps]: of a function that gives a scalar."""
    match call.function:
        case "time":
            return times / 1000
        case "pi":
            return np.full(len(times), np.pi)
        case _:  # scalar: the one value, or NaN when there is not exactly one
            found = evaluation.vector(call.arguments[0], times)
            single = found.floats.sum(axis=0) == 1
            return np.where(single, np.where(found.floats, found.values, 0.0).sum(axis=0), np.nan)


def vector(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    """Of a function that gives a vector."""
    name, arguments = call.function, call.arguments
    if name in OF_RANGES:
        function, minimum = OF_RANGES[name]
        windows, histograms = _apart(evaluation, name, arguments[0], times)
        if name in remarks.OF_COUNTERS:
            remarks.on_rates(windows, arguments[0].place, evaluation.annotations)
        found = reduce(
            windows, function, minimum, increments=name in range_functions.OF_INCREMENTS, check=evaluation.check
        )
        found = histogram_operators.beside(found, histograms)
        return found if name in range_functions.KEEP_NAME else nameless(found)
    if name in instant_functions.ARITHMETIC:
        return _mapped(evaluation.vector(arguments[0], times), instant_functions.ARITHMETIC[name])
    if name in instant_functions.DATES:
        found = evaluation.vector(arguments[0], times) if arguments else _single(times / 1000)
        return _mapped(found, instant_functions.DATES[name])
    if name in histogram_functions.PLAIN:
        return histogram_functions.plain(evaluation, name, evaluation.vector(arguments[0], times))
    if name in _BOUNDED:
        return _clamped(evaluation, call, times)
    if name in _OF_SCALARS:
        return _OF_SCALARS[name](evaluation, call, times)
    if name in SORTS:  # of an instant query's answer, whose order `ordering` makes
        return evaluation.vector(arguments[0], times)
    return _other(evaluation, call, times)


def _other(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    arguments = call.arguments
    match call.function:
        case "vector":
            return _single(evaluation.scalar(arguments[0], times))
        case "timestamp":
            return _timestamp(evaluation, arguments[0], times)
        case "absent":
            found = evaluation.vector(arguments[0], times)
            return _absent(arguments[0], found.present)
        case "absent_over_time":
            windows = evaluation.windows(arguments[0], times)
            return _absent(arguments[0], windows.counts > 0)
        case "round":
            nearest = evaluation.scalar(arguments[1], times) if arguments[1:] else np.ones(len(times))
            return _mapped(
                evaluation.vector(arguments[0], times), lambda values: instant_functions.rounded(values, nearest)
            )
        case "histogram_quantile":
            q = evaluation.scalar(arguments[0], times)
            remarks.on_quantiles(q, arguments[0].place, evaluation.annotations)
            found = evaluation.vector(arguments[1], times)
            remarks.on_buckets(found.only_floats().compact(), arguments[1].place, evaluation.annotations)
            return histogram_functions.quantile(evaluation, q, found, arguments[1].place)
        case "histogram_fraction":
            lower, upper = (evaluation.scalar(argument, times) for argument in arguments[:2])
            found = evaluation.vector(arguments[2], times)
            remarks.on_buckets(found.only_floats().compact(), arguments[2].place, evaluation.annotations)
            return histogram_functions.fraction(evaluation, lower, upper, found, arguments[2].place)
        case "label_replace":
            texts = [evaluation.text(argument) for argument in arguments[1:]]
            return relabelling.label_replace(evaluation.vector(arguments[0], times), *texts, check=evaluation.check)
        case "label_join":
            target, separator, *sources = [evaluation.text(argument) for argument in arguments[1:]]
            return relabelling.label_join(
                evaluation.vector(arguments[0], times), target, separator, sources, check=evaluation.check
            )
        case other:
            raise AssertionError(f"{other} is in NAMES, and nobody computes it")


def _apart(evaluation: Evaluation, name: str, node: Node, times: Ints) -> tuple[Windows, Histograms | None]:
    """The windows of numbers, and what the function gives for those of histograms."""
    inform = partial(evaluation.annotations.inform, place=node.place)
    return histogram_windows.apart(name, evaluation.windows(node, times), inform, evaluation.check)


def _mapped(found: Vector, function: instant_functions.Function) -> Vector:
    with np.errstate(all="ignore"):
        return nameless(found.with_values(function(found.values)))


def _single(values: Floats) -> Vector:
    """One series without labels."""
    return Vector([()], values[None, :], np.ones((1, len(values)), np.bool_))


def _clamped(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    found = evaluation.vector(call.arguments[0], times)
    bounds = [evaluation.beside(found).scalar(argument, times) for argument in call.arguments[1:]]
    none = np.full(len(times), np.inf)
    match call.function:
        case "clamp_min":
            low, high = bounds[0], none
        case "clamp_max":
            low, high = -none, bounds[0]
        case _:
            low, high = bounds
    clamped = _mapped(found, lambda values: instant_functions.clamp(values, low, high))
    return Vector(clamped.labels, clamped.values, clamped.present & ~(low > high))


def _timestamp(evaluation: Evaluation, node: Node, times: Ints) -> Vector:
    """Of the sample itself, where the argument is a selector."""
    node = unwrapped(node)
    if isinstance(node, Selector):
        found, seconds = evaluation.newest(node, times)
        return nameless(Vector(found.labels, seconds, found.present))
    found = evaluation.vector(node, times)
    return nameless(Vector(found.labels, np.broadcast_to(times / 1000, found.values.shape), found.present))


def _absent(node: Node, present: Bools) -> Vector:
    """1 where no series is present, under the labels that the selector says it would have."""
    node = unwrapped(node)
    if isinstance(node, Range):
        node = node.selector
    labels: dict[str, str] = {}
    if isinstance(node, Selector):
        named = [matcher.label for matcher in node.matchers]
        labels = {
            matcher.label: matcher.value
            for matcher in node.matchers
            if matcher.operator is Operator.EQUAL and matcher.label != NAME and named.count(matcher.label) == 1
        }
    nowhere = ~np.logical_or.reduce(present, axis=0, keepdims=True)
    return Vector([labels_of(labels)], np.ones(nowhere.shape), nowhere)


def _quantile_over_time(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    q = evaluation.scalar(call.arguments[0], times)
    remarks.on_quantiles(q, call.arguments[0].place, evaluation.annotations)
    windows, _ = _apart(evaluation, call.function, call.arguments[1], times)

    def function(chunk: Chunk) -> Floats:
        return range_functions.quantile(chunk, chunk.values, q[chunk.steps])

    return nameless(reduce(windows, function, check=evaluation.check))


def _predict_linear(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    ahead = evaluation.scalar(call.arguments[1], times)
    windows, _ = _apart(evaluation, call.function, call.arguments[0], times)

    def function(chunk: Chunk) -> Floats:
        slope, intercept = range_functions.line(chunk, times[chunk.steps].astype(np.float64))
        return slope * ahead[chunk.steps] + intercept

    return nameless(reduce(windows, function, 2, check=evaluation.check))


def _smoothed(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    factors: list[Floats] = []
    for what, argument in zip(("smoothing", "trend"), call.arguments[1:], strict=True):
        factor = evaluation.scalar(argument, times)
        if (wrong := ~((factor > 0) & (factor < 1))).any():
            raise ExecutionError(f"invalid {what} factor. Expected: 0 < {what[0]}f < 1, got: {factor[wrong][0]:f}")
        factors.append(factor)
    windows, _ = _apart(evaluation, call.function, call.arguments[0], times)
    smoothing, trend = factors

    def function(chunk: Chunk) -> Floats:
        return range_functions.smoothed(chunk, smoothing[chunk.steps], trend[chunk.steps])

    return nameless(reduce(windows, function, 2, check=evaluation.check))


def _seasonal(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    windows, _ = _apart(evaluation, call.function, call.arguments[0], times)
    period = _milliseconds("period", evaluation.scalar(call.arguments[1], times))
    given = evaluation.scalar(call.arguments[2], times) if call.arguments[2:] else np.full(len(times), _SLOT_S)
    width = _milliseconds("width", given)
    if (width > period).any():
        raise ExecutionError("the width of a season's part must not be longer than its period")
    if (2 * period + width > windows.ends - windows.starts).any():
        raise ExecutionError("the range must hold two periods before the part that is compared: [4w] for 1w, say")

    def function(chunk: Chunk) -> Floats:
        return anomalies.seasonal_zscore(chunk, period[chunk.steps], width[chunk.steps])

    found = nameless(reduce(windows, function, 2, check=evaluation.check))
    return found.where(~np.isnan(found.values))


def _milliseconds(what: str, seconds: Floats) -> Ints:
    if (wrong := ~((seconds >= 1) & (seconds <= _LONGEST_S))).any():
        raise ExecutionError(f"invalid {what}. Expected: 1s to 400d, got: {seconds[wrong][0]:f} seconds")
    return np.rint(seconds * 1000).astype(np.int64)


_OF_SCALARS: Final = {
    "double_exponential_smoothing": _smoothed,
    "predict_linear": _predict_linear,
    "quantile_over_time": _quantile_over_time,
    "seasonal_zscore": _seasonal,
}
"""Functions of a range and of scalars."""


def ordering(node: Node, found: Vector) -> Vector:
    """The answer of an instant query in the order that its outermost function or operator gives it."""
    node = unwrapped(node)
    if isinstance(node, Call) and node.function in ("sort", "sort_desc"):
        found = found.only_floats().compact()
    values = found.values[:, 0]
    match node:
        case Call("sort"):
            order = np.lexsort((values, np.isnan(values)))
        case Call("sort_desc"):
            order = np.lexsort((-values, np.isnan(values)))
        case Call("sort_by_label" | "sort_by_label_desc", (_, *names)):
            wanted = [name.value for name in map(unwrapped, names) if isinstance(name, Text)]
            keys = [([natural(get(labels, name)) for name in wanted], labels) for labels in found.labels]
            order = sorted(range(len(keys)), key=keys.__getitem__, reverse=node.function == "sort_by_label_desc")
        case Aggregation("topk" | "bottomk", labels=labels, without=without):
            _, group = grouped(aggregation.key_of(one, labels, without=without) for one in found.labels)
            ranked = -values if node.operator == "topk" else values
            order = np.lexsort((ranked, np.isnan(values), np.array(group, np.int64)))
        case _:
            return found
    return found.rows(order)


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key by which numbers in texts sort as numbers: `a2` before `a10`."""
    parts = _NUMBERS.split(text)
    return [(0, int(part), "") if number % 2 else (1, 0, part) for number, part in enumerate(parts) if part]
