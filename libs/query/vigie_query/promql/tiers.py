"""What must be read of stored windows so that a selector can be used as a query does: edges, columns, and what to say
where windows know less than their samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from vigie_contracts.series import Kind
from vigie_contracts.tiers import TIERS, Tier
from vigie_windows.chunks import Column

from vigie_query.promql.cells import BUCKET, SUM, VALUE, Shown
from vigie_query.promql.labels import NAME
from vigie_query.promql.plan import Selector
from vigie_query.promql.reading import Use, Wanted

_COLUMNS: Final = {
    "sum_over_time": {Column.SUM},
    "avg_over_time": {Column.SUM},
    "min_over_time": {Column.MIN},
    "max_over_time": {Column.MAX},
    "stddev_over_time": {Column.SUM},
    "stdvar_over_time": {Column.SUM},
    "changes": {Column.MIN, Column.MAX},
}
_ALWAYS_EXACT: Final = frozenset(
    {"", "absent_over_time", "count_over_time", "first_over_time", "last_over_time", "present_over_time"}
)
_OF_KIND: Final = {
    Kind.GAUGE: frozenset({"sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "delta"}),
    Kind.COUNTER: frozenset({"rate", "increase", "resets", "min_over_time", "max_over_time"}),
    Kind.CUMULATIVE: frozenset(
        {"rate", "increase", "delta", "resets", "sum_over_time", "avg_over_time", "min_over_time", "max_over_time"}
    ),
    Kind.HISTOGRAM: frozenset(
        {"rate", "increase", "sum_over_time", "avg_over_time", "min_over_time", "max_over_time"}
    ),
}  # fmt: skip
"""What windows know exactly of series of a kind, beside what they know of all; derived ones are counters."""


@dataclass(frozen=True, slots=True)
class Need:
    """What to read for one selector."""

    edges: list[int]
    """Where ranges begin and end, ascending: no window should hold samples of both sides."""
    columns: frozenset[Column]
    totals: bool
    """Whether running totals are shown: then everything since is to be read too."""
    estimated: tuple[str, ...]
    """The functions that windows of several samples do not know exactly: they want the finest ones."""

    @property
    def coarsest(self) -> int:
        """The place in TIERS of the widest windows to use."""
        return 0 if self.estimated else len(TIERS) - 1


def need(wanted: Wanted, shown: Shown) -> Need:
    """For the uses of a selector, of the series that it selects."""
    functions = dict.fromkeys(use.function for use in wanted.uses)
    kinds = {Kind(int(kind)) for kind in np.unique(shown.kinds[shown.parts == VALUE])}
    shows = kinds | {Kind.COUNTER} if shown.incremental.any() else kinds
    edges = np.unique(np.concatenate([np.fromiter(_edges(use), np.int64) for use in wanted.uses]))
    return Need(
        edges.tolist(),
        frozenset(_columns(functions, kinds, {int(part) for part in np.unique(shown.parts)})),
        bool(shown.incremental.any()) and any(function not in ("rate", "increase") for function in functions),
        tuple(
            one for one in functions if one not in _ALWAYS_EXACT and any(one not in _OF_KIND[kind] for kind in shows)
        ),
    )


def _edges(use: Use) -> Iterator[int]:
    yield use.first_ms - use.range_ms
    for end in range(use.first_ms, use.last_ms + 1, use.step_ms or 1):
        yield end
        if use.function:  # the plain selector looks at the newest sample alone, whose time is known
            yield end - use.range_ms


def _columns(functions: dict[str, None], kinds: set[Kind], parts: set[int]) -> Iterator[Column]:
    yield Column.FIRST
    if kinds & {Kind.GAUGE, Kind.CUMULATIVE}:
        for function in functions:
            yield from _COLUMNS.get(function, ())
    if Kind.CUMULATIVE in kinds and functions.keys() & {"rate", "increase", "resets"}:
        yield Column.TURNS
    if Kind.COUNTER in kinds or SUM in parts:
        yield Column.SUM
    if Kind.HISTOGRAM in kinds:
        yield from (Column.SUM, Column.MIN, Column.MAX, Column.SKETCH)
    if any(part >= BUCKET for part in parts):
        yield Column.SKETCH


def of_tier(tier: Tier, selector: Selector) -> str:
    """The info for windows that are wider than what was asked for."""
    return f"PromQL info: windows of {tier.name} are used for {_text(selector)}: ranges and times are rounded to them"


def of_estimates(functions: tuple[str, ...], selector: Selector) -> str:
    """The info for functions that windows of several samples do not know exactly."""
    return (
        f"PromQL info: windows hold several samples of {_text(selector)}: {', '.join(functions)} is estimated from them"
    )


def _text(selector: Selector) -> str:
    name = next((one.value for one in selector.matchers if one.label == NAME), "")
    inside = ", ".join(f'{one.label}{one.operator}"{one.value}"' for one in selector.matchers if one.label != NAME)
    return f"{name}{{{inside}}}" if inside else name
