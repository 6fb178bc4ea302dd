"""What a test expects beside what there is, in promtool's words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from vigie_contracts.series import Labels
from vigie_query.promql import parsing
from vigie_query.promql.errors import InvalidExpression
from vigie_query.promql.labels import labels_of, text
from vigie_query.promql.lexing import quoted
from vigie_query.promql.plan import ValueType

from vigie_alerting.backtest.unit.notation import number
from vigie_alerting.backtest.unit.rehearsal import FiringAlert, Rehearsal
from vigie_alerting.backtest.unit.testfile import AlertTest, ExpressionTest
from vigie_alerting.engine.evaluation import EvaluationError
from vigie_alerting.rules.durations import duration
from vigie_alerting.transitions import ALERTNAME

_ROUNDING: Final = 1e-12
"""Of a value: that is no difference..."""
_FUZZY: Final = 1e-5
"""... and this is none where values may differ a little."""


def alerts(test: AlertTest, got: Sequence[FiringAlert], name: str) -> Iterator[str]:
    """What is wrong, if something is; `name` is the test's."""
    expected = sorted(
        FiringAlert(labels_of({**dict(one.labels), ALERTNAME: test.alertname}), one.annotations)
        for one in test.expected
    )
    if expected == sorted(got):
        return
    yield (
        f"{named(name)}    alertname: {test.alertname}, time: {duration(test.at_ms)}, \n"
        f"        exp:{_listed(expected)}, \n        got:{_listed(sorted(got))}"
    )


def named(name: str) -> str:
    """The line that says of which test something is told; empty of one without a name."""
    return f"    name: {name},\n" if name else ""


def _listed(some: Sequence[FiringAlert]) -> str:
    if not some:
        return "[]"
    shown = ",".join(
        f"\n{' ' * 12}{place}:\n{' ' * 14}Labels:{text(one.labels)}\n{' ' * 14}Annotations:{text(one.annotations)}"
        for place, one in enumerate(some)
    )
    return f"[{shown}\n{' ' * 12}]"


def expression(test: ExpressionTest, rehearsal: Rehearsal, *, fuzzy: bool) -> Iterator[str]:
    """What is wrong, if something is."""
    where = f"    expr: {quoted(test.expression)}, time: {duration(test.at_ms)},"
    try:
        got = _values(test, rehearsal)
    except (InvalidExpression, EvaluationError) as e:
        yield f"{where} err: {e}"
        return
    expected = sorted(test.expected, key=_labels)
    if [one[0] for one in expected] == [one[0] for one in got] and all(
        _same(one[1], other[1], fuzzy) for one, other in zip(expected, got, strict=True)
    ):
        return
    yield f"{where}\n        exp: {_samples(expected)}\n        got: {_samples(got)}"


def _values(test: ExpressionTest, rehearsal: Rehearsal) -> list[tuple[Labels, float]]:
    node = parsing.parse(test.expression)
    if node.type not in (ValueType.SCALAR, ValueType.VECTOR):
        raise EvaluationError("rule result is not a vector or scalar")
    found = rehearsal.evaluate(node, np.array([test.at_ms], np.int64))
    pairs = zip(found.labels, found.values[:, 0].tolist(), found.present[:, 0].tolist(), strict=True)
    return sorted(((labels, value) for labels, value, present in pairs if present), key=_labels)


def _labels(sample: tuple[Labels, float]) -> Labels:
    return sample[0]


def _same(one: float, other: float, fuzzy: bool) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=_FUZZY if fuzzy else _ROUNDING)


def _samples(some: Iterable[tuple[Labels, float]]) -> str:
    return ", ".join(f"{text(labels)} {number(value)}" for labels, value in some) or "nil"
