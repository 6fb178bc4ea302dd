"""The numbers of a panel: samples of some metrics over the whole range, as one step."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from vigie_contracts import names
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_query.functions import Function
from vigie_query.grid import Grid, single
from vigie_query.planning import steps_possible
from vigie_query.ranges import TimeRange
from vigie_query.series import Series
from vigie_query.times import iso
from vigie_storage.reader import SeriesReader
from vigie_storage.series.filter import exactly

from vigie_summaries.numbers import Numbers

_GAUGES = (Function.AVG, Function.MIN, Function.MAX, Function.LAST)
_HISTOGRAMS = (Function.AVG, Function.COUNT, Function.P50)
ASKED = [
    *((function, Kind.GAUGE) for function in _GAUGES),
    *((Function.INCREASE, kind) for kind in (Kind.COUNTER, Kind.CUMULATIVE)),
    *((function, Kind.HISTOGRAM) for function in _HISTOGRAMS),
]
"""What the panels ask of series of each kind."""


@dataclass(frozen=True, slots=True)
class Panel:
    """The numbers of a panel and the head of its answer."""

    numbers: Numbers
    head: dict[str, Any]


async def read_panel(
    reader: SeriesReader, tenant: TenantId, time_range: TimeRange, wanted: Collection[str], now_ms: int
) -> Panel:
    """The samples of these metrics over the whole range, as one step."""
    series = await known_series(reader, tenant, wanted, "the panel")
    grid = single(time_range.from_ms, time_range.to_ms, steps_possible(time_range.from_ms, now_ms))
    answer = await reader.read(tenant, series, grid, ASKED)
    return Panel(Numbers(answer.selection, answer.samples), head(now_ms, grid, time_range))


async def known_series(reader: SeriesReader, tenant: TenantId, wanted: Collection[str], what: str) -> list[Series]:
    """The series of these names, of the kinds that the names are known for."""
    series = await reader.select(tenant, exactly(wanted), what)
    return [one for one in series if one.kind in names.kinds_of(one.name)]


def head(now_ms: int, grid: Grid, time_range: TimeRange) -> dict[str, Any]:
    """The fields that every answer about a stretch of time has."""
    return {
        "timestamp": iso(now_ms),
        "from": iso(grid.start),
        "to": iso(grid.end),
        "period": time_range.period,
    }
