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
_MODIFIERS: Final = _GROUPING | {"bool", "offset"}
_MEANT: Final = {
    "=": "compare with ==",
    "&&": "write and",
    "||": "write or",
    "=>": "write >=",
    "=<": "write <=",
    "=~": 'a regular expression stands in braces: name{label=~"..."}',
    "!~": 'a regular expression stands in braces: name{label!~"..."}',
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
            return RuleProblem(
                field, "gives ranges of samples", None, f"take a function of them: rate({text.strip()[:60]})"
            )
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
    return _Neighbours(text).first_problem()


class _Neighbours:
    """Goes over the tokens and knows whether a value or an operator is expected next."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._opened: list[tuple[str, int]] = []
        """Brackets with their places; `(list` is that of labels after `by`."""
        self._wants_value = True
        self._before = ""

    def first_problem(self) -> _Found | None:
        for token in _TOKEN.finditer(self._text):
            if token.lastgroup != "space":
                if found := self._token(token):
                    return found
                self._before = token.group()
        if self._opened:
            bracket, at = self._opened[-1]
            return _Found(f"{bracket[0]} is not closed", at)
        if self._wants_value:
            return _Found("a value is expected at the end", len(self._text.rstrip()))
        return None

    def _token(self, token: re.Match[str]) -> _Found | None:
        kind, word, at = token.lastgroup, token.group(), token.start()
        match kind:
            case "quote":
                return _Found("a quotation mark is not closed", at)
            case "unknown":
                return _Found(f"{word} has no meaning here", at)
            case "open":
                self._open(word, at)
                return None
            case "close":
                return self._close(word, token)
        inside = self._opened[-1][0] if self._opened else ""
        if inside in ("{", "[", "(list"):
            return None
        match kind:
            case "operator":
                return self._operator(word, at)
            case "name" if word.lower() in _WORDS:
                return self._operator(word, at)
            case "name" if word.lower() in _MODIFIERS:
                return None
            case "name" | "number" | "string":
                return self._value(word, at)
        self._wants_value = word == ","
        return None

    def _open(self, word: str, at: int) -> None:
        listed = word == "(" and self._before.lower() in _GROUPING
        self._opened.append(("(list" if listed else word, at))
        self._wants_value = word == "("

    def _close(self, word: str, token: re.Match[str]) -> _Found | None:
        if not self._opened or self._opened[-1][0][0] != _CLOSES[word]:
            return _Found(f"{word} closes nothing", token.start())
        bracket, _ = self._opened.pop()
        if bracket == "(" and self._wants_value and self._before not in ("(", ")", "]", "}"):
            return _Found(f"a value is expected before {word}", token.start())
        self._wants_value = bracket == "(list" and _after_list(self._text, token.end())
        return None

    def _operator(self, word: str, at: int) -> _Found | None:
        if word in _MEANT:
            return _Found(f"{word} is no operator between values", at, _MEANT[word])
        if self._wants_value and word not in ("-", "+"):
            return _Found(f"{word} stands where a value is expected", at)
        self._wants_value = True
        return None

    def _value(self, word: str, at: int) -> _Found | None:
        if not self._wants_value and self._before.lower() not in ("offset", "@", *_GROUPING):
            return _Found(f"{word} stands where an operator is expected", at)
        self._wants_value = False
        return None


def _after_list(text: str, at: int) -> bool:
    """Whether a value comes after `by (...)`: what is aggregated, or the right side of an operator."""
    rest = text[at:].lstrip()
    return bool(rest) and (rest[0] in "({" or rest[0].isalnum() or rest[0] in "_:")
