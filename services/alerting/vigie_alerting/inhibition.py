"""Inhibition, with Alertmanager's semantics: while an alert fires that says enough, others are not told. Pure.

A rule has matchers of the *source*, matchers of the *target*, and labels that must be *equal* in both; a label that an
alert does not have counts as empty. An alert that fits both sides is not inhibited by one that fits both sides too:
else alerts could silence each other, and nobody would be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
from vigie_identity.errors import LimitReached
from vigie_query.errors import QueryError
from vigie_query.matchers import Matcher

from vigie_alerting.routing.matchers import Matchers
from vigie_alerting.silences.index import Index, Pair, expressions, pairs_of

MAX_INHIBITIONS: Final = 500
"""Of a tenant."""
MAX_EQUAL: Final = 32
MAX_EXPRESSIONS: Final = 1_000
"""Different ones in the inhibitions of a tenant: one alert may be tried against all of them."""
Labels: TypeAlias = Mapping[str, str]


class Inhibition(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Stored by its name."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """An alert that fires."""

    fingerprint: str
    labels: Labels
    """With `alertname` and `severity`."""


@dataclass(frozen=True, slots=True)
class Inhibited:
    """By which rule, and by which alert."""

    rule: str
    source: Source


class _Rule:
    __slots__ = ("equal", "name", "source", "target")

    def __init__(self, name: str, inhibition: Inhibition) -> None:
        self.name, self.equal = name, inhibition.equal
        self.source, self.target = Matchers(inhibition.source), Matchers(inhibition.target)

    def key(self, labels: Labels) -> tuple[str, ...]:
        return tuple(labels.get(name, "") for name in self.equal)


def check_expressions(all_: Iterable[Inhibition]) -> None:
    """Of all that a tenant is to have. Raises LimitReached."""
    found = {one for rule in all_ for one in expressions((*rule.source, *rule.target))}
    if len(found) > MAX_EXPRESSIONS:
        raise LimitReached("different regular expressions in inhibitions", MAX_EXPRESSIONS)


class Inhibitions:
    """A tenant's rules, compiled. They were judged when they were written: one that this version does not understand
    any more mutes nobody."""

    def __init__(self, rules: Iterable[tuple[str, Inhibition]]) -> None:
        """By name."""
        pairs: list[tuple[_Rule, Inhibition]] = []
        for name, one in rules:
            with suppress(QueryError):
                pairs.append((_Rule(name, one), one))
        self._sources = Index((one.source, rule) for rule, one in pairs)
        self._targets = Index((one.target, rule) for rule, one in pairs)
        self.asked = _asked(one.source for _, one in pairs)
        """What an alert must have, one or the other, to be a source at all; None: that cannot be said."""

    def __len__(self) -> int:
        return len(self._targets)

    def concern(self, labels: Labels) -> bool:
        """Whether an alert with these labels is the target of any rule."""
        return next(self._targets.of(labels), None) is not None

    def with_sources(self, firing: Iterable[Source]) -> Inhibiting:
        """What these alerts inhibit."""
        found: dict[tuple[str, tuple[str, ...]], list[tuple[Source, bool]]] = {}
        for source in firing:
            for rule in self._sources.of(source.labels):
                both = rule.target.match(source.labels)
                found.setdefault((rule.name, rule.key(source.labels)), []).append((source, both))
        return Inhibiting(self._targets, found)


class Inhibiting:
    """The rules, and the alerts that fire."""

    def __init__(
        self, targets: Index[_Rule], sources: Mapping[tuple[str, tuple[str, ...]], Sequence[tuple[Source, bool]]]
    ) -> None:
        self._targets, self._sources = targets, sources

    def of(self, fingerprint: str, labels: Labels, over: Set[str] = frozenset()) -> Inhibited | None:
        """What inhibits this alert; nothing does so to itself. `over`: alerts that do not fire any more."""
        for rule in self._targets.of(labels):
            candidates = self._sources.get((rule.name, rule.key(labels)))
            if not candidates:
                continue
            is_source = rule.source.match(labels)
            for source, both in candidates:
                if source.fingerprint not in over and source.fingerprint != fingerprint and not (both and is_source):
                    return Inhibited(rule.name, source)
        return None


def _asked(sources: Iterable[Sequence[Matcher]]) -> frozenset[Pair] | None:
    found: set[Pair] = set()
    for matchers in sources:
        choices = [pairs for pairs in map(pairs_of, matchers) if pairs]
        if not choices:
            return None
        found.update(min(choices, key=len))
    return frozenset(found)
