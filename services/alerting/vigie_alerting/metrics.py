"""The metrics of the HTTP side of this service; those of sending and of the engine stand beside them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from vigie_identity.errors import RefusalReason
from vigie_runtime.metrics import Counter, Gauge, Histogram, MetricSet

PATH: Final = "/internal/metrics"
"""Where this is shown."""


class RouteArea(StrEnum):
    """The part of the API that a request is for."""

    ALERTS = "alerts"
    RULES = "rules"
    CHANNELS = "channels"
    PROMETHEUS = "prometheus"
    OTHER = "other"


class Outcome(StrEnum):
    """How a request ended, by its status."""

    OK = "ok"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


REQUESTS: Final = Counter(
    "vigie_alerting_requests_total", "requests", "Requests answered", {"area": RouteArea, "outcome": Outcome}
)
DURATION: Final = Histogram(
    "vigie_alerting_request_duration_seconds",
    "seconds",
    "Time from a request to the end of its answer",
    {"area": RouteArea},
)
IN_FLIGHT: Final = Gauge("vigie_alerting_requests_in_flight", "requests", "Requests being answered")
REFUSED_CREDENTIALS: Final = Counter(
    "vigie_alerting_refused_credentials_total",
    "requests",
    "Requests whose token, key or password was not good",
    {"reason": RefusalReason},
)

ALL: Final = (REQUESTS, DURATION, IN_FLIGHT, REFUSED_CREDENTIALS)
_PREFIXES: Final = (
    ("/api/alerts/rules", RouteArea.RULES),
    ("/api/alerts/channels", RouteArea.CHANNELS),
    ("/api/alerts", RouteArea.ALERTS),
    ("/api/v1/", RouteArea.PROMETHEUS),
)


def observer(metrics: MetricSet) -> Callable[[str, int, float], None]:
    """Counts requests by path and status, and takes their seconds."""

    def observe(path: str, status: int, seconds: float) -> None:
        area = next((area for prefix, area in _PREFIXES if path.startswith(prefix)), RouteArea.OTHER)
        metrics.counter(REQUESTS, area=area, outcome=outcome_of(status)).inc()
        metrics.histogram(DURATION, area=area).observe(seconds)

    return observe


def outcome_of(status: int) -> Outcome:
    """The outcome of a status."""
    if status < 400:
        return Outcome.OK
    if status == 503:
        return Outcome.UNAVAILABLE
    return Outcome.REFUSED if status < 500 else Outcome.FAILED
