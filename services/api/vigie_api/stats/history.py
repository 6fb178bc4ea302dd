"""Hosts and sites over time: of stored reports while there are any, beyond that of windows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from vigie_contracts import names
from vigie_contracts.series import Kind
from vigie_query.functions import Function
from vigie_query.grid import NICE_STEPS, stepped
from vigie_query.matchers import Matcher, Operator
from vigie_query.times import HOUR, SECOND, iso
from vigie_storage.hosts.sites import Site
from vigie_storage.mongo import TooSlow
from vigie_storage.reader import SelectedSamples
from vigie_storage.series.filter import Filter
from vigie_summaries import hosts as shown

from vigie_api.context import Context

MAX_POINTS: Final = 200
MAX_HOURS: Final = 24 * 400
_LAST, _MEAN = Function.LAST, Function.AVG
_ASKED: Final = [(_MEAN, Kind.GAUGE), (_LAST, Kind.CUMULATIVE)]

Path = tuple[str, ...]
SERVER: Final[Mapping[tuple[str, str], Path]] = {
    (names.CPU_USAGE, ""): ("cpu", "percent"),
    (names.LOAD_AVERAGE, "1m"): ("cpu", "loadAvg", "one"),
    (names.LOAD_AVERAGE, "5m"): ("cpu", "loadAvg", "five"),
    (names.LOAD_AVERAGE, "15m"): ("cpu", "loadAvg", "fifteen"),
    (names.MEMORY_TOTAL, ""): ("memory", "total"),
    (names.MEMORY_USED, ""): ("memory", "used"),
    (names.MEMORY_FREE, ""): ("memory", "free"),
    (names.MEMORY_USAGE, ""): ("memory", "percent"),
    (names.DISK_TOTAL, ""): ("disk", "total"),
    (names.DISK_USED, ""): ("disk", "used"),
    (names.DISK_FREE, ""): ("disk", "free"),
    (names.DISK_USAGE, ""): ("disk", "percent"),
    (names.NETWORK_RECEIVED, ""): ("network", "bytesIn"),
    (names.NETWORK_SENT, ""): ("network", "bytesOut"),
}
"""By name and the label `period`, where the number stands in a point."""
SITE: Final[Mapping[tuple[str, str], Path]] = {
    (names.SITE_CPU_USAGE, ""): ("cpu", "percent"),
    (names.SITE_MEMORY_USED, ""): ("memory", "usedBytes"),
    (names.SITE_MEMORY_USAGE, ""): ("memory", "percent"),
    (names.SITE_DISK_USED, ""): ("disk", "usedBytes"),
    (names.SITE_DISK_USAGE, ""): ("disk", "percent"),
    (names.SITE_FILES, ""): ("disk", "fileCount"),
}
_SERVER_PARTS: Final = {
    "cpu": {"percent": "$body.cpu.percent", "loadAvg": "$body.cpu.loadAvg"},
    "memory": "$body.memory",
    "disk": "$body.disk",
    "network": {"bytesIn": "$body.network.bytesIn", "bytesOut": "$body.network.bytesOut"},
}


@dataclass(frozen=True, slots=True)
class Asked:
    """The last `hours`, in `points` at most."""

    hours: float
    points: int
    kept_hours: int
    """For how long reports are kept."""

    @property
    def of_reports(self) -> bool:
        """Whether reports are there for all of it."""
        return self.hours <= self.kept_hours


@dataclass(frozen=True, slots=True)
class History:
    """Points as answers have them, and of what they were made."""

    from_ms: int
    to_ms: int
    step_ms: int
    source: str
    points: list[dict[str, Any]]

    def head(self) -> dict[str, Any]:
        """What every answer says of it."""
        return {
            "from": iso(self.from_ms),
            "to": iso(self.to_ms),
            "step": self.step_ms / SECOND,
            "source": self.source,
        }


async def of_server(context: Context, host: str, asked: Asked) -> History:
    """Of a host."""
    windows = partial(_windows, context, asked, SERVER, _equal(host=host), {"core"})
    if asked.of_reports:
        with suppress(TooSlow):  # windows can say it
            return await _fuller(context, host, await _reports(context, host, asked, _SERVER_PARTS), windows)
    return await windows()


async def of_site(context: Context, site: Site, asked: Asked) -> History:
    """Of a site, on the host where it is now."""

    async def windows() -> History:
        made = await _windows(context, asked, SITE, _equal(host=site.host, site=site.id), set())
        for point in made.points:
            point["services"] = None
        return made

    if not asked.of_reports:
        return await windows()
    one = {"$filter": {"input": "$body.sites", "cond": {"$eq": ["$$this.site", site.id]}}}
    found = await _reports(context, site.host, asked, {"site": {"$arrayElemAt": [one, 0]}})
    points = [
        {
            "timestamp": point["timestamp"],
            **shown.site_parts(point["parts"]["site"]),
            "services": point["parts"]["site"].get("services"),
        }
        for point in found.points
        if point["parts"].get("site")
    ]
    made = History(found.from_ms, found.to_ms, found.step_ms, found.source, points)
    return await _fuller(context, site.host, made, windows)


async def _fuller(context: Context, host: str, reports: History, windows: Callable[[], Awaitable[History]]) -> History:
    """Reports, unless windows reach further back: those from before `retentionHours` was raised are gone."""
    first_ms = await context.resources.host_reports.first_ms(context.tenant, host)
    missing = reports.to_ms if first_ms is None else first_ms
    if missing <= reports.from_ms + reports.step_ms:
        return reports
    made = await windows()
    earlier = made.points and made.points[0]["timestamp"] < iso(missing - max(made.step_ms, reports.step_ms))
    return made if earlier else reports


async def _reports(context: Context, host: str, asked: Asked, parts: Mapping[str, Any]) -> History:
    to_ms = context.now_ms
    from_ms = to_ms - round(asked.hours * HOUR)
    step_ms = max(SECOND, -(-(to_ms - from_ms) // asked.points))
    found = await context.resources.host_reports.history(
        context.tenant, host, from_ms=from_ms, step_ms=step_ms, points=asked.points, parts=parts
    )
    server = parts is _SERVER_PARTS
    points = [
        shown.point({**one.parts, "host": host}, one.at_ms)
        if server
        else {"timestamp": iso(one.at_ms), "parts": one.parts}
        for one in found
    ]
    return History(from_ms, to_ms, step_ms, "reports", points)


async def _windows(
    context: Context,
    asked: Asked,
    wanted: Mapping[tuple[str, str], Path],
    matchers: Sequence[Matcher],
    without: set[str],
) -> History:
    reader, to_ms = context.resources.reader, context.now_ms
    from_ms = to_ms - round(asked.hours * HOUR)
    # One more: both ends are rounded outwards.
    step_ms = next(
        (step for step in NICE_STEPS if (to_ms - from_ms) // step + 2 <= asked.points),
        NICE_STEPS[-1] * max(1, -(-(to_ms - from_ms) // (NICE_STEPS[-1] * max(1, asked.points - 2)))),
    )
    grid = stepped(from_ms, to_ms, step_ms)
    filtered = Filter(names=tuple(sorted({name for name, _ in wanted})), matchers=tuple(matchers))
    found = await reader.select(context.tenant, filtered, "host")
    series = [one for one in found if not any(one.label(name) for name in without)]
    answer = await reader.read(context.tenant, series, grid, _ASKED)
    points = await asyncio.to_thread(_points, answer, wanted)
    return History(grid.start, grid.end, step_ms, "windows", points[-asked.points :])


def _points(answer: SelectedSamples, wanted: Mapping[tuple[str, str], Path]) -> list[dict[str, Any]]:
    keys = [(one.name, one.label("period") or "") for one in answer.selection.series]
    groups, group_of_row = answer.selection.grouped(keys)
    starts = answer.samples.grid.edges[:-1].tolist()
    made: list[dict[str, Any]] = [_empty(wanted) for _ in starts]
    some = np.zeros(len(starts), np.bool_)
    if groups:
        evaluation = answer.samples.grouped(group_of_row, len(groups))
        rows = evaluation.run(_LAST if _only_totals(groups) else _MEAN)
        last = evaluation.run(_LAST)
        for at, key in enumerate(groups):
            path = wanted.get((key[0], key[1]))
            if path is None:
                continue
            values = last[at] if key[0].endswith("_total") else rows[at]
            finite = np.isfinite(values)
            some |= finite
            for step in np.flatnonzero(finite).tolist():
                _set(made[step], path, float(values[step]))
    return [
        {"timestamp": iso(start), **point}
        for start, point, there in zip(starts, made, some.tolist(), strict=True)
        if there
    ]


def _only_totals(groups: Sequence[tuple[str, ...]]) -> bool:
    return all(name.endswith("_total") for name, *_ in groups)


def _empty(wanted: Mapping[tuple[str, str], Path]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for path in wanted.values():
        made.setdefault(path[0], {})[path[1]] = None
    if "usedBytes" in made.get("memory", {}):
        made["cpu"] |= {"timeMs": None}
        made["memory"] |= {"limit": None}
        made["disk"] |= {"limit": None, "complete": None}
    return made


def _set(point: dict[str, Any], path: Path, value: float) -> None:
    *above, last = path
    for name in above:
        if point.get(name) is None:
            point[name] = {"one": 0.0, "five": 0.0, "fifteen": 0.0} if name == "loadAvg" else {}
        point = point[name]
    point[last] = value


def _equal(**labels: str) -> list[Matcher]:
    return [Matcher(name, Operator.EQUAL, value) for name, value in labels.items()]
