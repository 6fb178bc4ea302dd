"""A plan as the tree that `/api/v1/parse_query` answers, in the words of Prometheus' user interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from vigie_query.matchers import Matcher, Operator
from vigie_query.promql.labels import NAME
from vigie_query.promql.numbers import number_text
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
from vigie_query.promql.signatures import FUNCTIONS

Json: TypeAlias = "dict[str, Json] | Sequence[Json] | str | int | float | bool | None"


def tree(node: Node) -> Json:
    """Ready to be written as JSON."""
    match node:
        case Number(value):
            return {"type": "numberLiteral", "val": number_text(value)}
        case Text(value):
            return {"type": "stringLiteral", "val": value}
        case Selector():
            return {"type": "vectorSelector", **_selector(node)}
        case Range(selector, range_ms):
            return {"type": "matrixSelector", "range": range_ms, **_selector(selector)}
        case Subquery(of, range_ms, step_ms, when):
            return {
                "type": "subquery", "expr": tree(of), "range": range_ms, "step": step_ms or 0, **_when(when),
                "alignEvalTime": False,
            }  # fmt: skip
        case Negation(of):
            return {"type": "unaryExpr", "op": "-", "expr": tree(of)}
        case Parentheses(of):
            return {"type": "parenExpr", "expr": tree(of)}
        case Binary(operator, left, right, _, returns_bool):
            return {
                "type": "binaryExpr", "op": operator, "lhs": tree(left), "rhs": tree(right), "bool": returns_bool,
                "matching": _matching(node),
            }  # fmt: skip
        case Aggregation(operator, of, parameter, labels, without):
            return {
                "type": "aggregation", "op": operator, "expr": tree(of), "grouping": labels, "without": without,
                "param": None if parameter is None else tree(parameter),
            }  # fmt: skip
        case Call(function, arguments):
            return {"type": "call", "func": _function(function), "args": [tree(argument) for argument in arguments]}


def _selector(node: Selector) -> dict[str, Json]:
    # The name comes last, as Prometheus adds it to the matchers.
    is_name = Matcher(NAME, Operator.EQUAL, node.name)
    matchers = [one for one in node.matchers if one != is_name or not node.name]
    if node.name:
        matchers.append(is_name)
    found: list[Json] = [{"name": one.label, "value": one.value, "type": one.operator.value} for one in matchers]
    return {"name": node.name, "matchers": found, **_when(node.when), "anchored": False, "smoothed": False}


def _when(when: When) -> dict[str, Json]:
    return {
        "offset": when.offset_ms,
        "timestamp": when.at if isinstance(when.at, int) else None,
        "startOrEnd": when.at.value if isinstance(when.at, At) else None,
    }


def _matching(node: Binary) -> Json:
    if ValueType.SCALAR in (node.left.type, node.right.type):
        return None
    matching = node.matching
    return {
        "card": matching.cardinality.value, "labels": matching.labels, "on": matching.on, "include": matching.include,
        "fillValues": {"lhs": None, "rhs": None},
    }  # fmt: skip


def _function(name: str) -> Json:
    signature = FUNCTIONS[name]
    return {
        "name": name,
        "argTypes": [one.value for one in signature.arguments],
        "variadic": signature.optional,
        "returnType": signature.returns.value,
    }
