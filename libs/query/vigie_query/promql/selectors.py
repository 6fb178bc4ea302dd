"""The parts of an expression that choose series: selectors, lists of labels, durations."""

from __future__ import annotations

import re
from typing import Final

from vigie_query import matchers
from vigie_query.errors import InvalidParameter, QueryLimitExceeded
from vigie_query.matchers import MAX_MATCHERS, Matcher, Operator
from vigie_query.promql.cursor import Cursor
from vigie_query.promql.errors import InvalidExpression, Place
from vigie_query.promql.labels import NAME
from vigie_query.promql.lexing import Kind, quoted
from vigie_query.promql.literals import duration_ms, unquoted
from vigie_query.promql.plan import Selector

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_OPERATORS: Final = frozenset(operator.value for operator in Operator)


def selector(cursor: Cursor) -> Selector:
    """`name`, `name{...}` or `{...}`, where the name may be in quotes between the braces. Raises InvalidExpression."""
    place, name = cursor.place(), ""
    found: dict[Matcher, None] = {}
    if cursor.peek().kind is Kind.NAME:
        name = cursor.next().text
    if cursor.takes("{"):
        while cursor.peek().text != "}":
            quoted_name = _quoted_name(cursor)
            one = Matcher(NAME, Operator.EQUAL, quoted_name) if quoted_name else _matcher(cursor)
            if one.label == NAME and name:
                raise InvalidExpression(
                    f"metric name must not be set twice: {quoted(name)} or {quoted(one.value)}", place
                )
            name = quoted_name or name
            found[one] = None
            if len(found) > MAX_MATCHERS:
                raise QueryLimitExceeded(f"query: a selector has more than {MAX_MATCHERS} matchers", "query")
            if cursor.peek().word == "or":
                raise InvalidExpression(
                    '"or" between label matchers is not supported', cursor.place(), "use the operator: {...} or {...}"
                )
            if not cursor.takes(","):
                break
        cursor.expect("}", "label matching", '"," or "}"')
    if name:
        found[Matcher(NAME, Operator.EQUAL, name)] = None
    elif all(_matches_empty(one) for one in found):
        raise InvalidExpression("vector selector must contain at least one non-empty matcher", place)
    ordered = sorted(found, key=lambda one: (one.label, one.operator, one.value))
    return Selector(tuple(ordered), name=name, place=place)


def _quoted_name(cursor: Cursor) -> str:
    """The name of the metric between the braces; empty when something else stands there."""
    if cursor.peek().kind is not Kind.STRING or cursor.after().text in _OPERATORS:
        return ""
    place = cursor.place()
    name = unquoted(cursor.next(), place)
    if not name:
        raise InvalidExpression("the name of a metric must not be empty", place)
    return name


def _matcher(cursor: Cursor) -> Matcher:
    place, token = cursor.place(), cursor.peek()
    if token.kind is Kind.STRING:
        label = unquoted(cursor.next(), place)
    elif token.kind is Kind.NAME and _LABEL.match(token.text):
        label = cursor.next().text
    else:
        cursor.unexpected("label matching", 'identifier or "}"')
    if not label:
        raise InvalidExpression("the name of a label must not be empty", place)
    if cursor.peek().kind is not Kind.SIGN or cursor.peek().text not in _OPERATORS:
        hint = "in matchers, equality is =" if cursor.peek().text == "==" else None
        cursor.unexpected("label matching", "label matching operator", hint)
    operator = Operator(cursor.next().text)
    place = cursor.place()
    if cursor.peek().kind is not Kind.STRING:
        cursor.unexpected("label matching", "string")
    value = unquoted(cursor.next(), place)
    matcher = Matcher(label, operator, value)
    if matcher.is_regex:
        remember_regex(cursor, value, place)
    return matcher


def remember_regex(cursor: Cursor, pattern: str, place: Place) -> None:
    """Check a regular expression, and how many there are. Raises InvalidExpression, QueryLimitExceeded."""
    cursor.patterns[pattern] = None
    try:
        matchers.compile_all(list(cursor.patterns), "query")
    except InvalidParameter as e:
        raise InvalidExpression(e.detail.removeprefix("query: "), place) from None


def _matches_empty(matcher: Matcher) -> bool:
    return matchers.predicate([matcher])({})


def label_names(cursor: Cursor) -> tuple[str, ...]:
    """`(a, b)`. Raises InvalidExpression."""
    if cursor.peek().text != "(":
        cursor.unexpected("grouping opts", '"("')
    cursor.next()
    found: list[str] = []
    while cursor.peek().text != ")":
        token, place = cursor.peek(), cursor.place()
        if token.kind is Kind.STRING:
            found.append(unquoted(cursor.next(), place))
        elif token.kind is Kind.NAME and _LABEL.match(token.text):
            found.append(cursor.next().text)
        else:
            cursor.unexpected("grouping opts", "label")
        if not found[-1]:
            raise InvalidExpression("the name of a label must not be empty", place)
        if not cursor.takes(","):
            break
    cursor.expect(")", "grouping opts", '"," or ")"')
    return tuple(found)


def duration(cursor: Cursor, context: str, *, may_be_zero: bool = False) -> int:
    """Milliseconds, of a duration or a number of seconds. Raises InvalidExpression."""
    token, place = cursor.peek(), cursor.place()
    if token.kind not in (Kind.DURATION, Kind.NUMBER):
        if token.text == "-" and cursor.after().kind in (Kind.DURATION, Kind.NUMBER):
            raise InvalidExpression("duration must be greater than 0", place)
        _refuse_computed(cursor)
        cursor.unexpected(context, "duration")
    found = duration_ms(cursor.next(), place)
    if not found and not may_be_zero:
        raise InvalidExpression("duration must be greater than 0", place)
    if context != "offset":
        _refuse_computed(cursor)
    return found


def _refuse_computed(cursor: Cursor) -> None:
    """`[5m * 2]`, `offset step()`: Prometheus has them behind a feature flag."""
    token = cursor.peek()
    function = token.word in ("step", "range", "min", "max") and cursor.after().text == "("
    if function or (token.kind is Kind.SIGN and token.text in "+-*/%^("):
        raise InvalidExpression("durations that are computed are not supported", cursor.place())
