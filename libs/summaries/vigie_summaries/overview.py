"""The heads of the dashboards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from vigie_contracts import names
from vigie_contracts.series import Kind
from vigie_query.functions import Function
from vigie_query.times import iso

from vigie_summaries import application, business, system
from vigie_summaries.families.families import FamilyIndex, LatestTable, Values
from vigie_summaries.numbers import Numbers, rounded
from vigie_summaries.schemas.business import Money
from vigie_summaries.schemas.overview import (
    ApplicationOverview,
    BusinessOverview,
    RealtimeMetrics,
    SeriesCount,
    SystemOverview,
)

HEADLINES: Final = (
    names.CPU_USAGE, names.MEMORY_USAGE, names.DISK_USAGE, names.HTTP_REQUESTS, names.HTTP_DURATION,
    names.ACTIVE_CONNECTIONS, names.BOOKINGS_CREATED, names.BOOKINGS_COMPLETED, names.BOOKINGS_CANCELLED, names.REVENUE,
    names.REFUNDS, names.ACTIVE_USERS, names.SATISFACTION,
)  # fmt: skip
REALTIME: Final = (
    names.HTTP_REQUESTS, names.HTTP_DURATION, names.BOOKINGS_CREATED, names.BOOKINGS_COMPLETED,
    names.BOOKINGS_CANCELLED, names.REVENUE, names.REFUNDS, names.EVENTS,
)  # fmt: skip
_MINUTE_S: Final = 60


def system_overview(numbers: Numbers) -> SystemOverview:
    """Of all hosts."""
    return SystemOverview(
        hosts=len(numbers.label_values(system.NAMES, "host")),
        cpu_usage_percent=system.cpu_usage(numbers),
        memory_usage_percent=system.level(numbers, names.MEMORY_USAGE),
        disk_usage_percent=system.level(numbers, names.DISK_USAGE),
    )


def application_overview(numbers: Numbers) -> ApplicationOverview:
    """Of all services."""
    return ApplicationOverview(
        services=len(numbers.label_values(application.NAMES, "service")),
        requests=application.requests(numbers),
        latency=application.breakdown(numbers, names.HTTP_DURATION),
        active_connections=application.connections(numbers).current,
    )


def business_overview(numbers: Numbers) -> BusinessOverview:
    """Of all services."""
    return BusinessOverview(
        bookings=business.bookings(numbers),
        revenue=business.money(numbers),
        active_users=business.users(numbers).current,
        satisfaction=business.satisfaction(numbers),
    )


@dataclass(frozen=True, slots=True)
class Levels:
    """The latest values that the realtime answer shows."""

    active_users: float | None
    active_connections: float | None
    cpu_usage_percent: float | None
    memory_usage_percent: float | None
    newest_ms: int | None
    live_series: int


def levels(index: FamilyIndex, latest: LatestTable, live_since_ms: int) -> Levels:
    """Of the series that have a sample since then."""

    def last(name: str) -> Values:
        return latest.of(index.family(name, Kind.GAUGE), live_since_ms)

    newest, live = latest.newest(live_since_ms)
    return Levels(
        active_users=_total(last(names.ACTIVE_USERS)),
        active_connections=_total(last(names.ACTIVE_CONNECTIONS)),
        cpu_usage_percent=_mean(last(names.CPU_USAGE)),
        memory_usage_percent=_mean(last(names.MEMORY_USAGE)),
        newest_ms=newest,
        live_series=live,
    )


def realtime(numbers: Numbers, latest: Levels, now_ms: int) -> RealtimeMetrics:
    """Rates of the range of `numbers`, levels of the latest values."""
    requests = application.requests(numbers)
    made = business.bookings(numbers)
    factor = _MINUTE_S / numbers.seconds

    def per_minute(count: float | None) -> float | None:
        return None if count is None else rounded(count * factor)

    return RealtimeMetrics(
        timestamp=iso(now_ms),
        window_seconds=numbers.seconds,
        requests_per_second=requests.per_second,
        error_rate_percent=requests.error_rate_percent,
        latency=application.breakdown(numbers, names.HTTP_DURATION),
        bookings_per_minute=per_minute(made.created),
        completed_per_minute=per_minute(made.completed),
        cancelled_per_minute=per_minute(made.cancelled),
        revenue_per_minute=[
            Money(
                currency=money.currency,
                revenue=per_minute(money.revenue),
                refunds=per_minute(money.refunds),
                net=per_minute(money.net),
            )
            for money in business.money(numbers)
        ],
        events_per_minute=per_minute(numbers.value(Function.INCREASE, names.EVENTS)),
        active_users=latest.active_users,
        active_connections=latest.active_connections,
        cpu_usage_percent=latest.cpu_usage_percent,
        memory_usage_percent=latest.memory_usage_percent,
        newest_sample_at=None if latest.newest_ms is None else iso(latest.newest_ms),
        live_series=latest.live_series,
    )


def series_count(index: FamilyIndex, latest: LatestTable, live_since_ms: int) -> SeriesCount:
    """What is recorded."""
    families = index.families()
    by_type = {
        type_: sum(len(f) for f in families if f.kind.type == type_) for type_ in ("gauge", "counter", "histogram")
    }
    return SeriesCount(total=index.size, metrics=len(families), live=latest.newest(live_since_ms)[1], **by_type)


def number(value: np.float64) -> float | None:
    """As it is shown; None for what JSON cannot say."""
    return rounded(float(value)) if np.isfinite(value) else None


def _total(values: Values) -> float | None:
    with np.errstate(over="ignore", invalid="ignore"):
        return number(values.values.sum()) if len(values.place) else None


def _mean(values: Values) -> float | None:
    with np.errstate(over="ignore", invalid="ignore"):
        return number(values.values.mean()) if len(values.place) else None
