"""When nothing can happen: a rule that compares what its series were with a threshold that none of them reached in an
hour is not evaluated then. The lowest and highest values of each hour are kept, and exact."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import numpy as np
from vigie_contracts.alerts import Condition, NoData
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import HOUR
from vigie_query.promql.cells import VALUE
from vigie_query.promql.evaluation import Evaluation
from vigie_query.promql.plan import Aggregation, Call, Node, Parentheses, Range, Selector, ValueType
from vigie_query.promql.reading import wanted
from vigie_storage.promql.reader import PromqlReader
from vigie_storage.promql.selection import Selected

from vigie_alerting.engine.evaluation import evaluate
from vigie_alerting.engine.horizon import Horizon
from vigie_alerting.rules.compiling import CompiledRule

MAX_CELLS: Final = 2_000_000
"""Hours of single series that are looked at first."""
_SLACK: Final = 1e-9
"""Of a threshold: means are rounded."""
_EXTREME: Final = {
    Condition.GREATER: "max_over_time", Condition.GREATER_OR_EQUAL: "max_over_time",
    Condition.LESS: "min_over_time", Condition.LESS_OR_EQUAL: "min_over_time",
}  # fmt: skip
_BETWEEN: Final = frozenset(
    {"avg_over_time", "min_over_time", "max_over_time", "last_over_time", "first_over_time", "quantile_over_time"}
)
_KINDS: Final = frozenset({Kind.GAUGE, Kind.CUMULATIVE})


def is_between(node: Node) -> bool:
    """Whether what an expression gives is never below the lowest, nor above the highest of the samples that it looks
    at."""
    match node:
        case Selector():
            return True
        case Parentheses(of) | Aggregation("avg" | "min" | "max", of, None):
            return is_between(of)
        case Call(function, (*_, Range())):
            return function in _BETWEEN
        case _:
            return False


def knows(rule: CompiledRule, needed: Sequence[Horizon], selected: Selected, hours: int) -> bool:
    """Whether it is known when nothing happens."""
    shown = selected.shown
    return (
        len(needed) == 1
        and needed[0].wanted.last_ms == 0
        and rule.condition in _EXTREME
        and rule.rule.no_data is not NoData.ALERT
        and is_between(rule.value)
        and len(shown.rows) * hours <= MAX_CELLS
        and {Kind(int(kind)) for kind in np.unique(shown.kinds)} <= _KINDS
        and bool((shown.parts == VALUE).all())
    )


async def busy(
    reader: PromqlReader, rule: CompiledRule, needed: Horizon, times: tuple[int, int]
) -> list[tuple[int, int]]:
    """When something may happen: ascending, apart, from after the first to the second time of each. Raises QueryError,
    StoreUnavailable."""
    if rule.condition is None:
        raise ValueError("a rule without a condition")
    back_ms = -needed.wanted.first_ms
    first, last = HOUR.floor(times[0] - back_ms) + HOUR.width_ms, HOUR.floor(times[1] + HOUR.width_ms - 1)
    ends = np.arange(first, last + 1, HOUR.width_ms, dtype=np.int64)
    extremes = Call(_EXTREME[rule.condition], (Range(needed.wanted.selector, HOUR.width_ms),), ValueType.VECTOR)
    asked = wanted(extremes, Evaluation({}, first, max(first, last)), HOUR.width_ms)
    read = await reader.of(TenantId(rule.rule.tenant)).read(asked)
    found = await asyncio.to_thread(evaluate, extremes, read.samples, ends)
    slack = _SLACK * abs(rule.threshold)
    with np.errstate(invalid="ignore"):
        if _EXTREME[rule.condition] == "max_over_time":
            reached = found.values >= rule.threshold - slack
        else:
            reached = found.values <= rule.threshold + slack
    hot = ends[(reached & found.present).any(axis=0)].tolist()
    return _joined([(end - HOUR.width_ms, end + back_ms) for end in hot])


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ascending ones, where two meet one."""
    made: list[tuple[int, int]] = []
    for begin, end in spans:
        if made and begin <= made[-1][1]:
            made[-1] = made[-1][0], max(end, made[-1][1])
        else:
            made.append((begin, end))
    return made
