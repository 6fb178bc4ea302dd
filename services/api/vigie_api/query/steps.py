"""The steps of an answer over time, and its points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from vigie_query import planning
from vigie_query.grid import NICE_STEPS, Grid, default_step, stepped
from vigie_query.planning import steps_possible
from vigie_query.ranges import TimeRange
from vigie_query.series import Series
from vigie_query.times import parse_duration

from vigie_api.context import Context


def asked_grid(context: Context, time_range: TimeRange, step: str | None, zone: ZoneInfo | None = None) -> Grid | None:
    """The steps asked for; None when none are. Impossible ones are refused here, before anything is read."""
    if step is None:
        return None
    step_ms = parse_duration(step, "step")
    return planning.asked(time_range.from_ms, time_range.to_ms, step_ms, context.now_ms, zone)


async def grid_for(
    context: Context, time_range: TimeRange, step: str | None, series: Sequence[Series], zone: ZoneInfo | None = None
) -> Grid:
    """The steps asked for, or else the finest nice ones that are cheap for these series."""
    if (asked := asked_grid(context, time_range, step, zone)) is not None:
        return asked
    least = default_step(time_range.from_ms, time_range.to_ms, steps_possible(time_range.from_ms, context.now_ms))
    candidates = [least, *(nice for nice in NICE_STEPS if least < nice <= time_range.to_ms - time_range.from_ms)]
    grids: list[Callable[[], Grid]] = [
        partial(stepped, time_range.from_ms, time_range.to_ms, candidate, zone) for candidate in candidates
    ]
    return await context.resources.reader.cheapest(series, grids)


def points(grid: Grid, values: npt.NDArray[np.float64]) -> list[tuple[int, float | None]]:
    """(beginning of the step, number); null for what is no number."""
    finite = np.isfinite(values).tolist()
    return [
        (at, value if known else None)
        for at, value, known in zip(grid.edges[:-1].tolist(), values.tolist(), finite, strict=True)
    ]
