"""The answer about one tenant's reports of a period."""

from __future__ import annotations

from vigie_contracts import telemetry as words
from vigie_query.times import iso
from vigie_storage.reports.totals import Reports

from vigie_api.node_reports.numbers import plain, rounded, trend
from vigie_api.node_reports.periods import Period
from vigie_api.node_reports.schemas import AggregatedAnswer, AggregatedMetrics, AggregatedTrend


def aggregated(name: str, period: Period, before: Reports, after: Reports) -> AggregatedAnswer:
    """`before` and `after` are the halves of the period, which was asked for as `name`."""
    both = before + after
    return AggregatedAnswer(
        period=name,
        start_date=iso(period.start),
        end_date=iso(period.end),
        data_points=both.count,
        metrics=_metrics(both),
        trend=AggregatedTrend(
            active_users=trend(before.of(words.ACTIVE_USERS), after.of(words.ACTIVE_USERS)),
            exercises=trend(before.of(words.EXERCISES), after.of(words.EXERCISES)),
            ai_latency=trend(before.of(words.AI_LATENCY), after.of(words.AI_LATENCY)),
        ),
    )


def _metrics(reports: Reports) -> AggregatedMetrics:
    users, latency = reports.of(words.ACTIVE_USERS), reports.of(words.AI_LATENCY)
    exercises = reports.of(words.EXERCISES)
    return AggregatedMetrics(
        avg_uptime=rounded(reports.of(words.UPTIME).mean),
        avg_active_users=rounded(users.mean),
        avg_exercises_per_day=rounded(exercises.mean),
        avg_ai_latency=rounded(latency.mean),
        max_active_users=plain(users.greatest),
        max_exercises=plain(exercises.greatest),
        max_ai_latency=plain(latency.greatest),
        min_active_users=plain(users.least),
        min_exercises=plain(exercises.least),
        min_ai_latency=plain(latency.least),
        total_exercises=rounded(exercises.sum if exercises.n else None),
    )
