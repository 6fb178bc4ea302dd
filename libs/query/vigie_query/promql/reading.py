"""What a plan needs to have read, and who reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vigie_query.promql.evaluation import Evaluation, subquery_range
from vigie_query.promql.plan import (
    Aggregation,
    Binary,
    Call,
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
from vigie_query.promql.samples import Samples


@dataclass(frozen=True, slots=True)
class Use:
    """One way in which the samples of a selector are looked at: ranges that end at evenly spaced times."""

    function: str
    """What is computed from them; empty for the plain selector, which shows the newest."""
    range_ms: int
    """How far back each range goes; of the plain selector the look-back."""
    first_ms: int
    """The end of the first range."""
    last_ms: int
    step_ms: int
    """0 when there is one range only."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The samples that a query needs of one selector, for all of its uses."""

    selector: Selector
    uses: tuple[Use, ...]

    @property
    def first_ms(self) -> int:
        """The first time of interest."""
        return min(use.first_ms - use.range_ms + 1 for use in self.uses)

    @property
    def last_ms(self) -> int:
        """The last time of interest, included."""
        return max(use.last_ms for use in self.uses)


@dataclass(frozen=True, slots=True)
class Read:
    """What was read. Samples of other times do no harm; a selector that is missing has no series."""

    samples: Mapping[Selector, Samples]
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


class SamplesReader(Protocol):
    """Where the samples of a query come from: of one tenant, whom expressions cannot name."""

    async def read(self, wanted: Sequence[Wanted]) -> Read:
        """Raises QueryError: QueryLimitExceeded when that would be too much for one question."""
        ...


def wanted(node: Node, settings: Evaluation, step_ms: int) -> tuple[Wanted, ...]:
    """What has to be read for a plan; step_ms is 0 for one time only."""
    found: dict[Selector, dict[Use, None]] = {}
    ends = settings.start_ms, settings.end_ms, step_ms if settings.end_ms > settings.start_ms else 0
    _collect(node, ends, "", settings, found)
    return tuple(Wanted(selector, tuple(uses)) for selector, uses in found.items())


def _collect(
    node: Node,
    ends: tuple[int, int, int],
    function: str,
    settings: Evaluation,
    found: dict[Selector, dict[Use, None]],
) -> None:
    """`ends`: the first and last time at which the node is evaluated, and the step between."""

    def moved(when: When) -> tuple[int, int, int]:
        first, last = settings.looked_up_ms(when, ends[0]), settings.looked_up_ms(when, ends[1])
        return first, last, ends[2] if last > first else 0

    def add(selector: Selector, function: str, range_ms: int) -> None:
        found.setdefault(selector, {})[Use(function, range_ms, *moved(selector.when))] = None

    match node:
        case Selector():
            add(node, "", settings.lookback_ms)
        case Range(selector, range_ms):
            add(selector, function, range_ms)
        case Subquery(of, range_ms, step, when):
            begin, end, _ = moved(when)
            step = step or settings.subquery_step_ms
            inner, _ = subquery_range(begin, end, range_ms, step)
            _collect(of, (inner, max(inner, end // step * step), step), "", settings, found)
        case Parentheses(of):
            _collect(of, ends, function, settings, found)
        case Negation(of):
            _collect(of, ends, "", settings, found)
        case Binary(_, left, right):
            _collect(left, ends, "", settings, found)
            _collect(right, ends, "", settings, found)
        case Aggregation(_, of, parameter):
            _collect(of, ends, "", settings, found)
            if parameter is not None:
                _collect(parameter, ends, "", settings, found)
        case Call(called, arguments):
            for argument in arguments:
                _collect(argument, ends, called, settings, found)
        case Number() | Text():
            pass
