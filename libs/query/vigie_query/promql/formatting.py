"""A plan as text: on one line, or as Prometheus lays it out."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from vigie_query.promql.labels import NAME
from vigie_query.promql.lexing import quoted
from vigie_query.promql.literals import UNITS_MS
from vigie_query.promql.numbers import number_text
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
    When,
)

MAX_LINE: Final = 100
"""Characters; what is longer is laid out over several lines."""

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")


Lines: TypeAlias = dict[int, str]
"""Nodes, by their ids, on one line: each is written once, however deep it is."""


def pretty(node: Node) -> str:
    """As `/api/v1/format_query` answers: one thing to a line, where one line would be longer than 100 characters."""
    known: Lines = {}
    _text(node, known)
    return _pretty(node, 0, known)


def text(node: Node) -> str:
    """On one line; `parsing.parse` makes the same plan of it."""
    return _text(node, {})


def _pretty(node: Node, level: int, known: Lines) -> str:
    indent, line = "  " * level, known[id(node)]
    if len(line) <= MAX_LINE:
        return indent + line
    match node:
        case Negation(of):
            return f"{indent}-{_pretty(of, level, known).strip()}"
        case Parentheses(of):
            return f"{indent}(\n{_pretty(of, level + 1, known)}\n{indent})"
        case Subquery(of):
            return _pretty(of, level, known) + _subquery(node)
        case Binary(operator, left, right):
            between = f"{indent}{operator}{_modifiers(node)}"
            return f"{_pretty(left, level + 1, known)}\n{between}\n{_pretty(right, level + 1, known)}"
        case Aggregation(_, of, parameter):
            head, inside = _aggregator(node), (of,) if parameter is None else (parameter, of)
        case Call(head, inside):
            pass
        case _:
            return indent + line
    lines = ",\n".join(_pretty(one, level + 1, known) for one in inside)
    return f"{indent}{head}(\n{lines}\n{indent})"


def _text(node: Node, known: Lines) -> str:
    line = known[id(node)] = _written(node, known)
    return line


def _written(node: Node, known: Lines) -> str:
    match node:
        case Number(value, is_duration):
            if is_duration:
                milliseconds = round(value * 1_000)
                return f"{'-' if milliseconds < 0 else ''}{duration_text(abs(milliseconds))}"
            return number_text(value)
        case Text(value):
            return quoted(value)
        case Selector():
            return _selector(node) + _when(node.when)
        case Range(selector, range_ms):
            return f"{_selector(selector)}[{duration_text(range_ms)}]{_when(node.when)}"
        case Subquery(of):
            return _text(of, known) + _subquery(node)
        case Negation(of):
            return f"-{_text(of, known)}"
        case Parentheses(of):
            return f"({_text(of, known)})"
        case Binary(operator, left, right):
            return f"{_text(left, known)} {operator}{_modifiers(node)} {_text(right, known)}"
        case Aggregation(_, of, parameter):
            inside = "" if parameter is None else f"{_text(parameter, known)}, "
            return f"{_aggregator(node)}({inside}{_text(of, known)})"
        case Call(function, arguments):
            return f"{function}({', '.join(_text(argument, known) for argument in arguments)})"


def duration_text(milliseconds: int) -> str:
    """`1h30m`; years and weeks only where nothing is left over."""
    if not milliseconds:
        return "0s"
    left, parts = milliseconds, list[str]()
    for unit, size in UNITS_MS.items():
        if unit in "yw" and left % size:
            continue
        count, left = divmod(left, size)
        parts.append(f"{count}{unit}" if count else "")
    return "".join(parts)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(name if _LABEL.match(name) else quoted(name) for name in names)


def _selector(node: Selector) -> str:
    others = [one for one in node.matchers if (one.label, one.value) != (NAME, node.name)]
    inside = sorted(f"{_names((one.label,))}{one.operator}{quoted(one.value)}" for one in others)
    name = node.name
    if name and not _METRIC.match(name):  # it cannot stand before the braces
        name, inside = "", [quoted(name), *inside]
    return f"{name}{{{','.join(inside)}}}" if inside else name


def _when(when: When) -> str:
    match when.at:
        case None:
            at = ""
        case At():
            at = f" @ {when.at}()"
        case milliseconds:
            at = f" @ {milliseconds / 1_000:.3f}"
    sign = "-" if when.offset_ms < 0 else ""
    return f"{at} offset {sign}{duration_text(abs(when.offset_ms))}" if when.offset_ms else at


def _subquery(node: Subquery) -> str:
    step = duration_text(node.step_ms) if node.step_ms else ""
    return f"[{duration_text(node.range_ms)}:{step}]{_when(node.when)}"


def _aggregator(node: Aggregation) -> str:
    if node.without:
        return f"{node.operator} without ({_names(node.labels)}) "
    return f"{node.operator} by ({_names(node.labels)}) " if node.labels else node.operator


def _modifiers(node: Binary) -> str:
    return (" bool" if node.returns_bool else "") + _matching(node.matching)


def _matching(matching: Matching) -> str:
    grouped = {Cardinality.MANY_TO_ONE: "left", Cardinality.ONE_TO_MANY: "right"}.get(matching.cardinality)
    found = ""
    if matching.labels or matching.on or grouped:
        found += f" {'on' if matching.on else 'ignoring'} ({_names(matching.labels)})"
    if grouped:
        found += f" group_{grouped} ({_names(matching.include)})"
    return found
