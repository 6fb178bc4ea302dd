"""The metrics that every HTTP service has: its requests, by the part of its API, and credentials that were not good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, cast

from fastapi import FastAPI
from vigie_identity.errors import RefusalReason
from vigie_identity.metrics import IDENTITY_METRICS
from vigie_limits.metrics import LIMITS_METRICS
from vigie_runtime.metrics import Counter, Gauge, Histogram, Metric, MetricSet

from vigie_web.middleware import RequestTimer

PATH: Final = "/internal/metrics"
"""Where a service shows its own metrics: `/metrics` is the tenants' data."""
ACCESS_METRICS: Final[tuple[Metric, ...]] = (*IDENTITY_METRICS, *LIMITS_METRICS)
"""Of `vigie_web.access_control.connect`."""
_OTHER: Final = "other"


class Outcome(StrEnum):
    """How a request ended, by its status."""

    OK = "ok"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"

    @classmethod
    def of(cls, status: int) -> Outcome:
        """The outcome of a status."""
        if status < 400:
            return cls.OK
        if status == 503:
            return cls.UNAVAILABLE
        return cls.REFUSED if status < 500 else cls.FAILED


def refused_credentials(service: str) -> Counter:
    """Counts credentials by the reason that the answer does not say."""
    return Counter(
        f"vigie_{service}_refused_credentials_total",
        "requests",
        "Requests whose token, key or password was not good",
        {"reason": RefusalReason},
    )


class RequestMetrics:
    """The metrics `vigie_<service>_...` of requests, by area: the part of the API that a path belongs to."""

    def __init__(self, service: str, areas: Mapping[str, str]) -> None:
        """`areas` are named by how paths begin, the first that fits; all else is `other`."""
        members = [(name.upper(), name) for name in dict.fromkeys((*areas.values(), _OTHER))]
        self.area = cast("type[StrEnum]", StrEnum("RouteArea", members))
        self._areas = [(prefix, self.area(name)) for prefix, name in areas.items()]
        self.requests = Counter(
            f"vigie_{service}_requests_total", "requests", "Requests answered", {"area": self.area, "outcome": Outcome}
        )
        self.duration = Histogram(
            f"vigie_{service}_request_duration_seconds",
            "seconds",
            "Time from a request to the end of its answer",
            {"area": self.area},
        )
        self.in_flight = Gauge(f"vigie_{service}_requests_in_flight", "requests", "Requests being answered")
        self.refused_credentials = refused_credentials(service)
        self.all: tuple[Metric, ...] = (self.requests, self.duration, self.in_flight, self.refused_credentials)

    def install(self, app: FastAPI, metrics: MetricSet) -> None:
        """Measure the requests to an app; `metrics` declares `all`."""
        app.add_middleware(RequestTimer, observe=self.observer(metrics), in_flight=metrics.gauge(self.in_flight))

    def observer(self, metrics: MetricSet) -> Callable[[str, int, float], None]:
        """Counts requests by path and status, and takes their seconds."""

        def observe(path: str, status: int, seconds: float) -> None:
            area = self.area_of(path)
            metrics.counter(self.requests, area=area, outcome=Outcome.of(status)).inc()
            metrics.histogram(self.duration, area=area).observe(seconds)

        return observe

    def area_of(self, path: str) -> StrEnum:
        """The area of a path."""
        return next((area for prefix, area in self._areas if path.startswith(prefix)), self.area(_OTHER))
