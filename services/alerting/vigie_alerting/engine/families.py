"""Rules of one form, such as `deriv(<series>[5m])`, evaluated together: as one expression over the series of all of
them, each told apart by a label of its own. What that gives for a rule is to the last bit what the rule gives alone,
whichever others are there; forms of which this is not so have no family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from weakref import WeakValueDictionary

from vigie_contracts.series import Labels
from vigie_query.promql import aggregation, binary, calls, range_functions
from vigie_query.promql.label_sets import remembered
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
)
from vigie_query.promql.samples import Vector

from vigie_alerting.engine.bank import Ints
from vigie_alerting.engine.evaluation import evaluate
from vigie_alerting.engine.horizon import Horizon
from vigie_alerting.engine.memory import Memory
from vigie_alerting.engine.watch import Watch

OWNER: Final = "\0"
"""The label by which series are told apart: before all others, and no sender can have it."""
_OF_RANGES: Final = frozenset(calls.OF_RANGES)
_OF_VALUES: Final = frozenset({"abs", "ceil", "floor", "sgn", "sqrt"})
_OPERATORS: Final = frozenset({"+", "-", "*", "/", "%", *binary.COMPARISONS})
"""Of others, as of `ln` and `^`, the last bit may depend on how many values are computed at once."""
_ANY: Final = Selector(())


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Family:
    """What rules of one form have in common."""

    form: Node
    """Their expression, of any series."""
    horizon: Horizon
    """That of `_ANY`."""
    of_increments: bool
    """Whether it is the same for counters of increments: their running totals are rounded together."""

    def takes(self, watch: Watch) -> bool:
        """Whether the series are such that they may be evaluated beside others."""
        return not watch.shows_histograms and (self.of_increments or not watch.shows_totals)

    def evaluate(
        self, memory: Memory, watches: Sequence[Watch], times: Ints, now_ms: int, check: Callable[[], None]
    ) -> list[Vector]:
        """What the expression gives at these times for the series of each of these watches, which are all different.
        Raises EvaluationError, what `check` raises, and whatever one of them alone would raise."""
        tagged = [(watch, _tagged(watch)) for watch in watches]
        first_ms = None if times[0] == now_ms else int(times[0])
        data = {self.horizon.wanted.selector: memory.read_together(tagged, self.horizon, now_ms, first_ms)}
        found = evaluate(self.form, data, times, check)
        rows_of: dict[str, list[int]] = {str(watch.number): [] for watch in watches}
        for row, labels in enumerate(found.labels):
            rows_of[labels[0][1]].append(row)
        return [
            Vector([found.labels[row][1:] for row in rows], found.values[rows], found.present[rows])
            for rows in rows_of.values()
        ]


class Families:
    """Those of the rules that are there."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[Node, Horizon], Family] = WeakValueDictionary()

    def of(self, value: Node, inputs: Sequence[Horizon]) -> Family | None:
        """The family of an expression that looks at these; None where it has none."""
        if len(inputs) != 1 or (form := _form(value)) is None:
            return None
        [own] = inputs
        selector = replace(_ANY, when=own.wanted.selector.when)
        horizon = replace(own, wanted=replace(own.wanted, selector=selector))
        family = self._known.get((form, horizon))
        if family is None:
            functions = {use.function for use in own.wanted.uses}
            family = Family(form, horizon, functions <= range_functions.OF_INCREMENTS)
            self._known[form, horizon] = family
        return family


def _tagged(watch: Watch) -> list[Labels]:
    owner = OWNER, str(watch.number)
    labels = watch.shown.labels
    return remembered(labels, OWNER, lambda: [(owner, *one) for one in labels])


def _form(node: Node) -> Node | None:
    """The expression, of any series: None where what it gives for some of them may depend on others."""
    match node:
        case Selector(when=when):
            return replace(_ANY, when=when)
        case Parentheses(of) | Negation(of):
            return None if (form := _form(of)) is None else replace(node, of=form)
        case Call(function, (Range(selector) as ranged,)) if function in _OF_RANGES:
            return replace(node, arguments=(replace(ranged, selector=replace(_ANY, when=selector.when)),))
        case Call(function, (of,)) if function in _OF_VALUES:
            return None if (form := _form(of)) is None else replace(node, arguments=(form,))
        case Aggregation(operator, of, None) if operator in aggregation.PLAIN:
            labels = node.labels if node.without else (OWNER, *node.labels)
            return None if (form := _form(of)) is None else replace(node, of=form, labels=labels)
        case Binary(operator, left, right) if operator in _OPERATORS and _is_constant(right):
            return None if (form := _form(left)) is None else replace(node, left=form)
        case Binary(operator, left, right) if operator in _OPERATORS and _is_constant(left):
            return None if (form := _form(right)) is None else replace(node, right=form)
        case _:
            return None


def _is_constant(node: Node) -> bool:
    while isinstance(node, Parentheses | Negation):
        node = node.of
    return isinstance(node, Number)
