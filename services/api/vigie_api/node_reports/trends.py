"""The answer about all tenants, day by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vigie_contracts.days import Day, day_before, day_of
from vigie_query.times import HOUR, iso
from vigie_storage.reports.totals import DayTotals, Spread

from vigie_api.node_reports.numbers import plain, rounded
from vigie_api.node_reports.schemas import DayTrend, TrendsAnswer, TrendsSummary


@dataclass(frozen=True, slots=True)
class Now:
    """`reporting`: how many tenants have reported since the current hour of the day began."""

    ms: int
    reporting: int


def days_up_to(now_ms: int, count: int, zone: str) -> list[Day]:
    """The last `count` days of the zone, today first."""
    days = [day_of(zone, now_ms)]
    while len(days) < count:
        days.append(day_before(zone, days[-1]))
    return days


def hour_began(day: Day, now_ms: int) -> int:
    """When the current hour of the day began; hours are counted from its start."""
    return day.start_ms + day.hour(now_ms) * HOUR


def trends(zone: str, days: Sequence[Day], now: Now, totals: Mapping[str, DayTotals]) -> TrendsAnswer:
    """`days` newest first, `totals` by the day's name; a day without totals had no report."""
    known = [(day, totals[day.name]) for day in days if day.name in totals]
    return TrendsAnswer(
        period="1 day" if len(days) == 1 else f"{len(days)} days",
        start_date=iso(days[-1].start_ms),
        end_date=iso(now.ms),
        timezone=zone,
        data_points=len(days),
        trends=[_trend(day, totals.get(day.name), now) for day in days],
        summary=_summary(known),
    )


def uptime_percentage(day: Day, totals: DayTotals, now: Now) -> float | None:
    """Of the hours from each tenant's first report of the day to its end, the share with a report. Of a day that is
    not over, the current hour counts for those who have reported in it: for the others it may still come."""
    if day.start_ms <= now.ms < day.end_ms:
        possible = totals.tenants * day.hour(now.ms) - totals.first_hours + now.reporting
    else:
        possible = totals.tenants * day.hours - totals.first_hours
    # Not above 100: a report may arrive between the two reads, or be a few minutes ahead of our clock.
    return rounded(min(100.0, totals.hours / possible * 100)) if possible > 0 else None


def _trend(day: Day, totals: DayTotals | None, now: Now) -> DayTrend:
    if totals is None:
        return DayTrend(
            date=day.name, avg_active_users=None, total_exercises=0, avg_ai_latency=None, tenants_reporting=0,
            uptime_percentage=None,
        )  # fmt: skip
    return DayTrend(
        date=day.name,
        avg_active_users=rounded(totals.active_users.mean),
        total_exercises=plain(totals.exercises),
        avg_ai_latency=rounded(totals.latency.mean),
        tenants_reporting=totals.tenants,
        uptime_percentage=uptime_percentage(day, totals, now),
    )


def _summary(known: Sequence[tuple[Day, DayTotals]]) -> TrendsSummary:
    users = [mean for _, totals in known if (mean := totals.active_users.mean) is not None]
    latency = sum((totals.latency for _, totals in known), Spread())
    # Of equal peaks the newest: days come newest first, and max takes the first one.
    peak = max(known, key=lambda entry: entry[1].active_users.max, default=None)
    return TrendsSummary(
        avg_daily_users=rounded(_mean(users)),
        avg_daily_exercises=rounded(_mean([totals.exercises for _, totals in known])),
        avg_ai_latency=rounded(latency.mean),
        peak_users=None if peak is None else plain(peak[1].active_users.greatest),
        peak_date=None if peak is None else peak[0].name,
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
