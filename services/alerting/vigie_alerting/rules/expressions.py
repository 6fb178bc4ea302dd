"""Expressions of rules: their plan, or what is wrong with them and where."""

from __future__ import annotations

from vigie_query.errors import QueryError
from vigie_query.promql import parsing
from vigie_query.promql.errors import InvalidExpression, Place
from vigie_query.promql.plan import Node, ValueType

from vigie_alerting.rules.problems import RuleProblem


def parsed(text: str, field: str) -> Node | RuleProblem:
    """The plan of an expression, or what is wrong with it and where."""
    if not text.strip():
        return RuleProblem(field, "is empty: write an expression, such as up == 0")
    try:
        node = parsing.parse(text)
    except InvalidExpression as e:
        return RuleProblem(field, e.reason, None if e.place is None else _position(text, e.place), e.hint or "")
    except QueryError as e:
        return RuleProblem(field, e.detail)
    match node.type:
        case ValueType.MATRIX:
            hint = f"take a function of them: rate({text.strip()[:60]})"
            return RuleProblem(field, "gives ranges of samples", None, hint)
        case ValueType.STRING:
            return RuleProblem(field, "is a text", None, "write an expression, without quotation marks around it")
    return node


def _position(text: str, place: Place) -> int:
    """The character, counted from 1, through all lines."""
    lines = text.split("\n")[: place.line - 1]
    return sum(len(line) + 1 for line in lines) + place.column
