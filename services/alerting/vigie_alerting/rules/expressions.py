"""Expressions as people mistype them: where the mistake is, and what was meant."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Final, NamedTuple

from vigie_query.errors import QueryError
from vigie_query.promql import aggregation, calls, parsing
from vigie_query.promql.plan import Node, ValueType

from vigie_alerting.rules.problems import RuleProblem

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)|(?P<quote>["'`])"""
    r"""|(?P<number>(?:0x[0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)(?:[a-z]+(?:\d+[a-z]+)*)?)"""
    r"""|(?P<name>[A-Za-z_:][\w:]*)|(?P<operator>==|!=|>=|<=|=~|!~|&&|\|\||=>|=<|[-+*/%^<>=])|(?P<open>[(\[{])"""
    r"""|(?P<close>[)\]}])|(?P<other>[,@])|(?P<unknown>.)""",
    re.DOTALL,
)
_CLOSES: Final = {")": "(", "]": "[", "}": "{"}
_WORDS: Final = frozenset({"and", "or", "unless", "atan2"})
_GROUPING: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_MEANT: Final = {
    "=": "compare with ==",
    "&&": "write and",
    "||": "write or",
    "=>": "write >=",
    "=<": "write <=",
    "=~": "a regular expression stands in braces: name{label=~\"...\"}",
    "!~": "a regular expression stands in braces: name{label!~\"...\"}",
}
_FUNCTIONS: Final = calls.NAMES | aggregation.OPERATORS
_UNKNOWN: Final = re.compile(r"unknown function with name '(\w+)'|the function (\w+) is not supported")
_WRONG_TYPE: Final = re.compile(r"expected type (\w+) in (?:call to function '(\w+)'|(\w+)[^,]*), got (\w+)")


class _Found(NamedTuple):
    reason: str
    position: int | None
    """From 0."""
    hint: str = ""


def parsed(text: str, field: str) -> Node | RuleProblem:
    """The plan of an expression, or what is wrong with it and where."""
    if not text.strip():
        return RuleProblem(field, "is empty: write an expression, such as up == 0")
    try:
        node = parsing.parse(text)
    except QueryError as e:
        found = _explained(text, e.detail.removeprefix("invalid expression: "))
        position = None if found.position is None else found.position + 1
        return RuleProblem(field, found.reason, position, found.hint)
    match node.type:
        case ValueType.MATRIX:
            return RuleProblem(field, "gives ranges of samples", None, f"take a function of them: rate({text.strip()[:60]})")
        case ValueType.STRING:
            return RuleProblem(field, "is a text", None, "write an expression, without quotation marks around it")
    return node


def _explained(text: str, complaint: str) -> _Found:
    if unknown := _UNKNOWN.search(complaint):
        name = unknown[1] or unknown[2]
        near = get_close_matches(name, _FUNCTIONS, 1)
        return _Found(f"there is no function {name}", _where(text, name), f"did you mean {near[0]}?" if near else "")
    if wrong := _WRONG_TYPE.search(complaint):
        return _wrong_type(text, complaint, wrong)
    if "must use BOOL" in complaint:
        return _Found("it compares two numbers, and no series", None, "name a metric, or write bool after the operator")
    if found := _misplaced(text):
        return found
    return _Found("is no PromQL" if complaint == "invalid promql query" else f"is no PromQL: {complaint}", None)


def _where(text: str, name: str) -> int | None:
    found = re.search(rf"\b{re.escape(name)}\b", text)
    return found.start() if found else None


def _wrong_type(text: str, complaint: str, wrong: re.Match[str]) -> _Found:
    wanted, function, got = wrong[1], wrong[2] or "", wrong[4]
    hint = ""
    if wanted == "matrix":
        hint = f"give it a range: {function}(metric[5m])"
    elif got == "matrix":
        hint = "take a function of the range first: rate(metric[5m])"
    return _Found(complaint, _where(text, function) if function else None, hint)


def _misplaced(text: str) -> _Found | None:
    """The first thing that stands where it cannot, as far as its neighbours tell."""
    opened: list[tuple[str, int]] = []
    wants_value, skipping, before = True, 0, ""
    for token in _TOKEN.finditer(text):
        kind, word, at = token.lastgroup, token.group(), token.start()
        inside = opened[-1][0] if opened else ""
        match kind:
            case "space":
                continue
            case "quote":
                return _Found("a quotation mark is not closed", at)
            case "unknown":
                return _Found(f"{word} has no meaning here", at, _MEANT.get(word, ""))
            case "open":
                if word == "(" and before in _GROUPING:
                    skipping += 1
                opened.append((word if not (word == "(" and before in _GROUPING) else "(list", at))
                wants_value = word == "("
            case "close":
                if not opened or opened[-1][0][0] != _CLOSES[word]:
                    return _Found(f"{word} closes nothing", at)
                if inside == "(" and wants_value and before not in ("(", ")", "]", "}"):
                    return _Found(f"a value is expected before {word}", at)
                listed = opened.pop()[0] == "(list"
                wants_value = False if not listed else skipping > 0 and _after_list(text, token.end())
            case _ if inside in ("{", "[", "(list"):
                pass
            case "operator":
                if word in _MEANT:
                    return _Found(f"{word} is no operator between values", at, _MEANT[word])
                if wants_value and word not in ("-", "+"):
                    return _Found(f"{word} stands where a value is expected", at)
                wants_value = True
            case "name" if word.lower() in _WORDS:
                if wants_value:
                    return _Found(f"{word} stands where a value is expected", at)
                wants_value = True
            case "name" if word.lower() in _GROUPING or word.lower() in ("bool", "offset"):
                pass
            case "name" | "number" | "string":
                if not wants_value and before.lower() not in ("offset", "@", *_GROUPING):
                    return _Found(f"{word} stands where an operator is expected", at)
                wants_value = False
            case _:
                wants_value = word == ","
        before = word
    if opened:
        return _Found(f"{opened[-1][0][0]} is not closed", opened[-1][1])
    if wants_value:
        return _Found("a value is expected at the end", len(text.rstrip()))
    return None


def _after_list(text: str, at: int) -> bool:
    """Whether a value comes after `by (...)`: what is aggregated, or the right side of an operator."""
    rest = text[at:].lstrip()
    return bool(rest) and (rest[0] in "({" or rest[0].isalnum() or rest[0] in "_:")
