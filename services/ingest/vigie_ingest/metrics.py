"""The gateway's own metrics: name, kind, unit and meaning in one place."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import accumulate
from typing import Final

from prometheus_client import Metric as PromMetric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from vigie_publishing.errors import Reason
from vigie_runtime.metrics import Counter, Gauge, Histogram
from vigie_web.metrics import refused_credentials

from vigie_ingest.errors import RejectedItem
from vigie_ingest.idempotency import Lookup


class Route(StrEnum):
    """The paths of the intakes: closed by their registry, so that none is named here."""


class Status(StrEnum):
    """Classes of answers; `gone` is a sender that hung up before its body was complete."""

    OK = "2xx"
    CLIENT = "4xx"
    SERVER = "5xx"
    GONE = "gone"


REQUESTS = Counter("vigie_ingest_requests_total", "requests", "Requests answered", {"route": Route, "status": Status})
ACCEPTED = Counter("vigie_ingest_items_accepted_total", "items", "Metrics, events, reports taken", {"route": Route})
REJECTED = Counter(
    "vigie_ingest_items_rejected_total",
    "items",
    "Metrics, events, reports refused",
    {"route": Route, "reason": Reason},
)
DURATION = Histogram(
    "vigie_ingest_request_duration_seconds", "seconds", "From the request's headers to its answer", {"route": Route}
)
BODY_BYTES = Counter(
    "vigie_ingest_body_bytes_total", "bytes", "Bodies of judged requests, decompressed", {"route": Route}
)
BODIES = Gauge("vigie_ingest_held_body_bytes", "bytes", "Request bodies held at this moment")
IDEMPOTENCY = Counter(
    "vigie_ingest_idempotency_lookups_total",
    "requests",
    "Requests with an Idempotency-Key, by what was found under the key",
    {"result": Lookup},
)
REFUSED_CREDENTIALS = refused_credentials("ingest")


class WarnedTenant(StrEnum):
    """The tenants whose requests got warnings, and `_others` for those beyond the first `MAX_WARNED_TENANTS`."""


WARNINGS = Counter(
    "vigie_ingest_warnings_total",
    "warnings",
    "Unknown fields and event types that answers named, at most 100 per request",
    {"tenant": WarnedTenant},
)
MAX_WARNED_TENANTS: Final = 1_000
OTHER_TENANTS: Final = "_others"
"""No tenant's id: those begin with a letter or a digit."""

METRICS = (BODIES, IDEMPOTENCY, REFUSED_CREDENTIALS)
"""Those that live in a MetricSet; the others are tallied by RouteMetrics, because every request touches them, and
WarnedTenants, because nobody knows their labels before."""

_CLASSES: Final = {2: Status.OK, 4: Status.CLIENT, 5: Status.SERVER}


class RouteMetrics:
    """What the route of a path counts, in plain integers: a client library's counter would cost as much as decoding
    the body."""

    def __init__(self, route: str) -> None:
        self.route = route
        self.requests = dict.fromkeys(Status, 0)
        self.accepted = 0
        self.rejected = dict.fromkeys(Reason, 0)
        self.body_bytes = 0
        self.seconds = 0.0
        self.durations = [0] * (len(DURATION.buckets) + 1)

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer by its class, and how long it took."""
        self.requests[_CLASSES[status // 100]] += 1
        self.seconds += seconds
        self.durations[bisect_left(DURATION.buckets, seconds)] += 1

    def gone(self) -> None:
        """Count a sender that left."""
        self.requests[Status.GONE] += 1

    def judged(self, accepted: int, rejected: Sequence[RejectedItem] = ()) -> None:
        """Count the verdicts of one request."""
        self.accepted += accepted
        for item in rejected:
            self.rejected[item.error.reason] += 1


class RouteCollector(Collector):
    """Shows the tallies of all routes to the registry."""

    def __init__(self, routes: Sequence[RouteMetrics]) -> None:
        self._routes = routes

    def collect(self) -> Iterable[PromMetric]:
        """What a scrape sees."""
        requests = _family(REQUESTS)
        accepted, rejected, body = _family(ACCEPTED), _family(REJECTED), _family(BODY_BYTES)
        duration = HistogramMetricFamily(DURATION.name, f"{DURATION.help}. Unit: {DURATION.unit}.", labels=["route"])
        for route in self._routes:
            for status, n in route.requests.items():
                requests.add_metric([route.route, status.value], n)
            for reason, n in route.rejected.items():
                rejected.add_metric([route.route, reason.value], n)
            accepted.add_metric([route.route], route.accepted)
            body.add_metric([route.route], route.body_bytes)
            bounds = [*(floatToGoString(bound) for bound in DURATION.buckets), "+Inf"]
            buckets = list(zip(bounds, accumulate(route.durations), strict=True))
            duration.add_metric([route.route], buckets, route.seconds)
        return [requests, accepted, rejected, body, duration]


class WarnedTenants(Collector):
    """Counts warnings by tenant, of a bounded number of tenants."""

    def __init__(self) -> None:
        self._warnings: dict[str, int] = {}

    def add(self, tenant: str, warnings: int) -> None:
        """Count the warnings of one answer."""
        if tenant not in self._warnings and len(self._warnings) >= MAX_WARNED_TENANTS:
            tenant = OTHER_TENANTS
        self._warnings[tenant] = self._warnings.get(tenant, 0) + warnings

    def collect(self) -> Iterable[PromMetric]:
        """What a scrape sees."""
        family = _family(WARNINGS)
        for tenant, n in list(self._warnings.items()):
            family.add_metric([tenant], n)
        return [family]


def _family(metric: Counter) -> CounterMetricFamily:
    text = f"{metric.help}. Unit: {metric.unit}."
    return CounterMetricFamily(metric.name.removesuffix("_total"), text, labels=list(metric.labels))
