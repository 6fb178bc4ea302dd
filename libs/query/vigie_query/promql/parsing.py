"""From the text of an expression to its plan. `promql-parser` reads and type-checks it."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import promql_parser as parser

from vigie_query import matchers
from vigie_query.matchers import Matcher, Operator
from vigie_query.promql import aggregation, calls
from vigie_query.promql.errors import InvalidExpression
from vigie_query.promql.labels import NAME
from vigie_query.promql.plan import (
    Aggregation,
    At,
    Binary,
    Call,
    Cardinality,
    Matching,
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

MAX_CHARS: Final = 16_384
MAX_NESTING: Final = 64
MAX_OPERATORS: Final = 200

_NO_CODE: Final = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`|#[^\n]*', re.DOTALL)
"""Strings and comments."""
_OPERATOR: Final = re.compile(r"[-+*/%^]|[=!<>]=?|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_BEFORE_EPOCH: Final = re.compile(r"@\s*-")

# By their text: the parser's own values have no hash.
_OPERATORS: Final = {
    "Equal": Operator.EQUAL,
    "NotEqual": Operator.DIFFERENT,
    "Re": Operator.MATCHES,
    "NotRe": Operator.MATCHES_NOT,
}
_CARDINALITIES: Final = {
    "OneToOne": Cardinality.ONE_TO_ONE,
    "ManyToOne": Cardinality.MANY_TO_ONE,
    "OneToMany": Cardinality.ONE_TO_MANY,
    "ManyToMany": Cardinality.MANY_TO_MANY,
}


def _member(value: object) -> str:
    """`MatchOp.Equal` -> `Equal`"""
    return str(value).rpartition(".")[2]


@lru_cache(maxsize=1_024)
def parse(text: str) -> Node:
    """The plan of an expression. Raises InvalidExpression."""
    if len(text) > MAX_CHARS:
        raise InvalidExpression(f"it is longer than {MAX_CHARS:,} characters")
    _check_size(_NO_CODE.sub("", text))
    try:
        return _node(parser.parse(text))
    except ValueError as e:
        raise InvalidExpression(str(e)) from None


def _check_size(code: str) -> None:
    """Before the parser, whose recursion has no bound of its own and ends the process."""
    depth = deepest = 0
    for character in code:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    if deepest > MAX_NESTING:
        raise InvalidExpression(f"its brackets are nested more than {MAX_NESTING} deep")
    if len(_OPERATOR.findall(code)) > MAX_OPERATORS:
        raise InvalidExpression(f"it has more than {MAX_OPERATORS} operators")
    if _BEFORE_EPOCH.search(code):
        raise InvalidExpression("@ takes no time before 1970")


def _node(tree: Any) -> Node:
    match type(tree).__name__:
        case "NumberLiteral":
            return Number(tree.val)
        case "StringLiteral":
            return Text(tree.val)
        case "VectorSelector":
            return _selector(tree)
        case "MatrixSelector":
            return Range(_selector(tree.vector_selector), _ms(tree.range))
        case "SubqueryExpr":
            step = None if tree.step is None else _ms(tree.step)
            return Subquery(_node(tree.expr), _ms(tree.range), step or None, _when(tree))
        case "UnaryExpr":
            return Negation(_node(tree.expr))
        case "ParenExpr":
            return Parentheses(_node(tree.expr))
        case "BinaryExpr":
            return _binary(tree)
        case "AggregateExpr":
            return _aggregation(tree)
        case "Call":
            return _call(tree)
        case other:
            raise InvalidExpression(f"{other} is not supported")


def _selector(tree: Any) -> Selector:
    if tree.matchers.or_matchers:
        raise InvalidExpression('"or" between label matchers is not supported: use the operator `or`')
    found = [Matcher(one.name, _OPERATORS[_member(one.op)], one.value) for one in tree.matchers.matchers]
    if tree.name is not None:
        found.append(Matcher(NAME, Operator.EQUAL, tree.name))
    for one in found:
        if one.operator in (Operator.MATCHES, Operator.MATCHES_NOT):
            matchers.regex(one.value, "query")
    return Selector(tuple(sorted(found, key=lambda one: (one.label, one.operator, one.value))), _when(tree))


def _when(tree: Any) -> When:
    at: int | At | None = None
    if tree.at is not None:
        match tree.at.type:
            case parser.AtModifierType.Start:
                at = At.START
            case parser.AtModifierType.End:
                at = At.END
            case _:
                at = _unix_ms(tree.at.at)
    return When(0 if tree.offset is None else _ms(tree.offset), at)


def _unix_ms(at: datetime) -> int:
    return round((at - datetime.fromtimestamp(0, at.tzinfo)) / timedelta(milliseconds=1))


def _ms(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))


def _binary(tree: Any) -> Binary:
    modifier = tree.modifier
    matching, returns_bool = Matching(), False
    if modifier is not None:
        fills = modifier.fill_values
        if fills is not None and (fills.lhs is not None or fills.rhs is not None):
            raise InvalidExpression("fill is not supported")
        labels = modifier.matching
        matching = Matching(
            _CARDINALITIES[_member(modifier.card)],
            labels is not None and labels.type == parser.LabelModifierType.Include,
            frozenset(labels.labels if labels is not None else ()),
            tuple(modifier.group_labels or ()),
        )
        returns_bool = modifier.return_bool
    return Binary(str(tree.op), _node(tree.lhs), _node(tree.rhs), matching, returns_bool)


def _aggregation(tree: Any) -> Aggregation:
    operator = str(tree.op)
    if operator not in aggregation.OPERATORS:
        raise InvalidExpression(f"{operator} is not supported")
    modifier = tree.modifier
    without = modifier is not None and modifier.type == parser.AggModifierType.Without
    labels = frozenset(modifier.labels if modifier is not None else ())
    parameter = None if tree.param is None else _node(tree.param)
    return Aggregation(operator, _node(tree.expr), parameter, labels, without)


def _call(tree: Any) -> Call:
    name = tree.func.name
    if name not in calls.NAMES:
        raise InvalidExpression(f"the function {name} is not supported")
    return Call(
        name, tuple(_node(argument) for argument in tree.args), ValueType(_member(tree.func.return_type).lower())
    )
