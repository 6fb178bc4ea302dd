"""Finds what an alert fits among thousands of matchers, without trying them all.

Each is filed under one label value that an alert must have to fit it: the one that the fewest others ask for. An alert
is tried against what is filed under its own labels, and against the few that ask for no value at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from vigie_query.errors import QueryError
from vigie_query.matchers import Matcher, Operator

from vigie_alerting.routing.matchers import Matchers

T = TypeVar("T")
Pair: TypeAlias = tuple[str, str]
"""A label and its value."""

_MAX_ALTERNATIVES: Final = 64
_LITERAL: Final = r"(?:[^\\.+*?()\[\]{}^$|]|\\[^A-Za-z0-9])+"
_ALTERNATIVES: Final = re.compile(rf"{_LITERAL}(?:\|{_LITERAL})*\Z")
_LITERALS: Final = re.compile(_LITERAL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(slots=True)
class _Entry(Generic[T]):
    all: tuple[Matcher, ...]
    value: T
    compiled: Matchers | None = None
    """Made when it is tried first: most never are."""

    def fits(self, labels: Mapping[str, str]) -> bool:
        if self.compiled is None:
            try:
                self.compiled = Matchers(self.all)
            except QueryError:
                # Judged when it was written: what is not understood any more fits nothing.
                self.compiled = _NOTHING
        return self.compiled.match(labels)


_NOTHING: Final = Matchers((Matcher("", Operator.DIFFERENT, ""),))
"""No label has an empty name."""


class Index(Generic[T]):
    """Of what never changes: one that is made anew takes its place."""

    def __init__(self, all_: Iterable[tuple[tuple[Matcher, ...], T]]) -> None:
        entries = [_Entry(matchers, value) for matchers, value in all_]
        askers: Counter[Pair] = Counter()
        self.expressions: set[str] = set()
        """See `expressions`: all that there are, each once."""
        for entry in entries:
            self.expressions |= expressions(entry.all)
            for pairs in map(pairs_of, entry.all):
                askers.update(pairs)
        self._filed: dict[Pair, list[_Entry[T]]] = {}
        self._open: list[_Entry[T]] = []
        for entry in entries:
            choices = [pairs for pairs in map(pairs_of, entry.all) if pairs]
            if not choices:
                self._open.append(entry)
                continue
            for pair in min(choices, key=lambda pairs: sum(askers[one] for one in pairs)):
                self._filed.setdefault(pair, []).append(entry)
        self._size = len(entries)

    def __len__(self) -> int:
        return self._size

    @property
    def open(self) -> int:
        """How many every alert is tried against."""
        return len(self._open)

    def of(self, labels: Mapping[str, str]) -> Iterator[T]:
        """The values whose matchers all fit."""
        for pair in labels.items():
            for entry in self._filed.get(pair, ()):
                if entry.fits(labels):
                    yield entry.value
        for entry in self._open:
            if entry.fits(labels):
                yield entry.value


def expressions(matchers: Iterable[Matcher]) -> set[str]:
    """The regular expressions among them, but for mere lists of values. One may take milliseconds for one value."""
    return {one.value for one in matchers if one.is_regex and not pairs_of(one)}


def pairs_of(matcher: Matcher) -> tuple[Pair, ...]:
    """What a label must be, one or the other, to fit; nothing where that cannot be said: `db-1` of `=~"db-1"`, both of
    `=~"a|b"`."""
    if matcher.operator is Operator.EQUAL:
        return ((matcher.label, matcher.value),) if matcher.value else ()
    if matcher.operator is not Operator.MATCHES or _ALTERNATIVES.match(matcher.value) is None:
        return ()
    texts = {_ESCAPE.sub(r"\1", one) for one in _LITERALS.findall(matcher.value)}
    return tuple((matcher.label, one) for one in sorted(texts)) if len(texts) <= _MAX_ALTERNATIVES else ()
