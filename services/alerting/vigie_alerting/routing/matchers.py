"""Matchers of alerts, written as Alertmanager and `amtool` write them.

`name="value"`, `!=`, `=~`, `!~`; several, separated by commas, with or without braces: `{team="db",zone!~"eu-.*"}`. A
value without quotation marks ends at a comma. A name in quotation marks may be any text. A label that an alert does
not have counts as empty. A regular expression must match the whole value; it is RE2's: linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

from vigie_contracts.limits import MAX_LABEL_NAME_CHARS, MAX_LABEL_VALUE_CHARS
from vigie_contracts.problems import shortened
from vigie_query.errors import InvalidParameter
from vigie_query.matchers import MAX_MATCHERS, Matcher, Operator, compile_all, regex

MAX_CHARS: Final = 16_384
"""Of the matchers of one silence, route or inhibition, as they are written."""
_REMEMBERED: Final = 256
"""Answers of one expression: most alerts share a few values."""
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
# No two runs may share what they take: many spaces would be tried in all ways.
_ONE: Final = re.compile(
    rf"""\s*+({_QUOTED}|[^\s{{}}!=~,\\"'`]++)\s*+(=~|!~|!=|=)\s*+({_QUOTED}\s*+|[^",]*+)(?=,|\Z)""", re.DOTALL
)
_ESCAPE: Final = re.compile(r'\\([n"\\])')
_ESCAPED: Final = {"n": "\n", '"': '"', "\\": "\\"}
_HOW: Final = 'must be matchers like team="db", zone!="eu", host=~"db-.*", pod!~"test-.*"'

Test: TypeAlias = Callable[[str], bool]
_EXPRESSIONS: Final[WeakValueDictionary[str, Test]] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class Matchers:
    """Several conditions that all must hold; without any, every alert matches."""

    all: tuple[Matcher, ...] = ()
    _tests: tuple[tuple[Matcher, Test], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # What is cheap comes first: most alerts never come to an expression.
        ordered = sorted(self.all, key=lambda one: one.is_regex)
        object.__setattr__(self, "_tests", tuple((one, _test(one)) for one in ordered))

    def match(self, labels: Mapping[str, str]) -> bool:
        """Whether all conditions hold for these labels."""
        return all(test(labels.get(one.label, "")) for one, test in self._tests)

    def failing(self, labels: Mapping[str, str]) -> Matcher | None:
        """The first condition, as they are written, that does not hold; None when they all do."""
        failed = {id(one) for one, test in self._tests if not test(labels.get(one.label, ""))}
        return next((one for one in self.all if id(one) in failed), None)

    @property
    def texts(self) -> list[str]:
        """Each as it is written: what `parse` reads."""
        return [written(one) for one in self.all]

    def __str__(self) -> str:
        return "{" + ", ".join(self.texts) + "}"


def parse(texts: str | Sequence[str], field: str = "matchers") -> Matchers:
    """The matchers of all the texts together. Raises InvalidParameter, QueryLimitExceeded."""
    return of(read(texts, field), field)


def read(texts: str | Sequence[str], field: str = "matchers") -> list[Matcher]:
    """The same as they are written: whether their expressions are any, nobody has tried. Raises InvalidParameter."""
    several = [texts] if isinstance(texts, str) else texts
    if len(several) > MAX_MATCHERS or sum(map(len, several)) > MAX_CHARS:
        raise InvalidParameter(field, f"at most {MAX_MATCHERS} matchers, of {MAX_CHARS:,} characters in all")
    return [one for text in several for one in _read(text, field)]


def of(matchers: Iterable[Matcher], field: str = "matchers") -> Matchers:
    """Those that somebody has not written, but made: from JSON, or from labels. Raises InvalidParameter,
    QueryLimitExceeded."""
    found = tuple(matchers)
    if len(found) > MAX_MATCHERS:
        raise InvalidParameter(field, f"at most {MAX_MATCHERS} matchers, not {len(found)}")
    for one in found:
        if not 0 < len(one.label) <= MAX_LABEL_NAME_CHARS:
            raise InvalidParameter(field, f"the name of a label has 1 to {MAX_LABEL_NAME_CHARS} characters")
        if len(one.value) > MAX_LABEL_VALUE_CHARS:
            raise InvalidParameter(field, f"the value of a label has at most {MAX_LABEL_VALUE_CHARS:,} characters")
    compile_all([one.value for one in found if one.is_regex], field)
    return Matchers(found)


def matches_empty(matcher: Matcher) -> bool:
    """Whether it holds for an alert that does not have the label."""
    return _test(matcher)("")


def written(matcher: Matcher) -> str:
    """As `parse` reads it."""
    name = matcher.label if re.fullmatch(r"""[^\s{}!=~,\\"'`]+""", matcher.label) else _quoted(matcher.label)
    return f"{name}{matcher.operator}{_quoted(matcher.value)}"


def _read(text: str, field: str) -> list[Matcher]:
    inner = text.strip()
    if inner.startswith("{"):
        if not inner.endswith("}"):
            raise InvalidParameter(field, f"the brace is not closed in {shortened(text)}")
        inner = inner[1:-1].strip()
    found: list[Matcher] = []
    at = 0
    while at < len(inner):
        match = _ONE.match(inner, at)
        if match is None:
            raise InvalidParameter(field, f"{_HOW}, but is {shortened(text)}")
        found.append(Matcher(_unquoted(match[1]), Operator(match[2]), _unquoted(match[3].rstrip())))
        at = match.end() + 1  # behind the comma
    return found


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _unquoted(text: str) -> str:
    inner = text[1:-1] if text.startswith('"') else text
    # Any other escape is an expression's, like \d, and stays: as Alertmanager reads it.
    return _ESCAPE.sub(lambda escape: _ESCAPED[escape[1]], inner)


def _test(matcher: Matcher) -> Test:
    wanted = matcher.value
    match matcher.operator:
        case Operator.EQUAL:
            return lambda value: value == wanted
        case Operator.DIFFERENT:
            return lambda value: value != wanted
        case Operator.MATCHES:
            return _expression(wanted)
        case Operator.MATCHES_NOT:
            matches = _expression(wanted)
            return lambda value: not matches(value)


def _expression(text: str) -> Test:
    """One for all matchers that have it while any of them lives: a thousand silences say the same."""
    known = _EXPRESSIONS.get(text)
    if known is None:
        known = _EXPRESSIONS[text] = _remembering(regex(text, "matchers"))
    return known


def _remembering(matches: Test) -> Test:
    """The same test, which remembers its answers: one may cost milliseconds, and the next alert asks the same."""
    known: dict[str, bool] = {}

    def test(value: str) -> bool:
        answer = known.get(value)
        if answer is None:
            if len(known) >= _REMEMBERED:
                known.clear()
            answer = known[value] = matches(value)
        return answer

    return test
