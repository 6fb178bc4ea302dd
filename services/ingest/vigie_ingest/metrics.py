"""The gateway's own metrics: name, kind, unit and meaning in one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from vigie_runtime.metrics import Counter, Gauge, Histogram, Metric, MetricSet

from vigie_ingest.errors import Reason, RejectedItem
from vigie_ingest.idempotency import Lookup


class Route(StrEnum):
    CUSTOM = "/api/metrics/custom"
    BUSINESS = "/api/metrics/business"
    BATCH = "/api/metrics/batch"
    EVENTS = "/api/events"


class Status(StrEnum):
    """Classes of answers; `gone` is a sender that hung up before its body was complete."""

    OK = "2xx"
    CLIENT = "4xx"
    SERVER = "5xx"
    GONE = "gone"


REQUESTS = Counter("vigie_ingest_requests_total", "requests", "Requests answered", {"route": Route, "status": Status})
ACCEPTED = Counter("vigie_ingest_items_accepted_total", "items", "Metrics and events taken", {"route": Route})
REJECTED = Counter(
    "vigie_ingest_items_rejected_total", "items", "Metrics and events refused", {"route": Route, "reason": Reason}
)
DURATION = Histogram(
    "vigie_ingest_request_duration_seconds", "seconds", "From the request's headers to its answer", {"route": Route}
)
BODY = Histogram(
    "vigie_ingest_body_bytes", "bytes", "Bodies after decompression", {"route": Route},
    buckets=(256.0, 1_024.0, 16_384.0, 131_072.0, 1_048_576.0, 8_388_608.0, 33_554_432.0),
)  # fmt: skip
BUFFERED = Gauge("vigie_ingest_buffered_samples", "samples", "Samples that wait for Kafka's acknowledgement")
BODIES = Gauge("vigie_ingest_held_body_bytes", "bytes", "Request bodies held at this moment")
KNOWN = Gauge("vigie_ingest_known_series", "series", "Series in the gateway's cache")
WAITING = Gauge("vigie_ingest_waiting_series", "series", "New series that wait for the catalogue")
CATALOGUE_WAIT = Histogram(
    "vigie_ingest_catalogue_wait_seconds", "seconds", "How long a request with new series waited for the catalogue"
)
IDEMPOTENCY = Counter(
    "vigie_ingest_idempotency_lookups_total",
    "requests",
    "Requests with an Idempotency-Key, by what was found under the key",
    {"result": Lookup},
)

METRICS = (
    REQUESTS, ACCEPTED, REJECTED, DURATION, BODY, BUFFERED, BODIES, KNOWN, WAITING, CATALOGUE_WAIT, IDEMPOTENCY,
)  # fmt: skip

_CLASSES: Mapping[int, Status] = {2: Status.OK, 4: Status.CLIENT, 5: Status.SERVER}


class RouteMetrics:
    """The metrics of one route, looked up once: the hot path only adds."""

    def __init__(self, metrics: MetricSet, route: Route) -> None:
        self._requests = {status: metrics.counter(REQUESTS, route=route, status=status) for status in Status}
        self._accepted = metrics.counter(ACCEPTED, route=route)
        self._rejected = {reason: metrics.counter(REJECTED, route=route, reason=reason) for reason in Reason}
        self.observe_duration = metrics.histogram(DURATION, route=route).observe
        self.observe_body = metrics.histogram(BODY, route=route).observe

    def answered(self, status: int) -> None:
        """Count an answer by its class."""
        self._requests[_CLASSES[status // 100]].inc()

    def gone(self) -> None:
        """Count a sender that left."""
        self._requests[Status.GONE].inc()

    def judged(self, accepted: int, rejected: list[RejectedItem]) -> None:
        """Count the verdicts of one request."""
        if accepted:
            self._accepted.inc(accepted)
        for item in rejected:
            self._rejected[item.error.reason].inc()


def metric_set(more: Iterable[Metric] = ()) -> MetricSet:
    """All metrics of the gateway and `more`, at zero."""
    return MetricSet([*METRICS, *more])
