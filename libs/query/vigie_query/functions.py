"""The query functions, and the kinds of series that each is for."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from vigie_contracts.series import Kind
from vigie_windows.chunks import Column

from vigie_query.errors import FunctionNotApplicable, MixedKinds


class Function(StrEnum):
    """Every function gives one number per group of series and step; see MEANING."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"
    LAST = "last"
    RATE = "rate"
    INCREASE = "increase"
    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"


QUANTILES: Final = {Function.P50: 0.5, Function.P90: 0.9, Function.P95: 0.95, Function.P99: 0.99}
GROWTH: Final = frozenset({Function.RATE, Function.INCREASE})
_COUNTERS: Final = {Kind.COUNTER, Kind.CUMULATIVE}
_OF_ALL_COUNTERS: Final = GROWTH | {Function.SUM}

MEANING: Final = """\
The samples of all series of a group and of one step are looked at together. They must be of one type (`type` chooses);
increments and totals of counters only go together in `sum`, `increase` and `rate` (`temporality` chooses).

- `count`: how many samples.
- `avg`, `min`, `max`: mean (every sample has the same weight), least and greatest value.
- `last`: the newest sample's value; of several at that time, the greatest.
- `p50`, `p90`, `p95`, `p99`: percentile of the samples by the nearest rank, rounded up (p99 of two values is the
  greater one), from merged sketches: at most 1 % from the exact sample, or what `errorBound` says: magnitudes below
  1e-12 and above 1e18 are known less well. Gauges and histograms only.
- `sum`: of histograms the sum of all observations; of counters the same as `increase`; of gauges each series' mean in
  the step, added over the series (so the number does not depend on how often a series is sent).
- `increase`: how much counters grew. Delta counters add; cumulative ones are followed per series, resets included,
  from one value to the next when they are at most 25 hours apart: what grew in between belongs to the step of the later
  one, also when the earlier one is before the range. Of histograms the number of observations. Not for gauges.
- `rate`: `increase` per second of the step; of a step that is not over, per second passed.

A step without any sample is `null`."""

_BASE: Final = frozenset({Column.SUM})
_EXTREMES: Final = frozenset({Column.MIN, Column.MAX})
"""They bound how much of a sum may have been lost."""
_COLUMNS: Final = {
    Function.AVG: _BASE | _EXTREMES,
    Function.COUNT: frozenset[Column](),
    Function.LAST: frozenset[Column](),
    Function.MIN: frozenset({Column.MIN}),
    Function.MAX: frozenset({Column.MAX}),
    Function.SUM: _BASE | _EXTREMES,
    Function.INCREASE: _BASE,
    Function.RATE: _BASE,
    **{function: _EXTREMES | {Column.SKETCH} for function in QUANTILES},
}
_CUMULATIVE: Final = frozenset({Column.FIRST, Column.TURNS})


def columns(function: Function, kinds: Iterable[Kind]) -> frozenset[Column]:
    """The stored columns that `function` needs of series of these kinds."""
    needed = _COLUMNS[function]
    return needed | _CUMULATIVE if needs_lookback(function, kinds) else needed


def needs_lookback(function: Function, kinds: Iterable[Kind]) -> bool:
    """Whether the windows just before the range matter."""
    return (function in GROWTH or function is Function.SUM) and Kind.CUMULATIVE in kinds


def applicable(function: Function, kind: Kind) -> bool:
    """Whether `function` means something for a series of this kind."""
    return _objection(function, kind) is None


def check_applicable(function: Function, metric: str, kinds: Iterable[Kind]) -> None:
    """Raises MixedKinds when `function` means nothing for these kinds together, FunctionNotApplicable when it means
    nothing for one of them."""
    present = set(kinds)
    types = sorted({kind.type for kind in present})
    if len(types) > 1:
        raise MixedKinds(
            f"type: series of {metric} are of different types ({', '.join(types)}), and no number means all of them: "
            f"choose {' or '.join(f'type={one}' for one in types)}",
            "type",
        )
    if present == _COUNTERS and function not in _OF_ALL_COUNTERS:
        raise MixedKinds(
            f"temporality: counters of {metric} are sent both as increments (delta) and as totals (cumulative): choose "
            "temporality=delta or temporality=cumulative, or a function that takes both: sum, increase, rate",
            "temporality",
        )
    for kind in present:
        if (reason := _objection(function, kind)) is not None:
            raise FunctionNotApplicable(function.value, metric, kind.type, reason)


def _objection(function: Function, kind: Kind) -> str | None:
    if function in QUANTILES and kind.type == "counter":
        return "a counter has no distribution of values; send a histogram, or ask for rate or increase"
    if function in GROWTH and kind is Kind.GAUGE:
        return "a gauge goes up and down; ask for avg, min, max or last"
    return None
