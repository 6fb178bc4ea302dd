"""Whether matchers mute everything, or nearly: what is asked back before it is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from vigie_query.matchers import Matcher, Operator

from vigie_alerting.routing.matchers import Matchers

_ANY: Final = ("a", "Z9", "node-1.example.com", "x" * 40, "7", "Überlast voll")
"""Values that have nothing in common: an expression that fits all of them asks for nothing."""


def asks_for_nothing(matchers: Sequence[Matcher]) -> bool:
    """Whether none of them narrows anything down: `=~".+"`, `!="x"`, `=""`. Raises QueryError for an expression that
    is none."""
    return not any(map(_narrows, matchers))


def fits_no_labels(matchers: Iterable[Matcher]) -> bool:
    """Whether an alert without any label fits."""
    return Matchers(tuple(matchers)).match({})


def _narrows(matcher: Matcher) -> bool:
    match matcher.operator:
        case Operator.EQUAL:
            return bool(matcher.value)
        case Operator.DIFFERENT:
            return False
        case Operator.MATCHES | Operator.MATCHES_NOT:
            alone = Matchers((matcher,))
            return not all(alone.match({matcher.label: one}) for one in _ANY)
