"""What the stored windows say of targets: uptime, latency, days."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from vigie_contracts.names import PROBE_DURATION, TARGET_AVAILABLE
from vigie_contracts.targets import Target
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import TIERS
from vigie_query.functions import Function
from vigie_query.grid import Grid, single, stepped
from vigie_query.matchers import Matcher, Operator
from vigie_query.series import Series
from vigie_query.times import DAY, HOUR
from vigie_runtime.clock import Clock
from vigie_storage.reader import SelectedSamples, SeriesReader
from vigie_storage.series.filter import Filter

from vigie_healthcheck import uptime
from vigie_healthcheck.uptime import Floats, Uptime, Window

TARGET: Final = "target"
"""The label with the name of the target."""
DAYS: Final = 90
_SHARES: Final = (Function.AVG, Function.COUNT)
_LATENCIES: Final = (Function.P50, Function.P95, Function.P99, Function.AVG, Function.MAX)


@dataclass(frozen=True, slots=True)
class Span:
    """A time of one target; `since_ms`: when it was made, before which nothing was to be known."""

    name: str
    interval_ms: int
    since_ms: int = 0

    @classmethod
    def of(cls, target: Target) -> Self:
        """From when the target was made."""
        return cls(target.name, target.period_ms, target.created_at)


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds; None where there was no check. Percentiles are within 1 %."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    avg: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class Days:
    """`percent`: of all checks of them; `each`: of each day (UTC), today last. None: nothing is known."""

    percent: float | None = None
    each: Sequence[float | None] = (None,) * DAYS


class Readings:
    """All raise QueryLimitExceeded where too many windows would have to be read, and StoreUnavailable."""

    def __init__(self, reader: SeriesReader, clock: Clock) -> None:
        self._reader, self._clock = reader, clock

    async def uptime(self, tenant: TenantId, span: Span, window: Window) -> Uptime:
        """Of one target over the time up to now."""
        now_ms = self._clock.now_ms()
        from_ms = max(now_ms - window.length_ms, span.since_ms)
        if from_ms >= now_ms:
            return uptime.UNKNOWN
        grid = stepped(from_ms, now_ms, uptime.step_for(window, span.interval_ms))
        shares = await self._shares(tenant, span.name, grid)
        lengths = uptime.lengths_s(grid, from_ms, now_ms)
        return Uptime.of(shares, uptime.without_open_end(shares, lengths, grid, now_ms))

    async def last_day(self, tenant: TenantId, spans: Sequence[Span]) -> Mapping[str, float | None]:
        """The percent of the last 24 hours of several targets, by whole hours; None: nothing is known."""
        now_ms = self._clock.now_ms()
        found = await self._several(tenant, spans, stepped(now_ms - DAY, now_ms, HOUR))
        return {one.name: found[one.name].percent if one.name in found else None for one in spans}

    async def days(self, tenant: TenantId, spans: Sequence[Span], days: int = DAYS) -> Mapping[str, Days]:
        """The last days (UTC) of several targets; those without a check are absent."""
        now_ms = self._clock.now_ms()
        return await self._several(tenant, spans, stepped(now_ms - (days - 1) * DAY, now_ms, DAY))

    async def _several(self, tenant: TenantId, spans: Sequence[Span], grid: Grid) -> Mapping[str, Days]:
        """Of each target its steps, and all of them together: there each check counts the same. A step may have been
        watched for a few minutes only, which must not stand for all of it."""
        read = await self._read(tenant, TARGET_AVAILABLE, [one.name for one in spans], grid, _SHARES)
        if read is None:
            return {}
        since = {one.name: one.since_ms for one in spans}
        groups, group_of_row = read.selection.groups((TARGET,))
        evaluation = read.samples.grouped(group_of_row, len(groups))
        shares, counts = await asyncio.to_thread(lambda: [evaluation.run(one) for one in _SHARES])
        found: dict[str, Days] = {}
        for (name,), own, count in zip(groups, shares, counts, strict=True):
            # What was called like that before is another target.
            own[grid.edges[1:] <= since[name]] = np.nan
            checks = np.where(np.isnan(own), 0.0, count)
            found[name] = Days(Uptime.of(own, checks).percent, [_percent(one) for one in own.tolist()])
        return found

    async def latency(self, tenant: TenantId, span: Span, window: Window) -> Latency:
        """Of all checks of one target, those that failed included."""
        now_ms = self._clock.now_ms()
        from_ms = max(now_ms - window.length_ms, span.since_ms)
        if from_ms >= now_ms:
            return Latency()
        widths = [tier.width_ms for tier in TIERS if tier.retention_ms > window.length_ms]
        read = await self._read(tenant, PROBE_DURATION, [span.name], single(from_ms, now_ms, widths[0]), _LATENCIES)
        if read is None:
            return Latency()
        _, group_of_row = read.selection.groups(())
        evaluation = read.samples.grouped(group_of_row, 1)
        found = await asyncio.to_thread(lambda: [float(evaluation.run(one)[0, 0]) for one in _LATENCIES])
        return Latency(*(None if math.isnan(value) else value for value in found))

    async def _shares(self, tenant: TenantId, name: str, grid: Grid) -> Floats:
        """Of each step, how much of the checks was good; nan without checks."""
        read = await self._read(tenant, TARGET_AVAILABLE, [name], grid, (Function.AVG,))
        if read is None:
            return np.full(grid.steps, np.nan)
        groups, group_of_row = read.selection.groups(())
        return (await asyncio.to_thread(read.samples.evaluate, Function.AVG, group_of_row, len(groups)))[0]

    async def _read(
        self, tenant: TenantId, metric: str, names: Sequence[str], grid: Grid, functions: Iterable[Function]
    ) -> SelectedSamples | None:
        series = await self._series(tenant, metric, names)
        if not series:
            return None
        kinds = {one.kind for one in series}
        return await self._reader.read(tenant, series, grid, [(f, kind) for f in functions for kind in kinds])

    async def _series(self, tenant: TenantId, metric: str, names: Sequence[str]) -> list[Series]:
        """Those of the targets: of one asked for by its label, of several picked from all."""
        matchers = (Matcher(TARGET, Operator.EQUAL, names[0]),) if len(names) == 1 else ()
        found = await self._reader.select(tenant, Filter(names=(metric,), matchers=matchers), metric) if names else []
        wanted = frozenset(names)
        return [one for one in found if one.label(TARGET) in wanted]


def _percent(share: float) -> float | None:
    return None if math.isnan(share) else uptime.percent(share, 1.0)
