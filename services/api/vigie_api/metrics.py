"""The metrics of this service."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from vigie_identity.errors import RefusalReason
from vigie_runtime.metrics import Counter, Gauge, Histogram, MetricSet

PATH: Final = "/internal/metrics"
"""Where this is shown: /metrics is the tenants' data."""


class RouteArea(StrEnum):
    """The part of the API that a request is for."""

    METRICS = "metrics"
    DASHBOARD = "dashboard"
    SERIES = "series"
    QUERY = "query"
    PROMQL = "promql"
    EXPOSITION = "exposition"
    TELEMETRY = "telemetry"
    AUTH = "auth"
    ADMIN = "admin"
    OTHER = "other"


class Outcome(StrEnum):
    """How a request ended, by its status."""

    OK = "ok"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


REQUESTS: Final = Counter(
    "vigie_api_requests_total", "requests", "Requests answered", {"area": RouteArea, "outcome": Outcome}
)
DURATION: Final = Histogram(
    "vigie_api_request_duration_seconds", "seconds", "Time from a request to the end of its answer", {"area": RouteArea}
)
IN_FLIGHT: Final = Gauge("vigie_api_requests_in_flight", "requests", "Requests being answered")
STALE_SCRAPES: Final = Counter(
    "vigie_api_stale_scrapes_total",
    "answers",
    "Answers of /metrics without what MongoDB alone knows, because it did not answer in time",
)
EXPOSED: Final = Gauge("vigie_api_exposed_series", "series", "Series whose names are kept in memory for /metrics")
REFUSED_CREDENTIALS: Final = Counter(
    "vigie_api_refused_credentials_total",
    "requests",
    "Requests whose token, key or password was not good",
    {"reason": RefusalReason},
)

ALL: Final = (REQUESTS, DURATION, IN_FLIGHT, STALE_SCRAPES, EXPOSED, REFUSED_CREDENTIALS)


def observer(metrics: MetricSet) -> Callable[[str, int, float], None]:
    """Counts requests by path and status, and takes their seconds."""

    def observe(path: str, status: int, seconds: float) -> None:
        area = area_of(path)
        metrics.counter(REQUESTS, area=area, outcome=outcome_of(status)).inc()
        metrics.histogram(DURATION, area=area).observe(seconds)

    return observe


def area_of(path: str) -> RouteArea:
    """The area of a path."""
    if path == "/metrics":
        return RouteArea.EXPOSITION
    for prefix, area in _PREFIXES:
        if path.startswith(prefix):
            return area
    return RouteArea.OTHER


_PREFIXES: Final = (
    ("/api/metrics/", RouteArea.METRICS),
    ("/api/dashboard/", RouteArea.DASHBOARD),
    ("/api/series", RouteArea.SERIES),
    ("/api/query_range", RouteArea.QUERY),
    ("/admin/tenant/", RouteArea.TELEMETRY),
    ("/admin/global/", RouteArea.TELEMETRY),
    ("/api/v1/", RouteArea.PROMQL),
    ("/auth/", RouteArea.AUTH),
    ("/admin/", RouteArea.ADMIN),
)


def outcome_of(status: int) -> Outcome:
    """The outcome of a status."""
    if status < 400:
        return Outcome.OK
    if status == 503:
        return Outcome.UNAVAILABLE
    return Outcome.REFUSED if status < 500 else Outcome.FAILED
