"""Label matchers as in Prometheus, with regular expressions in linear time (RE2).

`label=value`, `label!=value`, `label=~regex`, `label!~regex`; a value may stand in quotation marks, as in PromQL. A
label that a series does not have counts as empty. A regex must match the whole value; it is RE2's: linear time, without
backreferences and look-around.

Linear is not fast: one expression may take milliseconds for one value. So `predicate` asks it once for each different
value, and after each whether it may go on.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportPrivateUsage=false
# pyright: reportMissingTypeStubs=false
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import re2
from vigie_contracts.limits import MAX_LABEL_NAME_CHARS

from vigie_query.errors import InvalidParameter, QueryLimitExceeded

MAX_MATCHERS: Final = 32
MAX_REGEX_CHARS: Final = 1_000
MAX_REGEXES: Final = 8
"""Regular expressions among the matchers of one question."""
MAX_REGEX_BYTES: Final = 1 << 16
"""Memory of one compiled expression; RE2 refuses those that need more. At most 5 ms for the longest label value, and
still enough for a few Unicode classes."""

MAX_UNICODE_CLASSES: Final = 16
"""`\\pL` and the like in the expressions of one question. RE2 needs 0.25 ms to compile each, also where it then says
that the expression is too large, and no other thread runs meanwhile. Whatever else fits is compiled in 3 ms."""

_REMEMBERED: Final = 10_000
"""Answers of one expression: a rule asks it for as long as it lives."""

_UNICODE_CLASS: Final = re.compile(r"\\[pP]")
_MATCHER: Final = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_.\-/]*)\s*(=~|!~|!=|=)(.*)\Z", re.DOTALL)
_QUOTED: Final = re.compile(r"""(["'])((?:\\.|(?!\1)[^\\])*)\1\Z""", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_HOW: Final = "must be one of label=value, label!=value, label=~regex, label!~regex, without braces"


class Operator(StrEnum):
    EQUAL = "="
    DIFFERENT = "!="
    MATCHES = "=~"
    MATCHES_NOT = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label."""

    label: str
    operator: Operator
    value: str

    @property
    def stored_equality(self) -> str | None:
        """The entry of `lv` that every series has that satisfies this; None when there is no such entry."""
        return f"{self.label}={self.value}" if self.operator is Operator.EQUAL and self.value else None

    @property
    def stored_exclusion(self) -> str | None:
        """The entry of `lv` that exactly the series have that do not satisfy this; None when there is no such."""
        return f"{self.label}={self.value}" if self.operator is Operator.DIFFERENT and self.value else None

    @property
    def in_store(self) -> bool:
        """Whether the store can decide this by an index."""
        return self.stored_equality is not None or self.stored_exclusion is not None

    @property
    def is_regex(self) -> bool:
        return self.operator in (Operator.MATCHES, Operator.MATCHES_NOT)


def parse(texts: Sequence[str], field: str = "match") -> tuple[Matcher, ...]:
    """Parse matchers. Raises InvalidParameter, QueryLimitExceeded."""
    if len(texts) > MAX_MATCHERS:
        raise QueryLimitExceeded(f"{field}: {len(texts)} matchers are more than {MAX_MATCHERS}", field)
    parsed = tuple(_parse(text, field) for text in texts)
    compile_all([matcher.value for matcher in parsed if matcher.is_regex], field)
    return parsed


def compile_all(patterns: Sequence[str], field: str) -> None:
    """Check the regular expressions of one question. Raises InvalidParameter, QueryLimitExceeded."""
    if len(patterns) > MAX_REGEXES:
        raise QueryLimitExceeded(f"{field}: {len(patterns)} regular expressions are more than {MAX_REGEXES}", field)
    classes = sum(len(_UNICODE_CLASS.findall(pattern)) for pattern in patterns)
    if classes > MAX_UNICODE_CLASSES:
        raise QueryLimitExceeded(
            f"{field}: {classes} Unicode classes (\\p) in regular expressions are more than {MAX_UNICODE_CLASSES}",
            field,
        )
    for pattern in patterns:
        regex(pattern, field)


def _go_on() -> None:
    """Nothing limits the time."""


def predicate(matchers: Iterable[Matcher], check: Callable[[], None] = _go_on) -> Callable[[Mapping[str, str]], bool]:
    """A test of a series' labels against all of `matchers`. `check` is called after each expression that was tried; it
    may raise."""
    # What is cheap comes first: most series never come to an expression.
    ordered = sorted(matchers, key=lambda matcher: matcher.is_regex)
    tests = [(matcher.label, _test(matcher, check)) for matcher in ordered]
    return lambda labels: all(test(labels.get(label, "")) for label, test in tests)


def select(texts: Iterable[str], pattern: str, field: str, check: Callable[[], None] = _go_on) -> list[str]:
    """The texts that match as a whole, with `check` as for `predicate`."""
    matches = _checked(regex(pattern, field), check)
    return [text for text in texts if matches(text)]


def regex(pattern: str, field: str) -> Callable[[str], bool]:
    """A test whether the whole of a text matches. Raises InvalidParameter with RE2's reason, QueryLimitExceeded."""
    compiled = _compile(pattern, field, captures=False)
    return lambda text: compiled.fullmatch(text) is not None


def capturing(pattern: str, field: str) -> Callable[[str], re2._Match | None]:
    """The match of the whole of a text, with its groups. Raises as `regex` does."""
    return _compile(pattern, field, captures=True).fullmatch


def _compile(pattern: str, field: str, *, captures: bool) -> re2._Regexp:
    if len(pattern) > MAX_REGEX_CHARS:
        raise InvalidParameter(field, f"the regular expression is longer than {MAX_REGEX_CHARS} characters")
    if len(_UNICODE_CLASS.findall(pattern)) > MAX_UNICODE_CLASSES:
        raise QueryLimitExceeded(f"{field}: more than {MAX_UNICODE_CLASSES} Unicode classes (\\p)", field)
    compiled = _compiled(pattern, captures)
    if isinstance(compiled, str):
        raise InvalidParameter(field, f"not a regular expression that RE2 takes: {compiled}")
    return compiled


def _parse(text: str, field: str) -> Matcher:
    match = _MATCHER.match(text)
    if match is None or len(match[1]) > MAX_LABEL_NAME_CHARS:
        raise InvalidParameter(field, _HOW)
    return Matcher(match[1], Operator(match[2]), _unquoted(match[3].strip(), field))


def _unquoted(value: str, field: str) -> str:
    if not value.startswith(('"', "'")):
        return value
    quoted = _QUOTED.match(value)
    if quoted is None:
        raise InvalidParameter(field, 'a value that begins with a quotation mark must end with it: service="booking"')

    def unescaped(escape: re.Match[str]) -> str:
        # Not one of ours: it is an expression's, like \d, and stays.
        return _ESCAPED.get(escape[1], escape[0])

    return _ESCAPE.sub(unescaped, quoted[2])


def _checked(matches: Callable[[str], bool], check: Callable[[], None]) -> Callable[[str], bool]:
    """The same test, which remembers its answers."""
    known: dict[str, bool] = {}

    def test(value: str) -> bool:
        answer = known.get(value)
        if answer is None:
            if len(known) >= _REMEMBERED:
                known.clear()
            answer = known[value] = matches(value)
            check()
        return answer

    return test


def _test(matcher: Matcher, check: Callable[[], None]) -> Callable[[str], bool]:
    wanted = matcher.value
    match matcher.operator:
        case Operator.EQUAL:
            return lambda value: value == wanted
        case Operator.DIFFERENT:
            return lambda value: value != wanted
        case Operator.MATCHES:
            return _checked(regex(wanted, "match"), check)
        case Operator.MATCHES_NOT:
            matches = _checked(regex(wanted, "match"), check)
            return lambda value: not matches(value)


@lru_cache(maxsize=256)
def _compiled(pattern: str, captures: bool) -> re2._Regexp | str:
    """RE2's reason for one that it does not take: refusals are remembered too, as they cost as much."""
    options = re2.Options()
    options.max_mem = MAX_REGEX_BYTES
    options.log_errors = False
    options.dot_nl = True
    options.never_capture = not captures
    try:
        return re2.compile(pattern, options)
    except re2.error as e:
        return e.args[0].decode(errors="replace") if e.args and isinstance(e.args[0], bytes) else str(e)
