"""What must be read of stored windows so that a selector can be used as a query does: edges, columns, and what to say
where windows know less than their samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Kind
from vigie_contracts.tiers import TIERS, Tier
from vigie_windows.chunks import Column

from vigie_query.promql.cells import BUCKET, SUM, VALUE, Shown
from vigie_query.promql.labels import NAME
from vigie_query.promql.plan import Selector
from vigie_query.promql.reading import Use, Wanted

MAX_ENDS: Final = 22_000
"""Ends of the ranges of one selector that windows are cut for: twice as many as an answer may have steps."""
_COLUMNS: Final = {
    "sum_over_time": {Column.SUM},
    "avg_over_time": {Column.SUM},
    "min_over_time": {Column.MIN},
    "max_over_time": {Column.MAX},
    "stddev_over_time": {Column.SUM},
    "stdvar_over_time": {Column.SUM},
    "seasonal_zscore": {Column.SUM},
    "zscore_over_time": {Column.SUM},
    "changes": {Column.MIN, Column.MAX},
    "ts_of_max_over_time": {Column.MAX},
    "ts_of_min_over_time": {Column.MIN},
}
_OF_WEEKS: Final = frozenset({"seasonal_zscore"})
"""Functions that are estimated from windows of any width: the finest ones of such ranges would be too many."""
_ALWAYS_EXACT: Final = frozenset(
    {
        "", "absent_over_time", "count_over_time", "first_over_time", "last_over_time", "present_over_time",
        "ts_of_first_over_time", "ts_of_last_over_time",
    }
)  # fmt: skip
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

    coarsest: int
    """The place in TIERS of the widest windows to use."""
    newest_ms: int | None
    """When nothing but the newest sample of each series up to one moment matters: that moment."""


def need(wanted: Wanted, shown: Shown) -> Need:
    """For the uses of a selector, of the series that it selects."""
    functions = dict.fromkeys(use.function for use in wanted.uses)
    dense = sum(map(ends, wanted.uses)) > MAX_ENDS
    kinds = {Kind(int(kind)) for kind in np.unique(shown.kinds[shown.parts == VALUE])}
    shows = kinds | {Kind.COUNTER} if shown.incremental.any() else kinds
    sums = Kind.HISTOGRAM in kinds
    edges = np.unique(np.concatenate([_edges(use, dense=dense, sums=sums) for use in wanted.uses]))
    estimated = tuple(
        one for one in functions if one not in _ALWAYS_EXACT and any(one not in _OF_KIND[kind] for kind in shows)
    )
    return Need(
        edges.tolist(),
        frozenset(_columns(functions, kinds, {int(part) for part in np.unique(shown.parts)})),
        bool(shown.incremental.any()) and any(function not in ("rate", "increase") for function in functions),
        estimated,
        0 if dense or not _OF_WEEKS.issuperset(estimated) else len(TIERS) - 1,
        _newest_ms(wanted.uses) if not sums else None,
    )


def _newest_ms(uses: tuple[Use, ...]) -> int | None:
    if len(uses) == 1 and not uses[0].function and not uses[0].step_ms:
        return uses[0].last_ms
    return None


def ends(use: Use) -> int:
    """How many ends its ranges have."""
    return (use.last_ms - use.first_ms) // use.step_ms + 1 if use.step_ms > 0 else 1


def _edges(use: Use, *, dense: bool, sums: bool) -> npt.NDArray[np.int64]:
    """dense: whether there are so many that only the finest windows would do for them. sums: whether the plain selector
    shows all that is in the look-back, as of histograms."""
    if dense:
        return np.array([use.first_ms - use.range_ms, use.last_ms], np.int64)
    ends = np.arange(use.first_ms, use.last_ms + 1, use.step_ms or 1, dtype=np.int64)
    if use.function or sums:
        return np.concatenate([ends - use.range_ms, ends])
    # The plain selector looks at the newest sample alone, whose time is known: no window is cut where that begins.
    begin = use.first_ms - use.range_ms
    fit = (tier.width_ms for tier in TIERS if use.first_ms % tier.width_ms == use.step_ms % tier.width_ms == 0)
    width = max(fit, default=1) if use.step_ms else 1
    return np.append(begin // width * width, ends)


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
